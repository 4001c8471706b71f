"""Two videos or pictures side by side, against each other or a reference: figures over time, and pictures to look at."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vsr.core.errors import ConfigError, DecodeError
from vsr.core.frame import Frame
from vsr.evaluation import metrics
from vsr.evaluation.comparison import Comparison
from vsr.evaluation.frame_times import Moments
from vsr.evaluation.names import names_of_inputs
from vsr.evaluation.page import Shot, page
from vsr.evaluation.pictures import busiest
from vsr.files.checks import check_writable
from vsr.files.whole import write_whole
from vsr.media.address import redacted
from vsr.media.frames.planes import av_from_frame, converted
from vsr.media.outputs import check_outputs
from vsr.media.read.open import open_source
from vsr.media.types import Source, SourceOptions

Rgb = npt.NDArray[np.uint8]

_SHOTS = 4
_CROP = 96
_CROPS = 2


@dataclass(frozen=True, slots=True)
class CompareConfig:
    """a, b: videos or pictures of the same frames; reference: what both are measured against, or None for a against b.
    output: the page. frames: at most so many are compared. Raises ConfigError."""

    a: str
    b: str
    reference: str | None = None
    output: Path = Path("compare.html")
    frames: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise ConfigError(f"{self.frames} frames are out of range", hint="give 1 or more")


@dataclass(order=True, slots=True)
class _Candidate:
    """A frame that may be shown: the more the two differ, the sooner."""

    difference: float
    number: int
    pictures: tuple[Rgb, ...] = field(compare=False)


def compare(config: CompareConfig, say: Callable[[str], None] | None = None) -> Comparison:
    """Measure every frame and write one HTML page that needs no network.

    Inputs of other sizes are brought to the largest by Lanczos, with a note. Frames are paired by number; where their times
    differ, a note says so. Raises what `open_source` raises, ConfigError for an output that exists or is an input, and for
    inputs that are not the same picture or too small, DecodeError where one ends before the others.
    """
    names = [config.a, config.b, *([config.reference] if config.reference else [])]
    check_outputs(names, [str(config.output)])
    check_writable(config.output, overwrite=config.overwrite)
    labels = names_of_inputs([redacted(name) for name in names])
    pairs = [(0, 2), (1, 2)] if config.reference else [(0, 1)]
    figures: dict[str, dict[str, list[float]]] = {
        f"{labels[x]} to {labels[y]}": {"psnr_y": [], "ssim_y": []} for x, y in pairs
    }
    seconds: list[float] = []
    kept: list[_Candidate] = []
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(name, SourceOptions())) for name in names]
        sizes = {label: (s.info.width, s.info.height) for label, s in zip(labels, sources, strict=True)}
        size = _largest(sizes)
        resizing = [_resizing(label, have, size) for label, have in sizes.items()]
        moments = Moments(sources, names, labels)
        for number, frames in enumerate(_together(sources, labels, config.frames, moments)):
            pictures = tuple(_luma_and_rgb(frame, size) for frame in frames)
            for (x, y), rows in zip(pairs, figures.values(), strict=True):
                rows["psnr_y"].append(metrics.psnr(pictures[x][0], pictures[y][0]))
                rows["ssim_y"].append(metrics.ssim(pictures[x][0], pictures[y][0]))
            seconds.append(float((frames[0].pts or 0) * frames[0].time_base))
            rgb = tuple(picture[1] for picture in pictures)
            difference = float(np.abs(rgb[0].astype(np.int16) - rgb[1]).mean())
            heapq.heappush(kept, _Candidate(difference, number, rgb))
            if len(kept) > _SHOTS:
                heapq.heappop(kept)
            if say is not None:
                say(f"{number + 1} frames")
    means = {
        pair: {name: float(np.mean(values)) for name, values in rows.items()}
        for pair, rows in figures.items()
    }
    notes = (*(note for note in resizing if note), *moments.notes)
    result = Comparison(seconds, figures, means, size, config.output, notes)
    shots = [
        _shot(candidate, seconds[candidate.number]) for candidate in sorted(kept, key=lambda c: c.number)
    ]
    write_whole(config.output, page(result, labels, shots).encode())
    return result


def _together(
    sources: Sequence[Source], labels: Sequence[str], most: int | None, moments: Moments
) -> Iterator[tuple[Frame, ...]]:
    """Frames of the same number; the same number of them from each."""
    for number, frames in enumerate(zip_longest(*sources)):
        if most is not None and number >= most:
            return
        ended = [label for label, frame in zip(labels, frames, strict=True) if frame is None]
        if ended:
            hint = f"--frames {number} compares the first {number} of each"
            if moments.notes:
                hint = f"{moments.notes[0]}; bring both to the same frames first, or {hint}"
            raise DecodeError(f"{ended[0]} ends after {number} frames, before the others", hint=hint)
        moments.see(number, frames)
        yield frames


def _largest(sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """The size that all are brought to. Raises ConfigError where it has no room for SSIM."""
    label, (width, height) = max(sizes.items(), key=lambda item: item[1][0] * item[1][1])
    if min(width, height) < metrics.SSIM_SIDE:
        raise ConfigError(
            f"{label} is {width}x{height}: SSIM needs {metrics.SSIM_SIDE} samples a side",
            hint="compare larger pictures",
        )
    return width, height


def _resizing(name: str, have: tuple[int, int], want: tuple[int, int]) -> str:
    if have == want:
        return ""
    if abs(have[0] * want[1] / (have[1] * want[0]) - 1) > 0.02:
        raise ConfigError(
            f"{name} is {have[0]}x{have[1]}, which is no smaller form of {want[0]}x{want[1]}",
            hint="compare pictures of one shape",
        )
    return f"{name} is brought from {have[0]}x{have[1]} to {want[0]}x{want[1]} by Lanczos"


def _luma_and_rgb(frame: Frame, size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], Rgb]:
    picture = converted(
        av_from_frame(replace(frame, pts=None, time_base=Fraction(1, 25))), "rgb24", size=size
    )
    rgb = np.asarray(picture.to_ndarray(), np.uint8)
    return metrics.y_from_rgb(rgb), rgb


def _shot(candidate: _Candidate, at_s: float) -> Shot:
    first, second = candidate.pictures[:2]
    height, width = first.shape[:2]
    crop = min(_CROP, height, width)
    places = busiest(first, second, crop, _CROPS)
    crops = [
        tuple(picture[top : top + crop, left : left + crop] for picture in candidate.pictures)
        for top, left in places
    ]
    return Shot(candidate.number, at_s, candidate.pictures, crops)
