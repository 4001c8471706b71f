"""Cutting a picture into windows whose inner parts come out as if it had never been cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A run of samples along one axis: [start, start + length) is fed to the network, [begin, end) of the picture is kept."""

    start: int
    length: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Windows along both axes, all of one size, in LR luma samples.

    width, height: of the picture, already padded to multiples of `multiple`, which every start and length keeps.
    """

    width: int
    height: int
    tile: int
    halo: int
    multiple: int

    @property
    def window_size(self) -> tuple[int, int]:
        """(width, height) that the network is compiled for."""
        return self._length(self.width), self._length(self.height)

    @property
    def whole(self) -> bool:
        """Whether one window holds the picture."""
        return self.window_size == (self.width, self.height)

    def __iter__(self) -> Iterator[tuple[Window, Window]]:
        """(horizontal, vertical) windows, row by row."""
        for vertical in self._windows(self.height):
            for horizontal in self._windows(self.width):
                yield horizontal, vertical

    def _length(self, size: int) -> int:
        return min(size, self._up(self.tile) + 2 * self._up(self.halo))

    def _windows(self, size: int) -> Iterator[Window]:
        length = self._length(size)
        if length == size:
            yield Window(0, size, 0, size)
            return
        step = self._up(self.tile)
        for begin in range(0, size, step):
            # A window at the picture's end moves inwards, so that all windows have one size.
            start = min(max(begin - self._up(self.halo), 0), size - length)
            yield Window(start, length, begin, min(begin + step, size))

    def _up(self, value: int) -> int:
        return -(-value // self.multiple) * self.multiple
