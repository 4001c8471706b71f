"""What a stage took: seconds of the clock and of processors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Measure:
    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.seconds = self.cpu_s = 0.0

    def stop(self) -> None:
        self.seconds, self.cpu_s = time.perf_counter() - self.wall, time.process_time() - self.cpu

    def result(self, frames: int) -> dict[str, Any]:
        return {
            "frames": frames,
            "seconds": round(self.seconds, 3),
            "fps": round(frames / self.seconds, 2),
            "cpu_s": round(self.cpu_s, 3),
        }


@contextmanager
def measured() -> Iterator[Measure]:
    measure = Measure()
    yield measure
    measure.stop()
