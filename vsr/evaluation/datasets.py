"""Folders of pictures as evaluation sets, and an upscaler's figures on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.core.frame import Frame
from vsr.evaluation import metrics
from vsr.evaluation.resize import resize_bicubic

Item = TypeVar("Item")
Result = TypeVar("Result")
Luma = npt.NDArray[np.uint8]
Upscaler = Callable[[Luma], Luma]

PICTURE_SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
METRICS: Mapping[str, Callable[..., float]] = {
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "mse": metrics.mse,
    "mae": metrics.mae,
}


@dataclass(frozen=True)
class LumaPair:
    """One picture as ground truth `hr` uint8 [h*scale, w*scale] and its bicubic reduction `lr` uint8 [h, w]."""

    name: str
    lr: Luma
    hr: Luma


@dataclass(frozen=True)
class LumaEvaluation:
    """Figures by picture name, then by metric ("psnr", "ssim", "mse", "mae"), and the mean of each metric."""

    pictures: Mapping[str, Mapping[str, float]]
    mean: Mapping[str, float]


def list_pictures(folder: Path) -> list[Path]:
    """Every picture in `folder` and below, by suffix, in the order of their names. Raises SourceOpenError if none."""
    if not folder.is_dir():
        raise SourceOpenError(f"{folder} is not a folder", hint="name a folder that holds pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        suffixes = " ".join(sorted(PICTURE_SUFFIXES))
        raise SourceOpenError(f"no pictures in {folder}", hint=f"files ending in {suffixes} are read")
    return found


def read_luma(path: Path) -> Luma:
    """Luma uint8 [H, W] (BT.601, limited range) of a picture file. Raises DecodeError when it cannot be read."""
    try:
        with Image.open(path) as picture:
            rgb = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        hint = "Pillow 11.3 or newer reads AVIF" if path.suffix.lower() == ".avif" else None
        raise DecodeError(f"cannot read {path}: {error}", hint=hint) from error
    return metrics.y_from_rgb(rgb)


def luma8(frame: Frame) -> Luma:
    """The first plane of a frame (luma, or green of RGB) in 8 bits."""
    plane = np.asarray(frame.planes[0])
    if frame.format.bits == 8:
        return plane
    codes = plane.view("<u2") >> (frame.format.bits - 8)
    return codes.astype(np.uint8)


def luma_pair(name: str, luma: Luma, scale: int) -> LumaPair:
    """`luma` cropped to a multiple of `scale`, and its bicubic reduction."""
    height, width = (length // scale * scale for length in luma.shape)
    hr = np.ascontiguousarray(luma[:height, :width])
    return LumaPair(name, resize_bicubic(hr, 1.0 / scale), hr)


def load_sets(folders: Iterable[Path], scale: int) -> dict[str, list[LumaPair]]:
    """Evaluation sets by name. A folder of pictures is one set; a folder of folders is a set for each of those."""
    sets: dict[str, list[LumaPair]] = {}
    for folder in folders:
        paths = list_pictures(folder)
        for path in paths:
            inside = path.relative_to(folder).parts
            name = inside[0] if len(inside) > 1 else folder.resolve().name
            sets.setdefault(name, []).append(luma_pair(path.stem, read_luma(path), scale))
    return sets


def evaluate_luma(
    upscale: Upscaler, pairs: Sequence[LumaPair], scale: int, names: Sequence[str] = tuple(METRICS)
) -> LumaEvaluation:
    """The metrics called `names` of `upscale` over `pairs`, on luma, with `scale` pixels left out at each border.

    `upscale` takes uint8 [h, w] and returns uint8 [h*scale, w*scale]. Raises ConfigError for no pairs.
    """
    if not pairs:
        raise ConfigError("there are no pictures to evaluate on")
    figures: dict[str, dict[str, float]] = {}
    for pair in pairs:
        result = upscale(pair.lr)
        figures[pair.name] = {name: METRICS[name](result, pair.hr, border=scale) for name in names}
    mean = {name: float(np.mean([row[name] for row in figures.values()])) for name in names}
    return LumaEvaluation(figures, mean)


def in_threads(convert: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`convert` of each item, in order, on as many threads as there are processors (Pillow and NumPy free the GIL)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(convert, items))
