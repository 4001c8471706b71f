"""Percentiles of a stream of durations, in bounded memory."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from vsr.core.clock import SYSTEM_CLOCK, Clock

# Buckets of durations, each 2 % wider than the one before: percentiles are exact to 2 %.
_LEAST_S = 1e-4
_RATIO = 1.02
_BUCKETS = 700
_WINDOW_S = 10
_LOG = math.log(_RATIO)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of durations in milliseconds. count: the number of durations. most_ms, sum_ms: of all durations, exact."""

    count: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    most_ms: float = 0.0
    sum_ms: float = 0.0


class Latency:
    """Durations of all frames, and of the frames of the last ten seconds. One thread adds, any thread may read."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all = [0] * _BUCKETS
        self._most_s = self._sum_s = 0.0
        # One entry for each second: (second, number of durations in each bucket, [longest, sum]).
        self._seconds: deque[tuple[int, list[int], list[float]]] = deque()

    def add(self, seconds: float) -> None:
        bucket = _bucket(seconds)
        second = int(self._clock.now())
        with self._lock:
            self._all[bucket] += 1
            self._most_s = max(self._most_s, seconds)
            self._sum_s += seconds
            if not self._seconds or self._seconds[-1][0] != second:
                self._seconds.append((second, [0] * _BUCKETS, [0.0, 0.0]))
                self._forget(second)
            _, counts, most = self._seconds[-1]
            counts[bucket] += 1
            most[0], most[1] = max(most[0], seconds), most[1] + seconds

    def overall(self) -> Percentiles:
        with self._lock:
            return _percentiles(self._all, self._most_s, self._sum_s)

    def recent(self) -> Percentiles:
        """The percentiles of the last ten seconds."""
        with self._lock:
            self._forget(int(self._clock.now()))
            counts = [sum(column) for column in zip(*(item[1] for item in self._seconds), strict=True)]
            most_s = max((item[2][0] for item in self._seconds), default=0.0)
            return _percentiles(counts, most_s, sum(item[2][1] for item in self._seconds))

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - _WINDOW_S:
            self._seconds.popleft()


def _bucket(seconds: float) -> int:
    if seconds <= _LEAST_S:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(seconds / _LEAST_S) / _LOG))


def _percentiles(counts: Sequence[int], most_s: float, sum_s: float) -> Percentiles:
    total = sum(counts)
    if not total:
        return Percentiles()
    found = []
    for part in (0.5, 0.95, 0.99):
        wanted = math.ceil(part * total)
        place = next(place for place, seen in enumerate(accumulate(counts)) if seen >= wanted)
        found.append(min(_LEAST_S * _RATIO**place, most_s) * 1000)
    return Percentiles(total, *(round(value, 2) for value in (*found, most_s * 1000, sum_s * 1000)))
