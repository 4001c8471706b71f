"""When frames are due, and how far behind late packets are."""

from __future__ import annotations

import math
from fractions import Fraction

from vsr.core.clock import SYSTEM_CLOCK, Clock

# Later than this, or earlier: the stream has jumped, or the machine slept.
_LOST_S = 3.0


class Pace:
    """Says when a frame is due, by its own time and the first one's."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._anchor: float | None = None

    def due(self, stamp: Fraction) -> float:
        """When a frame with that time, in seconds, is to be given, on the monotonic clock."""
        now = self._clock.now()
        if self._anchor is None or abs(self._anchor + float(stamp) - now) > _LOST_S:
            self._anchor = now - float(stamp)
        return self._anchor + float(stamp)


# Half of what the best way here is looked for in: longer, and two clocks that drift apart would count as delay.
_WINDOW_S = 15.0
# Nothing real is this late, nor goes back by so much: the stream has jumped.
_JUMP_S = 20.0
_BACK_S = 0.5


class Lag:
    """How much later packets come than the quickest ones lately did, by their own times."""

    def __init__(self) -> None:
        self._least = self._least_before = math.inf
        self._since = -math.inf
        self._stamp = -math.inf

    def behind_s(self, stamp: Fraction, arrived_at: float) -> float:
        """Seconds; 0 for a packet that came as quickly as any."""
        way = arrived_at - float(stamp)
        least = min(self._least, self._least_before)
        went_back_s, self._stamp = self._stamp - float(stamp), float(stamp)
        if abs(way - least) > _JUMP_S or went_back_s > _BACK_S:
            self._least = self._least_before = math.inf
        if arrived_at - self._since > _WINDOW_S:
            self._since, self._least_before, self._least = arrived_at, self._least, math.inf
        self._least = min(self._least, way)
        return way - min(self._least, self._least_before)
