"""How well the scene-cut detector (`vsr/media/frames/cuts.py`) finds cuts, and what else it takes for one.

    python -m benchmarks.cuts DATA --out benchmarks/cuts.json

DATA is the folder that holds the clips of `benchmarks/cuts.txt`. The detector's threshold was set on those marked "fit": on
frames that follow each other there, and on joins of them. The others judge it. Each kind of change is counted apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.interleave import write_result
from vsr.evaluation.datasets import luma8
from vsr.media.frames.cuts import is_cut, thumbnail
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions

Luma = npt.NDArray[np.uint8]

_MOST = 600  # Frames of a clip.
_JOINS = 1000
_CUTS_IN = 100  # Frames for each cut, which the precision is given for.
_MADE = 4  # Of each kind of change that is made, from each clip.
_FADE = 12  # Frames.
_SMALLEST = 0.75  # Of the frame, what a pan shows of it.


@dataclass(frozen=True)
class Clip:
    scene: str
    frames: list[Luma]
    cuts: frozenset[int]


def clips(data: Path, wanted: str) -> Iterator[Clip]:
    for line in Path(__file__).with_suffix(".txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words and words[0] == wanted:
            with open_source(str(data / words[2]), SourceOptions()) as source:
                frames = [luma8(frame) for frame in islice(source, _MOST)]
            print(wanted, words[2], len(frames), file=sys.stderr, flush=True)
            yield Clip(words[1], frames, frozenset(map(int, words[3:])))


def flagged(before: Luma, now: Luma) -> bool:
    return is_cut(thumbnail(before), thumbnail(now))


def joined(known: list[Clip], rng: np.random.Generator) -> Iterator[bool]:
    """Frames of two clips that show different things, the first brought to the size of the second."""
    for _ in range(_JOINS):
        while True:
            a, b = (known[n] for n in rng.integers(len(known), size=2))
            if a.scene != b.scene:
                break
        before, now = (clip.frames[rng.integers(len(clip.frames))] for clip in (a, b))
        yield flagged(_resized(before, now), now)


def apart(known: list[Clip], frames: int) -> Iterator[tuple[bool, bool]]:
    """For frames of a clip that far apart: whether a cut lies between them, and whether one is found."""
    for clip in known:
        small = [thumbnail(frame) for frame in clip.frames]
        for number in range(frames, len(small)):
            cut = any(number - n in clip.cuts for n in range(frames))
            yield cut, is_cut(small[number - frames], small[number])


def _flash(frame: Luma, then: Luma, other: Luma) -> Iterator[tuple[Luma, Luma]]:
    bright = _codes(then * 1.3 + 50)
    yield frame, bright
    yield bright, then


def _fade(frame: Luma, then: Luma, other: Luma) -> Iterator[tuple[Luma, Luma]]:
    """To black; backwards it is one from black."""
    steps = [_codes(16 + (frame - 16.0) * (1 - n / _FADE)) for n in range(_FADE + 1)]
    yield from pairwise(steps)
    yield from pairwise(steps[::-1])


def _dissolve(frame: Luma, then: Luma, other: Luma) -> Iterator[tuple[Luma, Luma]]:
    steps = [_codes(frame + (other - frame.astype(float)) * (n / _FADE)) for n in range(_FADE + 1)]
    yield from pairwise(steps)


def _pan(share: float) -> Callable[[Luma, Luma, Luma], Iterator[tuple[Luma, Luma]]]:
    """By this share of what is shown, to either side."""

    def pan(frame: Luma, then: Luma, other: Luma) -> Iterator[tuple[Luma, Luma]]:
        width = int(frame.shape[1] * _SMALLEST)
        shift = int(width * share)
        left, right = frame[:, :width], frame[:, shift : shift + width]
        yield left, right
        yield right, left

    return pan


CHANGES = {
    "flash": _flash,
    f"fade, {_FADE} frames": _fade,
    f"dissolve, {_FADE} frames": _dissolve,
    "pan by 4 % of the width": _pan(0.04),
    "pan by 8 % of the width": _pan(0.08),
}


def made(
    known: list[Clip], change: Callable[..., Iterator[tuple[Luma, Luma]]], rng: np.random.Generator
) -> Iterator[bool]:
    for clip in known:
        for _ in range(_MADE):
            number = int(rng.integers(1, len(clip.frames)))
            frame, then = clip.frames[number - 1 : number + 1]
            if number not in clip.cuts:
                source = known[rng.integers(len(known))].frames
                yield from (
                    flagged(a, b)
                    for a, b in change(frame, then, _resized(source[rng.integers(len(source))], frame))
                )


def share(found: Iterator[bool]) -> dict[str, float | int]:
    values = list(found)
    return {"of": len(values), "flagged": sum(values), "share": round(sum(values) / len(values), 5)}


def measured(known: list[Clip]) -> dict[str, object]:
    rng = np.random.default_rng(0)
    following = list(apart(known, 1))
    joins = share(joined(known, rng))
    others = share(found for cut, found in following if not cut)
    right, wrong = joins["share"] / _CUTS_IN, others["share"] * (1 - 1 / _CUTS_IN)
    return {
        "clips": len(known),
        "recall": {"joins": joins, "cuts in clips": share(found for cut, found in following if cut)},
        "frames that follow each other": others,
        f"precision at one cut in {_CUTS_IN} frames": round(right / (right + wrong), 4),
        "no cuts": {
            **{
                f"every {n}. frame only": share(found for cut, found in apart(known, n) if not cut)
                for n in (2, 3)
            },
            **{name: share(made(known, change, rng)) for name, change in CHANGES.items()},
        },
    }


def times() -> dict[str, float]:
    """Milliseconds at 1920x1080, the least of 20: the thumbnail, and both ways through the comparison."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (1080, 1920), np.uint8) for _ in range(2)]
    small = [thumbnail(frame) for frame in noise]
    runs = {
        "thumbnail": lambda: thumbnail(noise[0]),
        "equal frames": lambda: is_cut(small[0], small[0]),
        "different frames": lambda: is_cut(*small),
    }
    return {name: round(1e3 * min(_seconds(run) for _ in range(20)), 2) for name, run in runs.items()}


def _seconds(run: Callable[[], object]) -> float:
    begin = perf_counter()
    run()
    return perf_counter() - begin


def _resized(luma: Luma, like: Luma) -> Luma:
    return np.asarray(Image.fromarray(luma).resize(like.shape[::-1], Image.Resampling.BILINEAR))


def _codes(values: npt.NDArray[np.floating]) -> Luma:
    return values.round().clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = {wanted: measured(list(clips(given.data, wanted))) for wanted in ("fit", "judge")}
    write_result(given.out, milliseconds_at_1080p=times(), **found)


if __name__ == "__main__":
    main()
