"""How networks do on drawn content: drawn-xN.json, and anime-xN.png to look at.

    python -m benchmarks.drawn ../shared/data [--scale 2] [--models bicubic balanced quality restore anime] [--peer FOLDER]

Two crops of 320 samples from each picture of the sets "drawn" and "anime" of training/devset.txt: those with the most detail in
the upper and in the lower half. Clean, as JPEG of quality 75, and as the last of five frames that x264 compressed at crf 28
while the picture moved. PSNR and SSIM of luma, PSNR of Cb and Cr together; means. anime
began as restore, which had seen eight of the twelve pictures; no other network was trained on them.
--peer as in benchmarks/cells.py. The picture shows a frame of the animated clip that comes with vsr, as JPEG of
quality 75.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageFilter

from benchmarks.cells import Enlarge, Rgb, jpeg, means, of_picture, reduced, run
from benchmarks.look import encode
from benchmarks.restore import originals as animated
from scripts.devset import LIST, named
from vsr.evaluation.pictures import busiest as most_apart
from vsr.evaluation.pictures import pieces

HERE = Path(__file__).parent
SIDE, FRAMES, MOVED, CRF = 320, 5, 2, 28
SETS = ("drawn", "anime")
PIECE, IN_PICTURE = 96, ("bicubic", "quality", "anime")


def crops(data: Path, scale: int) -> Iterator[list[Rgb]]:
    """Of each place its frames, which move to the left by MOVED samples of the low resolution; the last one is measured."""
    room = MOVED * scale * (FRAMES - 1)
    for path, name in named(LIST.read_text(encoding="utf-8")).items():
        if name in SETS:
            picture = np.asarray(Image.open(data / path).convert("RGB"))
            middle = picture.shape[0] // 2
            for half in (picture[:middle], picture[middle:]):
                top, left = busiest(half[:, room:])
                yield [
                    np.ascontiguousarray(half[top : top + SIDE, at : at + SIDE])
                    for at in range(left, left + room + 1, MOVED * scale)
                ]


def busiest(picture: Rgb) -> tuple[int, int]:
    """Top and left of the square of SIDE with the most detail, on a grid of 32 samples."""
    luma = Image.fromarray(picture).convert("L")
    detail = np.abs(np.asarray(luma, float) - np.asarray(luma.filter(ImageFilter.GaussianBlur(1)), float))
    summed = np.pad(detail.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = summed[SIDE:, SIDE:] - summed[:-SIDE, SIDE:] - summed[SIDE:, :-SIDE] + summed[:-SIDE, :-SIDE]
    row, column = np.unravel_index(inside[::32, ::32].argmax(), inside[::32, ::32].shape)
    return int(row) * 32, int(column) * 32


def h264(frames: list[Rgb], folder: Path) -> Rgb:
    target = folder / "moving.mkv"
    encode([av.VideoFrame.from_ndarray(frame, "rgb24") for frame in frames], CRF, target)
    with av.open(str(target)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]


def table(
    data: Path, scale: int, networks: dict[str, Enlarge], folder: Path
) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for number, originals in enumerate(crops(data, scale)):
        small = [reduced(frame, scale) for frame in originals]
        rng = np.random.default_rng(number)
        given = {
            "clean": small[-1],
            "JPEG 75": jpeg(75)(small[-1], rng),
            f"H.264 crf {CRF}": h264(small, folder),
        }
        for damage, picture in given.items():
            for name, enlarge in networks.items():
                of = found.setdefault(damage, {}).setdefault(name, [])
                of.append(of_picture(enlarge(picture), originals[-1], scale))
    return {damage: {name: means(rows) for name, rows in of.items()} for damage, of in found.items()}


def draw(networks: dict[str, Enlarge], scale: int) -> None:
    """What the networks make of places of a frame, and the original."""
    original = animated()[0].to_ndarray(format="rgb24")
    given = jpeg(75)(reduced(original, scale), np.random.default_rng(0))
    columns = {name: enlarge(given) for name, enlarge in networks.items()} | {"original": original}
    pieces(columns, most_apart(columns["bicubic"], original, PIECE, 4), PIECE, HERE / f"anime-x{scale}.png")


def main() -> None:
    models = ["bicubic", "balanced", "quality", "restore", "anime"]
    scale, networks = run(__doc__, table, "drawn", models)
    shown = {name: each for name, each in networks.items() if name in IN_PICTURE}
    if len(shown) == len(IN_PICTURE):
        draw(shown, scale)


if __name__ == "__main__":
    main()
