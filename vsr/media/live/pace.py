"""Delays packets that arrive faster than they play."""

from __future__ import annotations

from fractions import Fraction

from vsr.core.clock import SYSTEM_CLOCK, Clock

# If a packet is earlier or later than this, the stream has jumped, or the machine slept.
_LOST_S = 3.0


class Pace:
    """Says when a frame is due, by its own time and the first one's."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._anchor: float | None = None

    def due(self, stamp: Fraction) -> float:
        """The time on the monotonic clock at which a frame with this time, in seconds, is due."""
        now = self._clock.now()
        if self._anchor is None or abs(self._anchor + float(stamp) - now) > _LOST_S:
            self._anchor = now - float(stamp)
        return self._anchor + float(stamp)
