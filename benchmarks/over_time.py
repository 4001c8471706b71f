"""Draw crops/MODEL.png: eight frames of a moving detail, and a column of the picture over time, with and without memory.

    python -m benchmarks.over_time [--model temporal-x2] [CLIP]

The clip is reduced and enlarged again. The one that comes with vsr is Big Buck Bunny, (c) 2008 Blender Foundation,
CC-BY 3.0; no network was trained on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.metrics import y_from_rgb
from vsr.evaluation.moving import Moving, Rgb
from vsr.evaluation.resize import resize_bicubic
from vsr.media.samples import CLIP
from vsr.models.registry import find_model
from vsr.upscale.upscaler import Upscaler

FOLDER = Path(__file__).parent / "crops"
_LARGER, _GAP, _WORDS = 2, 6, 110


def originals(clip: Path, frames: int) -> Iterator[Rgb]:
    with av.open(str(clip)) as container:
        for frame in islice(container.decode(video=0), frames):
            picture = frame.to_ndarray(format="rgb24")
            yield np.asarray(picture[: picture.shape[0] // 16 * 16, : picture.shape[1] // 16 * 16], np.uint8)


def _frame(luma: Rgb) -> Frame:
    return Frame([luma], luma.shape[1], luma.shape[0], PixelFormat("gray"))


def _gray(luma: Rgb) -> Rgb:
    return np.repeat(luma[..., None], 3, 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--model", default="temporal-x2")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    spec = find_model(given.model)
    moving = Moving()
    names = ["bicubic", spec.single, spec.id, "original"]
    large = [y_from_rgb(picture) for picture in originals(given.clip, given.frames)]
    small = [_frame(resize_bicubic(luma, 1 / spec.scale)) for luma in large]
    with Upscaler(spec.single) as without, Upscaler(given.model, temporal="on") as remembering:
        results = zip(
            without.sequence().stream(iter(small)), remembering.sequence().stream(iter(small)), strict=True
        )
        for number, (frames, original) in enumerate(zip(results, large, strict=True)):
            cubic = resize_bicubic(np.asarray(small[number].planes[0]), spec.scale)
            lumas = [cubic, *(np.asarray(frame.planes[0]) for frame in frames), original]
            moving.add(number, [_gray(luma) for luma in lumas], original)
    rows = [
        np.concatenate([crops[which] for crops in moving.detail.crops], 1) if moving.detail else large[0]
        for which in range(len(names))
    ]
    if found := moving.time_slice():
        white = np.full((len(found.pictures[0]), _GAP, 3), 255, np.uint8)
        rows.append(np.concatenate([part for picture in found.pictures for part in (picture, white)], 1))
        names.append("a column in time,\nof each of these")
    pictures = [Image.fromarray(row) for row in rows]
    pictures = [
        picture.resize((picture.width * _LARGER, picture.height * _LARGER), Image.Resampling.NEAREST)
        for picture in pictures
    ]
    width = _WORDS + max(picture.width for picture in pictures)
    sheet = Image.new("RGB", (width, sum(picture.height + _GAP for picture in pictures)), "white")
    top = 0
    for name, picture in zip(names, pictures, strict=True):
        ImageDraw.Draw(sheet).text((4, top + 4), name, fill="black")
        sheet.paste(picture, (_WORDS, top))
        top += picture.height + _GAP
    out = given.out or FOLDER / f"{spec.id}.png"
    sheet.save(out, optimize=True)
    print(f"{out}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
