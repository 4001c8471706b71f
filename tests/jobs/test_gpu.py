"""A clip decoded, enlarged and encoded on a GPU is the one the processor makes. Runs only where there is one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.support.usable import needs_gpu
from vsr.backends.choose import load_backend
from vsr.core.errors import EncoderUnavailableError
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.many import upscale_many
from vsr.jobs.report import Report
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SinkOptions, SourceOptions
from vsr.models.spec import Precision
from vsr.upscale.options import NetworkOptions

pytestmark = needs_gpu


def upscaled(
    output: Path, backend: str, precision: Precision, encoder: str, hwaccel: str | None = None
) -> Report:
    config = UpscaleConfig(
        (str(CLIP),),
        str(output),
        NetworkOptions("fast", backend=backend, precision=precision),
        source=SourceOptions(hwaccel=hwaccel, duration_s=1),
        sink=SinkOptions(encoder=encoder),
    )
    (report,) = upscale_many(config)
    return report


def psnr_db(one: Path, other: Path) -> float:
    squares = samples = 0.0
    with open_source(str(one)) as ours, open_source(str(other)) as theirs:
        for mine, its in zip(ours, theirs, strict=True):
            for a, b in zip(mine.planes, its.planes, strict=True):
                difference = np.asarray(a).astype(float) - np.asarray(b)
                squares, samples = squares + float((difference**2).sum()), samples + difference.size
    return 10 * math.log10(255**2 * samples / squares) if squares else math.inf


@pytest.mark.parametrize("hwaccel", [None, "cuda"], ids=["in batches", "frame by frame on the device"])
@pytest.mark.parametrize("backend", ["tensorrt", "torch"])
def test_a_clip_is_the_same(backend: str, hwaccel: str | None, tmp_path: Path) -> None:
    availability = load_backend(backend).probe()
    if backend == "tensorrt" and not availability.usable:  # It runs on fewer GPUs than torch.
        pytest.skip(availability.reason)
    upscaled(tmp_path / "processor.mkv", "openvino", "fp32", "ffv1")
    report = upscaled(tmp_path / "gpu.mkv", backend, "fp16", "ffv1", hwaccel)
    assert not [note for note in report.notes if "host" in note or note.startswith("cuda")]
    assert psnr_db(tmp_path / "gpu.mkv", tmp_path / "processor.mkv") >= 50


def test_it_goes_to_nvenc_without_the_host(tmp_path: Path) -> None:
    upscaled(tmp_path / "processor.mkv", "openvino", "fp32", "ffv1")
    try:
        report = upscaled(tmp_path / "gpu.mkv", "torch", "fp16", "hevc_nvenc", "cuda")
    except EncoderUnavailableError as error:
        pytest.skip(f"no NVENC: {error}")  # Some GPUs for computing have none.
    said = (*report.notes, *report.warnings)
    assert not [line for line in said if "host" in line or line.startswith("cuda")]
    assert psnr_db(tmp_path / "gpu.mkv", tmp_path / "processor.mkv") >= 35
