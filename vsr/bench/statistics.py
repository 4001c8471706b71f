"""Repeats as numbers: their spread, when there are enough of them, and which of two is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["better", "worse", "same", "unknown"]

MIN_REPEATS = 5
"""Fewer say nothing about how far the next one would be off."""
SETTLED_REPEATS, SETTLED_WITHIN = 10, 0.02
"""A median is settled after so many repeats at least, once the half width of its notch is at most this part of it."""
LEAST_CHANGE = 0.03
"""Two runs of the same program on one machine differ by about as much: less is called the same, however small the spread."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeats of one figure: median, lower and upper quartile, and how many there were.

    settled: they were repeated until the median was known within 2 %; otherwise time was over first.
    """

    median: float
    low: float
    high: float
    repeats: int
    settled: bool = False

    @property
    def error(self) -> float:
        """Half width of the notch around the median: 1.57 x (upper - lower quartile) / sqrt(repeats). Two medians whose
        notches do not overlap differ with about 95 % confidence (McGill, Tukey and Larsen 1978). Infinite for fewer than five
        repeats."""
        if self.repeats < MIN_REPEATS:
            return math.inf
        return 1.57 * (self.high - self.low) / math.sqrt(self.repeats)


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """Milliseconds from one frame to the next at a stage's end: percentiles. frames: how many were seen."""

    p50: float
    p95: float
    p99: float
    frames: int


def quantile(values: Sequence[float], part: float) -> float:
    """Between the two nearest in order, by distance (NumPy's "linear"). values: one at least. part: 0 to 1."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> Spread:
    """The median and quartiles of one value or more."""
    low, median, high = (quantile(values, part) for part in (0.25, 0.5, 0.75))
    found = Spread(median, low, high, len(values))
    settled = len(values) >= SETTLED_REPEATS and found.error <= SETTLED_WITHIN * median
    return Spread(digits(median), digits(low), digits(high), len(values), settled)


def frame_times(seconds: Sequence[float]) -> FrameTimes:
    """The percentiles, in milliseconds, of the seconds of one frame or more."""
    p50, p95, p99 = (1000 * quantile(seconds, part) for part in (0.5, 0.95, 0.99))
    return FrameTimes(digits(p50), digits(p95), digits(p99), len(seconds))


def digits(value: float) -> float:
    """The value rounded to five digits, as every measured figure is."""
    return float(f"{value:.5g}")


def verdict(before: Spread, after: Spread, *, more_is_better: bool) -> Verdict:
    """Whether the second is better. "same" within the spread of both, or within 3 %; "unknown" where one of them has too few
    repeats for a spread."""
    if math.isinf(before.error) or math.isinf(after.error):
        return "unknown"
    difference = after.median - before.median
    if abs(difference) <= max(before.error + after.error, LEAST_CHANGE * before.median):
        return "same"
    return "better" if (difference > 0) == more_is_better else "worse"
