"""What a stage took: seconds of the clock and of processors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from vsr.bench.result import Part


class Measure:
    """Begins when it is made. seconds, cpu_s: 0 until `stop`."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.seconds = self.cpu_s = 0.0

    def stop(self) -> None:
        self.seconds, self.cpu_s = time.perf_counter() - self.wall, time.process_time() - self.cpu

    def part(self, frames: int) -> Part:
        """What was measured, of so many frames."""
        return Part(frames, round(self.seconds, 3), round(frames / self.seconds, 2), round(self.cpu_s, 3))


@contextmanager
def measured() -> Iterator[Measure]:
    measure = Measure()
    yield measure
    measure.stop()
