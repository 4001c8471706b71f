"""What a network's memory is worth, clip by clip, beside the network reset at each frame and the network without memory.

    python -m benchmarks.with_memory --held-out CLIP... --check CLIP... --out benchmarks/with-memory.json

Frames are reduced by bicubic and enlarged, as `benchmarks/phase_bank.py` does it: the middle of each, what is large halved
first. PSNR of Y in dB from the fifth frame on, as many samples at the border left out as the scale says; flicker is PSNR of
what changes from frame to frame.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.interleave import write_result
from benchmarks.phase_bank import Moment, moments
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.evaluate import larger_luma
from vsr.evaluation.metrics import psnr
from vsr.models.registry import find_model
from vsr.upscale.upscaler import Upscaler

_FIRST = 4


def _small(moment: Moment) -> np.ndarray:
    return np.rint(moment.small[0, 0].numpy() * 255).astype(np.uint8)


def measured(path: Path, single: Upscaler, remembering: Upscaler, frames: int) -> dict[str, float]:
    """Means over the frames of a clip."""
    clip = list(moments(path, single, frames))
    small = [_small(moment) for moment in clip]
    gray = [Frame([luma], luma.shape[1], luma.shape[0], PixelFormat("gray")) for luma in small]
    results = {
        "single": [moment.base for moment in clip],
        "reset": [larger_luma(remembering, luma) for luma in small],
        "memory": [np.asarray(frame.planes[0]) for frame in remembering.sequence().stream(iter(gray))],
    }
    originals = [moment.original for moment in clip]
    row: dict[str, float] = {}
    for name, made in results.items():
        pairs = list(zip(made, originals, strict=True))
        row[name] = round(float(np.mean([psnr(*pair, border=single.scale) for pair in pairs[_FIRST:]])), 3)
        changes = [
            np.square(np.subtract(*map(np.float64, now)) - np.subtract(*map(np.float64, last))).mean()
            for last, now in zip(pairs[_FIRST - 1 :], pairs[_FIRST:], strict=False)
        ]
        row[f"{name}_flicker"] = round(float(np.mean(10 * np.log10(255**2 / np.maximum(changes, 1e-9)))), 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--held-out", type=Path, nargs="*", default=[], help="clips that no training saw")
    parser.add_argument("--check", type=Path, nargs="*", default=[], help="clips that only measure")
    parser.add_argument("--model", default="temporal-x2")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    with (
        Upscaler(find_model(given.model).single, precision="fp32", temporal="off") as single,
        Upscaler(given.model, precision="fp32", temporal="on") as remembering,
    ):
        for kind, paths in {"held_out": given.held_out, "check": given.check}.items():
            found[kind] = {path.stem: measured(path, single, remembering, given.frames) for path in paths}
            for name, row in found[kind].items():
                print(kind, name, row, file=sys.stderr, flush=True)
    means = {
        kind: round(
            float(np.mean([row["memory"] - max(row["single"], row["reset"]) for row in rows.values()])), 3
        )
        for kind, rows in found.items()
        if rows
    }
    write_result(given.out, model=Path(given.model).name, clips=found, mean_gain=means)


if __name__ == "__main__":
    main()
