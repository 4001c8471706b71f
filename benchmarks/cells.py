"""How networks do on noise and compression, damage by damage: cells-xN.json.

    python -m benchmarks.cells ../shared/data [--scale 2] [--models bicubic fast balanced quality restore] [--peer FOLDER]

Set14 and 16 crops of the development set, the middle 320 samples of each: reduced by bicubic, then damaged. Noise is added to
R'G'B', white or smoothed (sigma 0.7), and clipped; JPEG is Pillow's, 4:2:0. Means of PSNR and SSIM of luma; PSNR of Cb and Cr
together, of the mean error over all pictures, as some are gray. For H.264, frames of the clips of eval/video that a camera
took, compressed by x264: PSNR, VMAF NEG, and the share of the original's high frequencies (what a Gaussian of sigma 1 takes
away) that is there. --peer adds realesr-animevideov3 out of the package that benchmarks/gallery.py names; it is downloaded into
the folder.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.gallery import PEERS, Peer, peers
from benchmarks.look import encode
from scripts.devset import LIST, named
from vsr.evaluation.metrics import psnr, psnr_from_mse, ssim, y_from_rgb
from vsr.evaluation.resize import resize_bicubic
from vsr.media.frames.vmaf import vmaf
from vsr.upscale.upscaler import Upscaler

HERE = Path(__file__).parent
SIDE, OF_DEVELOPMENT, FRAMES = 320, 16, 9
CRFS = (28, 35)
CAMERA = ("foreman", "carphone", "park_joy")

Rgb = NDArray[np.uint8]
Damage = Callable[[Rgb, np.random.Generator], Rgb]
Enlarge = Callable[[Rgb], Rgb]


def noise(deviation: float, smooth: float = 0.0) -> Damage:
    def damage(picture: Rgb, rng: np.random.Generator) -> Rgb:
        grain = rng.normal(0, deviation, picture.shape)
        if smooth:
            taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * smooth**2))
            taps /= taps.sum()
            for axis in (0, 1):
                grain = sum(weight * np.roll(grain, at - 3, axis) for at, weight in enumerate(taps))
        return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)

    return damage


def jpeg(quality: int) -> Damage:
    def damage(picture: Rgb, rng: np.random.Generator) -> Rgb:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))

    return damage


DAMAGES: dict[str, Damage] = {
    "clean": noise(0),
    "noise 3": noise(3),
    "noise 6": noise(6),
    "noise 12": noise(12),
    "smooth noise 12": noise(12, 0.7),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "JPEG 30": jpeg(30),
}


def pictures(data: Path) -> Iterator[Rgb]:
    """The middle of each, of sides that 4 divides."""
    found = sorted((data / "eval" / "image" / "Set14").glob("*.png"))
    own = [data / path for path, name in named(LIST.read_text(encoding="utf-8")).items() if name != "-"]
    for path in [*found, *own[:OF_DEVELOPMENT]]:
        picture = np.asarray(Image.open(path).convert("RGB"))
        height, width = (min(side, SIDE) // 4 * 4 for side in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        yield np.ascontiguousarray(picture[top : top + height, left : left + width])


def reduced(picture: Rgb, scale: int) -> Rgb:
    planes = [resize_bicubic(np.ascontiguousarray(picture[..., plane]), 1 / scale) for plane in range(3)]
    return np.stack(planes, axis=-1)


def chroma(picture: Rgb) -> NDArray[np.float64]:
    """Cb and Cr of BT.601, in code values."""
    weights = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]) * 224 / 255
    return picture @ weights.T


def of_picture(large: Rgb, original: Rgb, border: int) -> tuple[float, float, float]:
    inner = slice(border, -border)
    apart = (chroma(large) - chroma(original))[inner, inner]
    luma = y_from_rgb(large), y_from_rgb(original)
    return psnr(*luma, border=border), ssim(*luma, border=border), float(np.square(apart).mean())


def high(luma: NDArray[np.uint8]) -> float:
    """Energy of the high frequencies."""
    blurred = Image.fromarray(luma).filter(ImageFilter.GaussianBlur(1))
    return float(np.square(luma.astype(float) - np.asarray(blurred)).mean())


def of_clip(large: list[Rgb], originals: list[Rgb]) -> tuple[float, ...]:
    lumas = [(y_from_rgb(a), y_from_rgb(b)) for a, b in zip(large, originals, strict=True)]
    share = np.mean([high(a) / high(b) for a, b in lumas])
    return float(np.mean([psnr(a, b, border=4) for a, b in lumas])), neg(large, originals), float(share)


def neg(large: list[Rgb], originals: list[Rgb]) -> float:
    height, width = originals[0].shape[:2]
    with vmaf(width, height) as measured:
        for pair in zip(large, originals, strict=True):
            measured.add(*(y_from_rgb(each) for each in pair))
        return measured.figures()["vmaf_neg"]


def clips(data: Path, scale: int, crf: int, folder: Path) -> Iterator[tuple[list[Rgb], list[Rgb]]]:
    """The decoded frames of each compressed clip, and their originals."""
    for path in sorted((data / "eval" / "video").iterdir()):
        if not path.name.startswith(CAMERA):
            continue
        with av.open(str(path)) as container:
            frames = (frame for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False))
            large = [frame.to_ndarray(format="rgb24") for frame in frames]
        height, width = (side // (2 * scale) * 2 * scale for side in large[0].shape[:2])
        large = [np.ascontiguousarray(frame[:height, :width]) for frame in large]
        target = folder / f"{path.stem}-{crf}.mkv"
        encode([av.VideoFrame.from_ndarray(reduced(frame, scale), "rgb24") for frame in large], crf, target)
        with av.open(str(target)) as container:
            yield [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], large


def table(
    data: Path, scale: int, networks: dict[str, Enlarge], folder: Path
) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, list[Any]]] = {}

    def add(damage: str, name: str, figures: tuple[float, ...]) -> None:
        found.setdefault(damage, {}).setdefault(name, []).append(figures)

    for number, original in enumerate(pictures(data)):
        small = reduced(original, scale)
        for damage, make in DAMAGES.items():
            given = make(small, np.random.default_rng(number))
            for name, enlarge in networks.items():
                add(damage, name, of_picture(enlarge(given), original, scale))
    for crf in CRFS:
        for given, originals in clips(data, scale, crf, folder):
            for name, enlarge in networks.items():
                add(f"H.264 crf {crf}", name, of_clip([enlarge(frame) for frame in given], originals))
    return {
        damage: {
            name: means_of_clips(rows) if damage.startswith("H.264") else means(rows)
            for name, rows in of.items()
        }
        for damage, of in found.items()
    }


def means(rows: list[tuple[float, ...]]) -> dict[str, float]:
    """Of the rows that `of_picture` gives."""
    of_luma, ssims, apart = (float(mean) for mean in np.mean(rows, axis=0))
    return {
        "psnr": round(of_luma, 3),
        "ssim": round(ssims, 4),
        "chroma_psnr": round(psnr_from_mse(apart), 3),
    }


def means_of_clips(rows: list[tuple[float, ...]]) -> dict[str, float]:
    """Of the rows that `of_clip` gives."""
    of_luma, vmaf_neg, share = (float(mean) for mean in np.mean(rows, axis=0))
    return {"psnr": round(of_luma, 3), "vmaf_neg": round(vmaf_neg, 2), "high": round(share, 4)}


def networks_of(models: list[str], scale: int, peer: Path | None) -> dict[str, Enlarge]:
    """What enlarges, by name: vsr's models, and realesr-animevideov3 where a folder for its package is given."""
    networks: dict[str, Enlarge] = {
        name: Upscaler(name, scale=scale, precision="fp32").upscale for name in models
    }
    if peer:
        peers(peer)
        networks["animevideov3"] = Peer(peer / PEERS["animevideov3"].replace("-x2", f"-x{scale}")).upscale
    return networks


Table = Callable[[Path, int, dict[str, Enlarge], Path], dict[str, dict[str, dict[str, float]]]]


def run(words: str | None, table: Table, stem: str, models: list[str]) -> tuple[int, dict[str, Enlarge]]:
    """The command of a script with that docstring: makes STEM-xN.json. Gives the scale and what was measured."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Folder that holds eval/, train/ and train2/.")
    parser.add_argument("--scale", type=int, default=2, choices=(2, 4))
    parser.add_argument("--models", nargs="+", default=models)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    networks = networks_of(given.models, given.scale, given.peer)
    with tempfile.TemporaryDirectory() as folder:
        result = table(given.data, given.scale, networks, Path(folder))
    for damage, of in result.items():
        print(damage, {name: tuple(figures.values()) for name, figures in of.items()})
    target = given.out or HERE / f"{stem}-x{given.scale}.json"
    target.write_text(json.dumps({"scale": given.scale, "cells": result}, indent=1) + "\n")
    return given.scale, networks


def main() -> None:
    run(__doc__, table, "cells", ["bicubic", "fast", "balanced", "quality", "restore"])


if __name__ == "__main__":
    main()
