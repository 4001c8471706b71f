"""One clock for all output, whatever the clocks of the input are. docs/time.md explains it.

A source stamps sound and pictures by clocks of its own. They run a little fast or slow, and now and then they jump. The
output runs with the monotonic clock of this machine:

- The first stamp of a connection is placed at its arrival, and later sound and pictures are placed by their stamps.
- The clock of the pictures is compared with this machine's clock (`quickest.py`), and its rate is corrected slowly. Arrivals
  never show in single stamps. Sound follows the pictures, unless it has a clock of its own.
- A jump is subtracted from the stamps that follow it, by the same amount for both kinds.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from fractions import Fraction
from statistics import median

from vsr.media.live.quickest import Quickest

TICKS = 90_000
TIME_BASE = Fraction(1, TICKS)

# The least distance of frames, for containers that count milliseconds; between two connections it is a little more.
_LEAST_STEP = TICKS // 1000
_LEAST_GAP_S = 0.01
# Stamps that go back by more than this, or are this much earlier than the quickest arrival allows, have jumped.
_JUMP_S = 0.3
# A smaller step usually aligns sound and pictures, and is followed. A change counts as such a step from this size on.
_STEP_S = 0.05
# A known jump explains a stamp if the stamp is then at most this far from the expected one.
_SAME_S = 0.25
# If stamps jump after this time without packets, the source has also paused.
_PAUSE_S = 0.5
_MIXED_S = 1.0
# Sound and pictures of one connection are not further apart than this.
_APART_S = 10.0
_KEPT_STEPS = 15
# An error of more than the first is corrected with this time constant, at this rate at most.
_OFF_S = 0.01
_BACK_IN_S = 30.0
_MOST_RATE = 0.005
# The same for the kind of stream that follows the other kind.
_TOGETHER_IN_S = 2.0
_MOST_TOGETHER_RATE = 0.05
# Arrivals of sound and pictures drift apart by less while servers fill and drain their buffers. By more, their clocks differ.
_OWN_CLOCK_S = 0.5
# Servers report within this time how the clocks of sound and pictures belong together.
_YOUNG_S = 20.0
_LATELY = 10


class Timeline:
    """Maps a source's time stamps to ticks since the session began: never back, and across reconnects.

    jumps: how many jumps of the source's clock have been closed.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._lock = threading.Lock()
        self._ticks: dict[str, int] = {}
        self._base: Fraction | None = None
        # The courses of this connection, by kind of stream, in order of their first packets.
        self._courses: dict[str, _Course] = {}
        self.jumps = 0

    def restart(self) -> None:
        """A new connection: its stamps have nothing to do with those before."""
        with self._lock:
            self._base = None
            self._courses = {}

    def ticks(self, kind: str, stamp: Fraction | None, arrived_at: float) -> int:
        """stamp: seconds of the source's clock, in the order of presentation, None if there is none; arrived_at: of the
        monotonic clock.

        Strictly rising for each kind.
        """
        with self._lock:
            arrival = arrived_at - self._started_at
            if stamp is not None:
                time = self._placed(kind, stamp, arrival)
            else:
                last = self._ticks.get(kind)
                time = arrival if last is None else max(arrival, last / TICKS + _LEAST_GAP_S)
            ticks = max(round(time * TICKS), self._ticks.get(kind, -_LEAST_STEP) + _LEAST_STEP)
            self._ticks[kind] = ticks
            return ticks

    def _placed(self, kind: str, stamp: Fraction, arrival: float) -> float:
        if self._base is None:
            self._base = stamp
        elapsed = float(stamp - self._base)
        course = self._courses.get(kind)
        if course is None:
            course = self._courses[kind] = self._begun(elapsed, arrival)
        even, jumped = course.even(
            elapsed, arrival, [one for one in self._courses.values() if one is not course]
        )
        self.jumps += jumped
        time = course.time(even)
        if course.quickest.add(even, arrival):
            # Pictures lead, because sound is sent ahead or held back more freely.
            leader = self._courses.get("video", course)
            course.steer(even) if course is leader else course.follow(even, leader)
        return time

    def _begun(self, stamp: float, arrival: float) -> _Course:
        first = next(iter(self._courses.values()), None)
        if first is not None:
            jump = first.jump
            if abs(stamp - jump - first.last) > _APART_S:
                jump = stamp - first.last
            return _Course(jump, stamp - jump, first.time(stamp - jump), first.rate)
        # The stream begins after everything that has gone out already.
        begin = max([arrival, *(ticks / TICKS + _LEAST_GAP_S for ticks in self._ticks.values())])
        return _Course(0.0, stamp, begin, 1.0)


