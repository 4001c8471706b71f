"""Compare `restore` with `quality`, for clean pictures, on compressed video: restore-xN.json, and restore-xN.png to look at.

    python benchmarks/restore.py [--scale 2] [--crf 30]

The clip that comes with vsr (Big Buck Bunny, (c) 2008 Blender Foundation, CC-BY 3.0), which no network was trained on, is
reduced, compressed by x264, and enlarged again. Of luma, over all frames: blur as Crete et al. (2007) have it, lower is
sharper; texture where the original is flat, in code values, of which a network that invents some has more than others;
shift, how much lighter the picture is than the compressed one; and turned, how far it is in code values from what becomes of
the frame turned upside down, which no true detail depends on.
"""

from __future__ import annotations

import argparse
import io
import json
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vsr.evaluation.metrics import blur
from vsr.evaluation.pictures import busiest, pieces
from vsr.media.samples import CLIP
from vsr.upscale.upscaler import Upscaler

HERE = Path(__file__).parent
FIRST, FRAMES, SIDE, PIECES = 30, 12, 96, 5
# Of the original's deviation from its mean over 9x9, in code values.
FLAT = 1.0

Plane = NDArray[np.uint8]


def originals() -> list[av.VideoFrame]:
    """Frames whose sides all scales divide, 4:2:0."""
    with av.open(str(CLIP)) as container:
        frames = list(islice(container.decode(video=0), FIRST, FIRST + FRAMES))
    width, height = frames[0].width // 24 * 24, frames[0].height // 24 * 24
    cut = [frame.to_ndarray(format="rgb24")[:height, :width] for frame in frames]
    return [
        av.VideoFrame.from_ndarray(np.ascontiguousarray(c), "rgb24").reformat(format="yuv420p") for c in cut
    ]


def compressed(frames: list[av.VideoFrame], scale: int, crf: int) -> list[av.VideoFrame]:
    """The frames reduced, and as x264 leaves them."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height = frames[0].width // scale, frames[0].height // scale
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            small = frame.reformat(stream.width, stream.height, interpolation="BICUBIC")
            small.pts, small.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(small))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as decoder:
        return list(decoder.decode(video=0))


def luma(frame: av.VideoFrame) -> Plane:
    return frame.to_ndarray(format="gray")


def texture(plane: Plane) -> NDArray[np.float64]:
    """Deviation of each sample from the mean of the 9x9 around it."""
    padded = np.pad(plane.astype(np.float64), 4, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9))
    return np.abs(plane - windows.mean((2, 3)))


def unlike_turned(upscaler: Upscaler, plane: Plane) -> float:
    """Mean difference between what becomes of a picture and of the same upside down."""
    turned = upscaler.upscale(np.ascontiguousarray(plane[::-1, ::-1]))[::-1, ::-1]
    return float(np.abs(turned.astype(float) - upscaler.upscale(plane)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=int, default=2, choices=(2, 4))
    parser.add_argument("--crf", type=int, default=30)
    parser.add_argument("--models", nargs="+", default=["bicubic", "quality", "restore"])
    args = parser.parse_args()
    whole = originals()
    small = compressed(whole, args.scale, args.crf)
    flat = [texture(luma(frame)) < FLAT for frame in whole]
    versions, turned = {"original": whole}, {"original": 0.0}
    for model in args.models:
        name = f"{model}-x{args.scale}"
        with Upscaler(model, scale=args.scale) as upscaler:
            versions[name] = [upscaler.upscale(frame) for frame in small]
            turned[name] = float(np.mean([unlike_turned(upscaler, luma(frame)) for frame in small]))
    figures = {
        name: {
            "blur": round(float(np.mean([blur(luma(frame)) for frame in frames])), 4),
            "texture_where_flat": round(
                float(np.mean([texture(luma(f))[at].mean() for f, at in zip(frames, flat, strict=True)])), 3
            ),
            "shift": round(
                float(np.mean([luma(f).mean() - luma(s).mean() for f, s in zip(frames, small, strict=True)])),
                3,
            ),
            "turned": round(turned[name], 3),
        }
        for name, frames in versions.items()
    }
    name = f"restore-x{args.scale}"
    result = {"clip": CLIP.name, "frames": FRAMES, "crf": args.crf, "figures": figures}
    (HERE / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    columns = {key: frames[-1].to_ndarray(format="rgb24") for key, frames in versions.items()}
    columns["original"] = columns.pop("original")  # Last, as elsewhere.
    first, *_, last, _ = columns
    pieces(columns, busiest(columns[first], columns[last], SIDE, PIECES), SIDE, HERE / f"{name}.png")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
