"""Decides how much goes through networks at a time: less if memory is short."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from vsr.core.errors import DeviceMemoryError
from vsr.core.limits import memory_bytes
from vsr.upscale.planes import Kind
from vsr.upscale.tiles import TilePlan

MAX_RUN_PIXELS = 4 * 1280 * 720
"""LR pixels of frames that go in one run together."""
_MOST_FRAMES = 64
# Bytes that vsr's widest network needs for an LR pixel, and the share of the memory for runs in progress.
_BYTES_PER_PIXEL = 400
_SHARE = 4
_MIN_TILE = 128


def most_at_once(wanted: int, pixels: int, result_bytes: int) -> int:
    """The number of runs that may be in progress, by their LR pixels and the bytes of their results: `wanted`, or fewer."""
    most = memory_bytes() // _SHARE // (pixels * _BYTES_PER_PIXEL + result_bytes)
    return max(1, min(wanted, most))


Item = TypeVar("Item")
Result = TypeVar("Result")


class Portion:
    """The amount that goes through a network at a time. For several threads and networks, which learn from each other.

    If memory is too short for a run, it is repeated with fewer frames, then with smaller tiles; later runs keep to that. tile:
    LR pixels a side, 0 for no tiles, None to tile only large pictures. notes: gets a sentence for each step.
    """

    def __init__(self, tile: int | None, notes: list[str]) -> None:
        self.tile = tile
        self._frames = _MOST_FRAMES
        self._notes = notes
        self._lock = threading.Lock()
        self._frees: list[Callable[[], None]] = []

    def when_short(self, free: Callable[[], None]) -> None:
        """`free` is called before a run is repeated."""
        self._frees.append(free)

    def run(
        self,
        work: Callable[[Sequence[Item]], list[Result]],
        pictures: Sequence[Item],
        kind: Kind,
        plan: Callable[[Kind], TilePlan],
    ) -> list[Result]:
        """The results of `work` for all pictures, which it is given some of at a time. plan: the tiles it cuts them into now.

        Raises DeviceMemoryError where memory is too short for the smallest tile, and what `work` raises.
        """
        while True:
            tile, frames = self.tile, self._frames
            try:
                together = self._together(len(pictures), kind)
                parts = [pictures[begin : begin + together] for begin in range(0, len(pictures), together)]
                return [result for part in parts for result in work(part)]
            except DeviceMemoryError as error:
                with self._lock:
                    if (tile, frames) == (self.tile, self._frames):  # Otherwise another thread has done it.
                        self._take_less(len(pictures), kind, plan(kind), error)

    def _together(self, count: int, kind: Kind) -> int:
        return max(1, min(count, self._frames, MAX_RUN_PIXELS // (kind.width * kind.height)))

    def _take_less(self, count: int, kind: Kind, plan: TilePlan, error: DeviceMemoryError) -> None:
        together = self._together(count, kind)
        if together > 1:
            self._frames = together // 2
            what, now = f"{together} frames at a time", f"{self._frames}"
        else:
            side = min(plan.tile, max(kind.width, kind.height))
            if side <= _MIN_TILE:
                raise error
            self.tile = max(_MIN_TILE, 1 << (side - 1).bit_length() - 1)
            what, now = ("a whole frame" if plan.whole else f"tiles of {side}"), f"tiles of {self.tile}"
        self._notes.append(f"not enough memory for {what}; continuing with {now}")
        for free in self._frees:
            free()
