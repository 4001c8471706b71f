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
from vsr.core.secrets import redacted
from vsr.core.video import VideoInfo
from vsr.evaluation import metrics
from vsr.evaluation.blind import Trial, blind_page
from vsr.evaluation.comparison import Comparison
from vsr.evaluation.frame_times import Moments
from vsr.evaluation.moving import Moving
from vsr.evaluation.names import names_of_inputs
from vsr.evaluation.page import Shot, page
from vsr.evaluation.pictures import busiest
from vsr.files.checks import check_writable
from vsr.files.whole import write_whole
from vsr.media.frames.planes import av_from_frame, converted
from vsr.media.outputs import check_outputs
from vsr.media.read.open import open_source
from vsr.media.types import Source, SourceOptions
from vsr.upscale.alpha import extended_colour

Rgb = npt.NDArray[np.uint8]

_SHOTS = 4
_CROP = 96
_CROPS = 2
_SQUARE = 8


@dataclass(frozen=True, slots=True)
class CompareConfig:
    """One call of `vsr compare`.

    a, b: videos or pictures of the same frames. reference: the original that both are compared with; None compares a with b.
    output: path of the page. frames: most frames to compare. blind: the page does not say which picture is which, and counts
    choices. Raises ConfigError.
    """

    a: str
    b: str
    reference: str | None = None
    output: Path = Path("compare.html")
    frames: int | None = None
    overwrite: bool = False
    blind: bool = False

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
    """Measure every frame, as it is displayed, and write one HTML page that needs no network.

    Rotated pictures are turned upright. Transparent pictures are laid on a checkerboard, with a note. Inputs of different sizes
    are enlarged to the largest size by Lanczos, with a note. Frames are paired by number; a note says where their times differ.
    Raises the errors of `open_source`; ConfigError for an output that exists or is an input, and for inputs that show different
    pictures or are too small; DecodeError if one input ends before the others.
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
    moving = Moving()
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(name, SourceOptions())) for name in names]
        infos = {label: source.info for label, source in zip(labels, sources, strict=True)}
        shown = _largest(infos)
        size = _upright(shown)
        prepared = [note for label, info in infos.items() for note in _preparing(label, info, shown)]
        moments = Moments(sources, names, labels)
        for number, frames in enumerate(_together(sources, labels, config.frames, moments)):
            pictures = tuple(
                _luma_and_rgb(frame, info, size) for frame, info in zip(frames, infos.values(), strict=True)
            )
            for (x, y), rows in zip(pairs, figures.values(), strict=True):
                rows["psnr_y"].append(metrics.psnr(pictures[x][0], pictures[y][0]))
                rows["ssim_y"].append(metrics.ssim(pictures[x][0], pictures[y][0]))
            seconds.append(float((frames[0].pts or 0) * frames[0].time_base))
            rgb = tuple(picture[1] for picture in pictures)
            moving.add(number, rgb, pictures[-1][0])
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
    notes = (*prepared, *moments.notes)
    result = Comparison(seconds, figures, means, size, config.output, notes)
    shots = [
        _shot(candidate, seconds[candidate.number]) for candidate in sorted(kept, key=lambda c: c.number)
    ]
    made = blind_page(labels, _trials(shots)) if config.blind else page(result, labels, shots, moving)
    write_whole(config.output, made.encode())
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


def _largest(infos: Mapping[str, VideoInfo]) -> VideoInfo:
    """The input whose size all are brought to. Raises ConfigError where it has no room for SSIM."""
    label, info = max(infos.items(), key=lambda item: item[1].width * item[1].height)
    if min(info.width, info.height) < metrics.SSIM_SIDE:
        raise ConfigError(
            f"{label} is {info.width}x{info.height}: SSIM needs {metrics.SSIM_SIDE} samples a side",
            hint="compare larger pictures",
        )
    return info


def _upright(info: VideoInfo) -> tuple[int, int]:
    """Width and height in samples, as displayed."""
    return (info.height, info.width) if info.rotation % 180 else (info.width, info.height)


def _preparing(name: str, info: VideoInfo, shown: VideoInfo) -> list[str]:
    """Sentences about the conversion of an input before the comparison."""
    have, want = _upright(info), _upright(shown)
    notes = []
    if have != want:
        shape = info.display_size[0] / info.display_size[1] / (shown.display_size[0] / shown.display_size[1])
        if abs(have[0] * want[1] / (have[1] * want[0]) - 1) > 0.02 and abs(shape - 1) > 0.02:
            raise ConfigError(
                f"{name} is {have[0]}x{have[1]}, which is not a reduction of {want[0]}x{want[1]}",
                hint="compare pictures of one shape",
            )
        notes.append(f"{name} is brought from {have[0]}x{have[1]} to {want[0]}x{want[1]} by Lanczos")
    if info.format.alpha:
        notes.append(f"{name} has alpha, and is compared on a checkerboard")
    return notes


def _luma_and_rgb(frame: Frame, info: VideoInfo, size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], Rgb]:
    """The frame as it is displayed, `size` (width, height) samples."""
    frame = replace(frame, pts=None, time_base=Fraction(1, 25))
    if frame.format.alpha:
        # Otherwise invisible colour would get into visible samples when it is resized.
        frame = replace(frame, planes=[*extended_colour(frame), frame.planes[-1]])
    lying = size[::-1] if info.rotation % 180 else size
    name = "rgba" if frame.format.alpha else "rgb24"
    pixels = np.asarray(converted(av_from_frame(frame), name, size=lying).to_ndarray(), np.uint8)
    if info.mirrored:
        pixels = pixels[:, ::-1]
    pixels = np.rot90(pixels, info.rotation // 90)
    rgb = np.ascontiguousarray(_on_checkerboard(pixels) if frame.format.alpha else pixels)
    return metrics.y_from_rgb(rgb), rgb


def _on_checkerboard(rgba: npt.NDArray[np.uint8]) -> Rgb:
    """The picture over squares of light and dark gray, so that no colour disappears."""
    rows, columns = np.ogrid[: rgba.shape[0], : rgba.shape[1]]
    board = np.where((rows // _SQUARE + columns // _SQUARE) % 2, 153, 102).astype(np.float32)[..., None]
    alpha = rgba[..., 3:] / np.float32(255)
    return np.rint(board + (rgba[..., :3] - board) * alpha).astype(np.uint8)


def _trials(shots: Sequence[Shot]) -> list[Trial]:
    """The shown frames and their crops, one choice each."""
    return [
        Trial(f"frame {shot.number}" + (f", crop {place}" if place else ""), pictures)
        for shot in shots
        for place, pictures in enumerate((shot.pictures, *shot.crops))
    ]


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
