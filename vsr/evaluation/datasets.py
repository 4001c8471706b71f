"""Folders of pictures as evaluation sets, and an upscaler's figures on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.core.frame import Frame
from vsr.evaluation import metrics
from vsr.evaluation.names import names_of_files, names_of_folders, numbered
from vsr.evaluation.resize import resize_bicubic
from vsr.media.frames.planes import av_from_frame, frame_from_av
from vsr.media.frames.resize import Converter
from vsr.media.inputs import files_below
from vsr.media.pictures.pillow import open_image

Item = TypeVar("Item")
Result = TypeVar("Result")
Luma = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.uint8]
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
    """Every picture in `folder` and below, by suffix, in the order of their names. Raises SourceOpenError if none, and what
    `files_below` raises."""
    found = files_below(folder, PICTURE_SUFFIXES)
    if not found:
        suffixes = " ".join(sorted(PICTURE_SUFFIXES))
        raise SourceOpenError(f"no pictures in {folder}", hint=f"files ending in {suffixes} are read")
    return found


def read_rgb(path: Path) -> Picture:
    """A picture file as uint8 [H, W, 3]: gray of 16 bits is brought to 8 as everywhere here, by its upper byte.

    Raises DecodeError when it cannot be read, and for samples of which nothing tells where white is.
    """
    try:
        with open_image(path) as picture:
            mode = picture.mode
            pixels = np.asarray(picture if mode[0] in "IF" else picture.convert("RGB"))
    except Exception as error:  # A damaged file makes Pillow raise nearly anything, SyntaxError included.
        lacks_avif = path.suffix.lower() == ".avif" and ".avif" not in Image.registered_extensions()
        hint = "Pillow 11.3 or newer reads AVIF" if lacks_avif else "leave it out if it opens nowhere else"
        raise DecodeError(f"cannot read {path}: {error}", hint=hint) from error
    if mode[0] in "IF":
        pixels = np.repeat(_eight_bits(path, pixels)[..., None], 3, axis=2)
    return pixels


def _eight_bits(path: Path, gray: npt.NDArray[Any]) -> Luma:
    hint = "convert it to 8 or 16 bits, or leave it out"
    if gray.dtype.kind == "f":
        raise DecodeError(f"{path} has floating point samples, which are not read", hint=hint)
    if gray.min() < 0 or gray.max() > 65535:
        raise DecodeError(f"{path} has samples from {gray.min()} to {gray.max()}, beyond 16 bits", hint=hint)
    return (gray >> 8).astype(np.uint8)


def read_luma(path: Path) -> Luma:
    """Luma uint8 [H, W] (BT.601, limited range) of a picture file. Raises what `read_rgb` raises."""
    return metrics.y_from_rgb(read_rgb(path))


def luma8(frame: Frame) -> Luma:
    """Luma of a frame in 8 bits and limited range, like the luma of pictures: Y by the frame's own matrix; BT.601 for RGB."""
    if frame.format.kind == "rgb":
        green, blue, red = (_codes(frame, plane) >> (frame.format.bits - 8) for plane in range(3))
        return metrics.y_from_rgb(np.stack([red, green, blue], axis=2).astype(np.uint8))
    codes = _codes(frame, 0)
    if frame.color.full_range:
        return np.rint(codes * (219.0 / frame.format.max_code) + 16.0).astype(np.uint8)
    return codes if frame.format.bits == 8 else (codes >> (frame.format.bits - 8)).astype(np.uint8)


def rgb8(frame: Frame) -> Picture:
    """A frame as RGB uint8 [H, W, 3], by its own matrix."""
    given = av_from_frame(frame)
    size = frame.width, frame.height
    convert = Converter(given.format.name, size, frame.color, "gbrp", size, frame.color)
    green, blue, red = (np.asarray(plane) for plane in frame_from_av(convert(given)).planes)
    return np.stack([red, green, blue], axis=2)


def _codes(frame: Frame, plane: int) -> npt.NDArray[Any]:
    samples = np.asarray(frame.planes[plane])
    return samples if frame.format.bits == 8 else samples.view("<u2")


def luma_pair(name: str, luma: Luma, scale: int) -> LumaPair:
    """`luma` cropped to a multiple of `scale`, and its bicubic reduction. Raises ConfigError where nothing is left."""
    height, width = (length // scale * scale for length in luma.shape)
    if not height or not width:
        raise ConfigError(
            f"{name} is {luma.shape[1]}x{luma.shape[0]}, smaller than the scale {scale}", hint="leave it out"
        )
    hr = np.ascontiguousarray(luma[:height, :width])
    return LumaPair(name, resize_bicubic(hr, 1.0 / scale), hr)


def sets_of(folders: Iterable[Path], files_in: Callable[[Path], list[Path]]) -> dict[str, dict[str, Path]]:
    """Files by set, then by name in it. A folder of files is one set; a folder of folders is a set for each of those.

    `files_in`lists the jobs of a folder and below. No two share a name: see `vsr.evaluation.names`.
    """
    sets: dict[Path, dict[Path, Path]] = {}
    for folder in folders:
        for path in files_in(folder):
            inside = path.relative_to(folder)
            below = inside.parts[0] if len(inside.parts) > 1 else ""
            sets.setdefault(folder.resolve() / below, {})[inside.relative_to(below)] = path
    return {
        name: dict(zip(names_of_files(list(files)), files.values(), strict=True))
        for name, files in zip(names_of_folders(list(sets)), sets.values(), strict=True)
    }


def load_sets(folders: Iterable[Path], scale: int) -> dict[str, list[LumaPair]]:
    """Evaluation sets by name, see `sets_of`. Pictures of which a border of `scale` pixels leaves nothing are left out.

    Raises SourceOpenError where there are no others.
    """
    folders = list(folders)
    sets: dict[str, list[LumaPair]] = {}
    for name, files in sets_of(folders, list_pictures).items():
        for item, path in files.items():
            luma = read_luma(path)
            if min(luma.shape) // scale > 2:
                sets.setdefault(name, []).append(luma_pair(item, luma, scale))
    if folders and not sets:
        raise SourceOpenError(
            f"no picture in {', '.join(map(str, folders))} is large enough",
            hint=f"at scale {scale} they must have {3 * scale} pixels a side",
        )
    return sets


def evaluate_luma(
    upscale: Upscaler, pairs: Sequence[LumaPair], scale: int, names: Sequence[str] = tuple(METRICS)
) -> LumaEvaluation:
    """The metrics called `names` of `upscale` over `pairs`, on luma, with `scale` pixels left out at each border.

    `upscale` takes uint8 [h, w] and returns uint8 [h*scale, w*scale]. Raises ConfigError for no pairs, and for a picture that
    a metric cannot be had of, which it names.
    """
    if not pairs:
        raise ConfigError("no pictures to evaluate on were found")
    rows: list[dict[str, float]] = []
    for pair in pairs:
        result = upscale(pair.lr)
        try:
            rows.append({name: METRICS[name](result, pair.hr, border=scale) for name in names})
        except ConfigError as error:
            raise ConfigError(f"{pair.name}: {error.message}", hint=error.hint) from error
    mean = {name: float(np.mean([row[name] for row in rows])) for name in names}
    return LumaEvaluation(dict(zip(numbered([pair.name for pair in pairs]), rows, strict=True)), mean)


def in_threads(convert: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`convert` of each item, in order, on as many threads as there are processors (Pillow and NumPy free the GIL)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(convert, items))
