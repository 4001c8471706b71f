"""Frames of several streams in one run of a network."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from vsr.core.frame import Frame
from vsr.upscale.planes import Kind
from vsr.upscale.upscaler import Upscaler


@dataclass(slots=True, eq=False)
class _Waiting:
    """A frame of one stream. The event is set with the result or the error, or without both: then its thread leads on."""

    frame: Frame
    kind: Kind
    event: threading.Event = field(default_factory=threading.Event)
    large: Frame | None = None
    seconds: float = 0.0
    error: Exception | None = None


class Batches:
    """Collects the frames that come while a run is in progress, and runs those of one kind together. For any thread.

    Nothing waits for a batch to fill: a frame that comes while nothing runs, runs alone. For networks without memory.
    """

    def __init__(self, upscaler: Upscaler) -> None:
        self._upscaler = upscaler
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._running = False

    def upscale(self, frame: Frame) -> tuple[Frame, float]:
        """(the larger frame, its part of the seconds of the run). Raises what `Upscaler.upscale_batch` raises."""
        mine = _Waiting(frame, Kind.of(frame))
        with self._lock:
            self._waiting.append(mine)
            leads, self._running = not self._running, True
        if not leads:
            mine.event.wait()
            leads = mine.large is None and mine.error is None
        if leads:
            self._run(mine)
        if mine.error is not None:
            raise mine.error
        assert mine.large is not None
        return mine.large, mine.seconds

    def _run(self, first: _Waiting) -> None:
        """Run the batch of that frame, and wake the others; then the next frame's thread leads."""
        most = self._upscaler.batch(first.frame.width, first.frame.height)
        with self._lock:
            others = [one for one in self._waiting if one.kind == first.kind and one is not first]
            batch = [first, *others[: most - 1]]
            self._waiting = [one for one in self._waiting if one not in batch]
        self._compute(batch, most)
        with self._lock:
            batch += self._waiting[:1]
            self._running = bool(self._waiting)
        for one in batch:
            one.event.set()

    def _compute(self, batch: list[_Waiting], most: int) -> None:
        began = time.perf_counter()
        try:
            large = self._upscaler.upscale_batch(_filled_up([one.frame for one in batch], most))
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for one in batch:  # Each alone, so that only the stream whose frame fails has the error.
                self._compute([one], most)
            return
        seconds = (time.perf_counter() - began) / len(batch)
        for one, result in zip(batch, large, strict=False):
            one.large, one.seconds = result, seconds


def _filled_up(frames: list[Frame], most: int) -> list[Frame]:
    """The last frame repeated up to a power of two: a GPU wants a graph for each size of a batch."""
    wanted = 1
    while wanted < len(frames):
        wanted *= 2
    return [*frames, *frames[-1:] * (min(wanted, most) - len(frames))]
