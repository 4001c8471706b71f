"""`vsr demo`: upscales the clip that comes with vsr, and draws a picture for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsr.core.control import Control
from vsr.core.frame import Frame
from vsr.evaluation.pictures import side_by_side
from vsr.files.checks import make_folder
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.progress import OnProgress
from vsr.jobs.report import Report
from vsr.jobs.upscale import UpscaleJob
from vsr.media.frames.planes import av_from_frame
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SinkOptions, SourceOptions
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

# A frame with fur and grass in it.
_SHOWN_FRAME = 40


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The files of the demo. picture: bicubic on the left, vsr on the right; None if the demo was stopped. video: None if it
    was stopped before the first frame."""

    report: Report
    video: Path | None
    picture: Path | None


def demo(
    output_dir: Path | str = Path("vsr-demo"),
    *,
    model: str = "auto",
    progress: OnProgress | None = None,
    control: Control | None = None,
) -> DemoResult:
    """Upscale the clip that comes with vsr into a folder, which is created if necessary. Files of an earlier demo are
    replaced."""
    folder = Path(output_dir)
    make_folder(folder)
    video, picture = folder / f"{CLIP.stem}_x2.mp4", folder / "before-after.png"
    config = UpscaleConfig(
        (str(CLIP),), str(video), network=NetworkOptions(model), sink=SinkOptions(overwrite=True)
    )
    with UpscaleJob(config, control) as job:
        report = job.run(str(CLIP), str(video), on_progress=progress)
    if report.stopped_early:
        return DemoResult(report, Path(report.output) if report.output else None, None)
    with open_source(str(CLIP), SourceOptions()) as source:
        frame = list(islice(source, _SHOWN_FRAME + 1))[-1]
    large = []
    for name in ("bicubic", model):
        with Upscaler(name) as upscaler:
            large.append(_rgb(upscaler.upscale(frame)))
    side_by_side(large[0], large[1], ("bicubic", f"vsr {report.model}"), picture)
    return DemoResult(report, video, picture)


def _rgb(frame: Frame) -> NDArray[np.uint8]:
    """(height, width, 3), for looking at."""
    return np.asarray(av_from_frame(frame).to_ndarray(format="rgb24"), np.uint8)
