"""Packages in 8 bits: calibrated on pictures, near float32, run by every backend that can, and refused by those that cannot."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vsr.backends.choose import load_backend
from vsr.cli import main
from vsr.convert.calibrate import calibration
from vsr.convert.export import export_model
from vsr.core.errors import ConfigError
from vsr.evaluation.metrics import psnr
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.models import ModelSpec, find_model
from vsr.models.archs.rounding import rounded_features, rounded_kernels
from vsr.models.spec import ALL_LAYOUTS
from vsr.upscale.upscaler import Upscaler


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("int8") / "mine"
    return export_model(find_model("fast").folder / "weights.safetensors", folder, calibrate=[CLIP])


@pytest.fixture(scope="module")
def luma() -> np.ndarray:
    with open_source(str(CLIP)) as source:
        return np.array(next(islice(source, 40, None)).planes[0])


def test_a_calibrated_package_runs_in_8_bits_and_is_near_float32(
    calibrated: ModelSpec, luma: np.ndarray
) -> None:
    made = {}
    for backend, precision in (
        *product(("openvino", "onnxruntime"), ("int8", "fp32")),
        ("onnxruntime", "fp8"),
    ):
        with Upscaler(str(calibrated.folder), backend=backend, precision=precision) as upscaler:
            made[backend, precision] = upscaler.upscale(luma)
            assert upscaler.precision == precision
    exact = made["openvino", "fp32"]
    assert psnr(exact, made["openvino", "int8"]) > 42
    assert psnr(made["openvino", "int8"], made["onnxruntime", "int8"]) > 48
    assert 42 < psnr(exact, made["onnxruntime", "fp8"]) < 70
    assert abs(float(exact.mean()) - float(made["openvino", "int8"].mean())) < 0.1


def test_it_is_what_runs_where_the_processor_has_instructions_for_it(calibrated: ModelSpec) -> None:
    with Upscaler(str(calibrated.folder), backend="openvino") as upscaler:
        upscaler.upscale(np.zeros((32, 32), np.uint8))
        fastest = load_backend("openvino").probe().reason.split(", ")[1]
        assert upscaler.precision == fastest
    if "avx512_vnni" in Path("/proc/cpuinfo").read_text():
        assert fastest == "int8"


def test_its_weights_are_kept_once(calibrated: ModelSpec) -> None:
    for layout in ALL_LAYOUTS:
        path = calibrated.graph(layout, int8=True)
        onnx.checker.check_model(str(path), full_check=True)
        assert path.stat().st_size < 16_000
    assert list(calibrated.calibration) == [f"net/act{number}" for number in range(7)]
    assert all(least < 0 < most for least, most in calibrated.calibration.values())
    assert calibration(calibrated, [CLIP]) == dict(calibrated.calibration)


def test_the_command_and_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(find_model("fast").folder / "weights.safetensors")
    assert main(["model", "export", weights, str(tmp_path / "mine"), "--calibrate", str(CLIP)]) == 0
    assert (
        main(["model", "export", weights, str(tmp_path / "other"), "--calibrate", str(tmp_path / "empty")])
        != 0
    )
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    with (
        Upscaler("quality", precision="int8") as upscaler,
        pytest.raises(ConfigError, match="quality-x2 is not calibrated for int8"),
    ):
        upscaler.upscale(np.zeros((16, 16), np.uint8))


def test_training_rounds_as_int8_does() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 8, 16, 16, requires_grad=True)
    rounded = rounded_features(features)
    assert len(torch.unique(rounded)) <= 257
    assert (
        float((rounded - features).detach().abs().max())
        <= float(features.detach().max() - features.detach().min()) / 255 * 0.51
    )
    rounded.square().sum().backward()
    torch.testing.assert_close(features.grad, 2 * rounded.detach())
    kernels = torch.randn(4, 8, 3, 3, requires_grad=True)
    levels = rounded_kernels(kernels)
    assert all(len(torch.unique(kernel)) <= 255 for kernel in levels)
    assert float(levels.detach().abs().amax()) == pytest.approx(float(kernels.detach().abs().amax()))
    levels.sum().backward()
    torch.testing.assert_close(kernels.grad, torch.ones_like(kernels))
