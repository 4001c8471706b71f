"""Measures the rate of a source's clock by the arrivals that nothing held up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

# The quickest arrival of each such interval is kept, for this number of intervals: two minutes.
_WINDOW_S = 0.5
_KEPT_WINDOWS = 240
# With fewer intervals, no rate is known.
_LEAST_WINDOWS = 4
# The error of the slope: the scatter of the quickest arrivals, times this factor, divided by their time span; at least this
# much.
_DOUBT = 3.0
_LEAST_SCATTER_S = 0.0005


class Quickest:
    """The line below all arrivals: how long after its own time stamp a packet comes if nothing holds it up.

    A packet may be late by anything, and is never early. So the line lies below all points (stamp, arrival - stamp) and touches
    the quickest; of all such lines it is the nearest to the middle of the last two minutes. Its slope is the gain of one
    clock on the other.
    """

    def __init__(self) -> None:
        self.slope = 0.0
        """The rise of the line in a second of stamps."""
        self.doubt = math.inf
        """By how much the slope may be wrong."""
        self._points: deque[tuple[float, float]] = deque(maxlen=_KEPT_WINDOWS)
        self._window_from = -math.inf
        self._least: tuple[float, float] | None = None
        self._through: tuple[float, float] | None = None
        self._begins: float | None = None

    @property
    def known(self) -> bool:
        """Whether there are enough arrivals for a rate."""
        return len(self._points) >= _LEAST_WINDOWS

    @property
    def points(self) -> Sequence[tuple[float, float]]:
        """The quickest arrivals: (stamp, arrival - stamp) of each half second."""
        return self._points

    @property
    def begins(self) -> float:
        """The first stamp."""
        return self._begins if self._begins is not None else math.inf

    def way(self, stamp: float) -> float:
        """Seconds from that stamp to the arrival of what nothing holds up; infinite before anything has come."""
        if self._through is None:
            return math.inf
        at, way = self._through
        return way + self.slope * (stamp - at)

    def slope_near(self, guess: float) -> float:
        """The possible slope that is nearest to a guess."""
        return min(max(guess, self.slope - self.doubt), self.slope + self.doubt)

    def add(self, stamp: float, arrival: float) -> bool:
        """Take in a packet, in seconds of both clocks. True where the line is a new one."""
        if self._begins is None:
            self._begins, self._window_from = stamp, arrival
        point = stamp, arrival - stamp
        if self._least is None or self._over(point) < self._over(self._least):
            self._least = point
        if not self.known and (self._through is None or point[1] < self._through[1]):
            self._through = point
        if arrival - self._window_from < _WINDOW_S:
            return False
        self._points.append(self._least)
        self._window_from, self._least = arrival, None
        if self.known:
            self._fit()
        return self.known

    def _over(self, point: tuple[float, float]) -> float:
        return point[1] - self.slope * point[0]

    def _fit(self) -> None:
        points = sorted(self._points)
        (x0, y0), (x1, y1) = _edge_below(points, sum(x for x, _ in points) / len(points))
        self.slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
        self._through = x0, y0
        scatter = median(y - self.way(x) for x, y in points)
        span = points[-1][0] - points[0][0]
        self.doubt = _DOUBT * max(scatter, _LEAST_SCATTER_S) / span if span > 0 else math.inf


def _edge_below(
    points: Sequence[tuple[float, float]], middle: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The edge of the lower convex hull of sorted points that lies across `middle` (Andrew's monotone chain)."""
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) >= 2 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return next((edge for edge in pairwise(hull) if edge[1][0] >= middle), (hull[0], hull[-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
