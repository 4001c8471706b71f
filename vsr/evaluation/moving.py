"""What one frame cannot show: a detail that moves, over eight frames, and a column of the picture over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vsr.evaluation.pictures import busiest
from vsr.media.frames.cuts import is_cut, thumbnail

Rgb = npt.NDArray[np.uint8]
Luma = npt.NDArray[np.uint8]

FRAMES = 8
"""Frames of a detail."""

_CROP = 72
_INNER = 32  # What moves most is in the middle of the crop.
_COLUMNS = 16  # The columns that are kept; the one that changes most is shown.
_LONGEST = 240  # Frames of a time slice.
_ROWS = 160


@dataclass
class Detail:
    """One place in successive frames. change: how much it moves at first, the mean difference in codes of Y. crops: for each
    frame, one of each picture."""

    first: int
    place: tuple[int, int]
    change: float
    crops: list[tuple[Rgb, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class TimeSlice:
    """A column of each picture, from row `top` on, over time: uint8 [rows, frames, 3]."""

    column: int
    top: int
    pictures: tuple[Rgb, ...]


class Moving:
    """Takes the pictures of one frame after the other. Motion is looked for in the last of them."""

    def __init__(self) -> None:
        self.detail: Detail | None = None
        """Of the details that begin at every eighth frame, the one that moves most, clear of cuts. None if nothing moves."""
        self._begun: Detail | None = None
        self._before: tuple[Sequence[Rgb], Luma] | None = None
        self._columns: list[Sequence[Rgb]] = []
        self._places: list[int] = []

    def add(self, number: int, pictures: Sequence[Rgb], luma: Luma) -> None:
        """pictures: uint8 [H, W, 3] of one size. luma: of the last of them. number: of the frame, from 0."""
        if self._before is not None:
            pictures_before, luma_before = self._before
            if is_cut(thumbnail(luma_before), thumbnail(luma)):
                self._begun = None
            elif number % FRAMES == 1:
                self._begin(number - 1, luma_before, luma)
                self._continue(pictures_before)
        self._continue(pictures)
        self._places = [luma.shape[1] * (2 * n + 1) // (2 * _COLUMNS) for n in range(_COLUMNS)]
        if number < _LONGEST:
            self._columns.append([picture[:, self._places] for picture in pictures])
        self._before = pictures, luma

    def time_slice(self) -> TimeSlice | None:
        """The column that changes most over the first 240 frames; None if nothing changes."""
        if len(self._columns) < 2:
            return None
        kept = np.stack([columns[-1].mean(2, dtype=np.float32) for columns in self._columns], 2)
        changes = np.abs(np.diff(kept, axis=2)).mean(2)  # [height, columns]
        if not changes.any():
            return None
        rows = min(_ROWS, len(changes))
        sums = np.pad(changes, ((1, 0), (0, 0))).cumsum(0)
        tops = sums[rows:] - sums[:-rows]
        top, place = (int(at) for at in np.unravel_index(int(tops.argmax()), tops.shape))
        slices = [
            np.stack([columns[of][top : top + rows, place] for columns in self._columns], 1)
            for of in range(len(self._columns[0]))
        ]
        return TimeSlice(self._places[place], top, tuple(slices))

    def _begin(self, number: int, before: Luma, now: Luma) -> None:
        crop, inner = min(_CROP, *now.shape), min(_INNER, *now.shape)
        [at] = busiest(before[..., None], now[..., None], inner)
        top, left = (
            min(max(0, start + (inner - crop) // 2), side - crop)
            for start, side in zip(at, now.shape, strict=True)
        )
        inside = slice(top, top + crop), slice(left, left + crop)
        change = float(np.abs(now[inside].astype(np.int16) - before[inside]).mean())
        if change > (self.detail.change if self.detail else 0):
            self._begun = Detail(number, (top, left), change)

    def _continue(self, pictures: Sequence[Rgb]) -> None:
        if self._begun is None:
            return
        top, left = self._begun.place
        crop = min(_CROP, *pictures[0].shape[:2])
        self._begun.crops.append(
            tuple(picture[top : top + crop, left : left + crop].copy() for picture in pictures)
        )
        if len(self._begun.crops) == FRAMES:
            self.detail, self._begun = self._begun, None