class _Course:
    """The way of one kind of stream through the timeline, in one connection.

    even: its stamps, in seconds since the first of the connection, without their jumps. jump: the seconds subtracted from them;
    before: the same before the last jump. last: the last even stamp. rate: output seconds for one of its own.
    """

    def __init__(self, jump: float, last: float, time: float, rate: float) -> None:
        self.jump = jump
        self.before = jump
        self.last = last
        self.rate = rate
        self.quickest = Quickest()
        self._jumped_at = -math.inf
        self._steps: deque[float] = deque(maxlen=_KEPT_STEPS)
        # (even stamp, output time) at the last `steer` or `follow`.
        self._from = last, time
        # The first delay of this kind's packets behind the leader's with equal stamps, and whether it has changed for good.
        self._apart_s: float | None = None
        self._is_alone = False

    def time(self, even: float) -> float:
        """The output time of an even stamp, in seconds since the session began."""
        stamp, time = self._from
        return time + self.rate * (even - stamp)

    def steer(self, even: float) -> None:
        """From stamp `even` on, approach the times of the quickest arrivals, by a rate that changes little."""
        now = self.time(even)
        off = even + self.quickest.way(even) - now
        off -= _within(off, _OFF_S)
        self._from = even, now
        self.rate = 1 + self.quickest.slope_near(0.0) + _within(off / _BACK_IN_S, _MOST_RATE)

    def follow(self, even: float, leader: _Course) -> None:
        """From stamp `even` on, approach the leader's times, so that equal stamps go out together unless the clocks differ."""
        own, its = self.quickest, leader.quickest
        apart_s = [way - its.way(stamp) for stamp, way in own.points]
        if self._apart_s is None and its.known:
            self._apart_s = apart_s[0]
        now = self.time(even)
        off, slope = leader.time(even) - now, 0.0
        if self._apart_s is not None:
            lately = [one - self._apart_s for one in apart_s[-_LATELY:]]
            self._is_alone = self._is_alone or min(map(abs, lately)) > _OWN_CLOCK_S
            if self._is_alone:
                off += own.way(even) - its.way(even) - self._apart_s
                slope = own.slope - its.slope
        self._from = even, now
        self.rate = leader.rate + slope + _within(off / _TOGETHER_IN_S, _MOST_TOGETHER_RATE)

    def even(self, stamp: float, arrival: float, others: list[_Course]) -> tuple[float, bool]:
        """(the stamp without jumps, whether it has jumped)."""
        usual = median(self._steps) if self._steps else 0.0
        found = stamp - self.jump
        jumped = False
        if self._has_jumped(found, usual, arrival):
            found, jumped = self._closed(stamp, self._expected(usual, arrival), arrival, others)
        if found != self.last:
            self._steps.append(found - self.last)
        self.last = found
        return found, jumped

    def _has_jumped(self, found: float, usual: float, arrival: float) -> bool:
        step = found - self.last
        early_s = self.quickest.way(found) - (arrival - found)
        early_s = min(early_s, step - usual) if self.quickest.begins <= self.last else 0.0
        if step < -_STEP_S or early_s > _STEP_S:
            if step >= -_JUMP_S and early_s <= _JUMP_S:
                self._forget()
                return False
            return True
        return False

    def _expected(self, usual: float, arrival: float) -> float:
        """The stamp, without jumps, that should come next. usual: the median step. arrival: of the packet. All in seconds."""
        next_one = self.last + usual
        on_time = arrival - self.quickest.way(next_one)
        return on_time if on_time - next_one > _PAUSE_S else next_one

    def _closed(
        self, stamp: float, expected: float, arrival: float, others: list[_Course]
    ) -> tuple[float, bool]:
        explains = {self.before: _SAME_S}
        for other in others:
            explains[other.before] = _SAME_S
            # The clock of both has just jumped, however late the packets before and after it came.
            lately = arrival - other._jumped_at <= _MIXED_S
            explains[other.jump] = max(_SAME_S, abs(other.jump - other.before) / 2 if lately else 0.0)
        for known, within_s in explains.items():
            if known != self.jump and abs(stamp - known - expected) <= within_s:
                # Around a jump, the order of pictures mixes old stamps and new ones. That is no other jump.
                again = arrival - self._jumped_at > _MIXED_S and all(other.jump != known for other in others)
                self._take_off(known, arrival)
                return stamp - known, again
        found = stamp - self.jump
        young = self.last - self.quickest.begins < _YOUNG_S
        for other in others if young else []:
            # Before a server reports how its clocks belong together, sound and pictures may lie apart.
            its_way = other.quickest.way(found)
            apart_s = abs(self.quickest.way(self.last) - its_way)
            if abs(arrival - found - its_way) < apart_s - _JUMP_S:
                self._forget()
                return found, False
        self._take_off(stamp - expected, arrival)
        return expected, True

    def _forget(self) -> None:
        """Forget the arrivals so far: from now on the stamps mean other times."""
        self.quickest = Quickest()
        self._apart_s = None

    def _take_off(self, jump: float, arrival: float) -> None:
        self.before, self.jump, self._jumped_at = self.jump, jump, arrival


def _within(value: float, most: float) -> float:
    return max(-most, min(most, value))
