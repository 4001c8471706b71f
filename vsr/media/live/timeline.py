"""One clock for everything that goes out, whatever the clocks of what comes in."""

from __future__ import annotations

import threading
from fractions import Fraction

TICKS = 90_000
TIME_BASE = Fraction(1, TICKS)

# A source's timestamps may run off from the clock on the wall by so much from one to the next: more is a jump of theirs
# (a wrap-around, a restarted encoder), and is closed.
_JUMP_S = 2
# Containers that count milliseconds must tell one frame from the next; between two connections there is a little more.
_LEAST_STEP = TICKS // 1000
_LEAST_GAP_S = Fraction(1, 100)


class Timeline:
    """Maps a source's timestamps to ticks since the session began: never back, and across reconnects.

    Between two jumps the source's own distances are kept exactly. Audio and video move together.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._lock = threading.Lock()
        self._offset: Fraction | None = None
        self._previous: Fraction | None = None
        # By kind of stream: the last time given, and when it came.
        self._last: dict[str, tuple[Fraction, float]] = {}
        self._ticks: dict[str, int] = {}
        self.jumps = 0

    def restart(self) -> None:
        """A new connection: its timestamps have nothing to do with those before."""
        with self._lock:
            self._offset = self._previous = None

    def ticks(self, kind: str, stamp: Fraction | None, arrived_at: float) -> int:
        """stamp: seconds of the source's clock, None where it tells none; arrived_at: of the monotonic one.

        Strictly rising for each kind.
        """
        with self._lock:
            time = self._placed(kind, stamp, arrived_at)
            self._last[kind] = time, arrived_at
            ticks = max(round(time * TICKS), self._ticks.get(kind, -_LEAST_STEP) + _LEAST_STEP)
            self._ticks[kind] = ticks
            return ticks

    def _placed(self, kind: str, stamp: Fraction | None, arrived_at: float) -> Fraction:
        wall = _fraction(arrived_at - self._started_at)
        if stamp is None:
            last = self._last.get(kind)
            return wall if last is None else max(wall, last[0] + _LEAST_GAP_S)
        if self._offset is None:
            # Not before anything that has gone out already.
            begin = max([wall, *(time + _LEAST_GAP_S for time, _ in self._last.values())])
            self._offset = begin - stamp
            return begin
        last = self._last.get(kind)
        if last is None:
            return stamp + self._offset
        expected = last[0] + _fraction(arrived_at - last[1])
        if abs(stamp + self._offset - expected) <= _JUMP_S:
            return stamp + self._offset
        if self._previous is not None and abs(stamp + self._previous - expected) <= _JUMP_S:
            return stamp + self._previous  # of the other kind of stream, from before the jump
        self._previous, self._offset = self._offset, expected - stamp
        self.jumps += 1
        return expected


def _fraction(seconds: float) -> Fraction:
    return Fraction(round(seconds * TICKS), TICKS)
