"""How good a model's pictures are, run as `vsr upscale` runs it: against originals it sees only reduced.

Pictures are measured on Y (BT.601, as papers do) and on RGB; videos on Y, with a figure for flicker. What is reduced is the
original by MATLAB's bicubic, antialiased and rounded to 8 bits; as many pixels as the scale are left out at each border.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsr.core.errors import DecodeError, SourceOpenError
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation import metrics
from vsr.evaluation.datasets import METRICS, PICTURE_SUFFIXES, luma8, luma_pair
from vsr.evaluation.resize import resize_bicubic
from vsr.media.inputs import VIDEO_SUFFIXES
from vsr.media.source import open_source
from vsr.media.types import SourceOptions
from vsr.models import Precision
from vsr.upscale import Upscaler

Picture = npt.NDArray[np.uint8]
Figures = dict[str, float]

DEGRADATION = "bicubic (MATLAB's, antialiased), 8 bits"


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """data: folders of pictures, of videos, or of such folders. frames: of each video at most. scale: None for the model's.
    The rest as in UpscaleConfig."""

    data: tuple[Path, ...]
    model: str = "auto"
    scale: float | None = None
    backend: str = "auto"
    frames: int = 60
    threads: int = 0
    precision: Precision | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures by set, then by picture or video, then by name, and their means by set.

    psnr_y in dB, ssim_y -1..1, mse_y and mae_y in 8-bit codes; the same on RGB for pictures. flicker, of videos: mean
    absolute difference between the change from frame to frame and that of the original, in codes of Y.
    """

    model: str
    backend: str
    precision: str
    scale: int
    border: int
    degradation: str
    sets: Mapping[str, Mapping[str, Figures]]
    means: Mapping[str, Figures]

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def evaluate(config: EvaluateConfig, say: Callable[[str], None] | None = None) -> Evaluation:
    """Measure. `say` is told each picture and video as it is begun.

    Raises SourceOpenError for folders without any, DecodeError for what can't be read, and what `Upscaler` raises.
    """
    files = list(_files(config.data))
    sets: dict[str, dict[str, Figures]] = {}
    with Upscaler(
        config.model,
        scale=config.scale,
        backend=config.backend,
        threads=config.threads,
        precision=config.precision,
    ) as upscaler:
        for name, path in files:
            if say is not None:
                say(f"{name}: {path.name}")
            if path.suffix.lower() in PICTURE_SUFFIXES:
                figures = _picture(path, upscaler)
            else:
                figures = _video(path, upscaler, config.frames)
            sets.setdefault(name, {})[path.stem] = figures
        return Evaluation(
            model=upscaler.spec.id,
            backend=upscaler.backend,
            precision=upscaler.precision,
            scale=upscaler.scale,
            border=upscaler.scale,
            degradation=DEGRADATION,
            sets=sets,
            means={name: _mean(list(rows.values())) for name, rows in sets.items()},
        )


def _files(folders: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """(set, file): a folder of files is a set, one of folders a set for each."""
    for folder in folders:
        if not folder.is_dir():
            raise SourceOpenError(
                f"{folder} is not a folder", hint="name a folder that holds pictures or videos"
            )
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES)
        if not paths:
            raise SourceOpenError(f"{folder} holds neither pictures nor videos")
        for path in paths:
            inside = path.relative_to(folder).parts
            yield (inside[0] if len(inside) > 1 else folder.resolve().name), path


def _picture(path: Path, upscaler: Upscaler) -> Figures:
    try:
        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DecodeError(f"cannot read {path}: {error}") from error
    scale = upscaler.scale
    pair = luma_pair(path.stem, metrics.y_from_rgb(rgb), scale)
    figures = _on_y(_larger_luma(upscaler, pair.lr), pair.hr, scale)
    height, width = pair.hr.shape
    original = rgb[:height, :width]
    small = np.stack([resize_bicubic(original[..., c], 1 / scale) for c in range(3)], axis=2)
    return figures | _on_rgb(upscaler.upscale(small), original, scale)


def _video(path: Path, upscaler: Upscaler, most: int) -> Figures:
    rows: list[Figures] = []
    before: tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]] | None = None
    with open_source(str(path), SourceOptions()) as source:
        for frame in islice(source, most):
            pair = luma_pair(path.stem, luma8(frame), upscaler.scale)
            result = _larger_luma(upscaler, pair.lr)
            row = _on_y(result, pair.hr, upscaler.scale)
            now = result.astype(np.int16), pair.hr.astype(np.int16)
            if before is not None:
                row["flicker"] = float(np.abs((now[0] - before[0]) - (now[1] - before[1])).mean())
            before = now
            rows.append(row)
    return _mean(rows)


def _larger_luma(upscaler: Upscaler, luma: Picture) -> Picture:
    frame = Frame([luma], luma.shape[1], luma.shape[0], PixelFormat("gray"))
    return np.asarray(upscaler.upscale(frame).planes[0])


def _on_y(result: Picture, original: Picture, border: int) -> Figures:
    return {f"{name}_y": metric(result, original, border=border) for name, metric in METRICS.items()}


def _on_rgb(result: Picture, original: Picture, border: int) -> Figures:
    """Means over the channels; PSNR of their mean squared error."""
    mean = {
        name: float(
            np.mean([METRICS[name](result[..., c], original[..., c], border=border) for c in range(3)])
        )
        for name in ("ssim", "mse", "mae")
    }
    psnr = 10 * math.log10(255.0**2 / mean["mse"]) if mean["mse"] else math.inf
    return {f"{name}_rgb": value for name, value in ({"psnr": psnr} | mean).items()}


def _mean(rows: list[Figures]) -> Figures:
    """Of each figure, over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
