"""Assigns segments to runners: in order, each to one runner. At the end, fast runners also make the segments of slow ones.

It knows only the numbers of segments, and has no clock: work is counted in frames, and the caller passes the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

ATTEMPTS = 3

# A runner that takes this many times longer than expected is not counted on any more.
_OVERDUE = 3
# A second runner makes the same segment only if it needs less than this share of the time that the first one still needs.
_COPY_SHARE = 0.9


@dataclass(slots=True)
class _Runner:
    """speed: its last frames a second, None before. number, since: its segment, and the time of its beginning."""

    speed: float | None = None
    number: int | None = None
    since: float = 0.0


@dataclass(slots=True)
class _Work:
    """An unfinished segment. runners: the runners that make it. why: the messages of failed attempts."""

    frames: int
    runners: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


class Schedule:
    """Hands out segments to runners, each of which makes one at a time.

    A segment that fails, or whose runner is lost, is handed out again, before later ones, up to `attempts` times.
    """

    def __init__(self, frames: Mapping[int, int], *, attempts: int = ATTEMPTS) -> None:
        """frames: of each segment that is to be made, by its number."""
        self._left = {number: _Work(count) for number, count in sorted(frames.items())}
        self._attempts = attempts
        self._runners: dict[str, _Runner] = {}
        self._middle_speed = 1.0

    @property
    def done(self) -> bool:
        """Whether all are made."""
        return not self._left

    @property
    def under_way(self) -> list[str]:
        """The runners that make something."""
        return [name for name, runner in self._runners.items() if runner.number is not None]

    def take(self, name: str, now: float) -> int | None:
        """The number of the segment that an idle runner should make now; None for no segment yet: ask again after any change.

        A runner is known from its first call on.
        """
        runner = self._runners.setdefault(name, _Runner())
        assert runner.number is None, f"{name} makes {runner.number}"
        number = self._next(name, now)
        if number is not None:
            runner.number, runner.since = number, now
            self._left[number].runners.append(name)
        return number

    def made(self, name: str, now: float) -> list[str] | None:
        """A runner has made its segment: the runners that still make the same, which are free now.

        None where another was first: what this one made is of no use.
        """
        runner = self._runners[name]
        number, runner.number = runner.number, None
        work = self._left.pop(number, None) if number is not None else None
        if work is None:
            return None
        if now > runner.since:
            runner.speed = max(1, work.frames) / (now - runner.since)
            self._middle_speed = median(one.speed for one in self._runners.values() if one.speed is not None)
        others = [other for other in work.runners if other != name]
        for other in others:
            self._runners[other].number = None
        return others

    def failed(self, name: str, why: str) -> str | None:
        """A runner could not make its segment. Why the job cannot go on, None where it can."""
        runner = self._runners[name]
        number, runner.number = runner.number, None
        work = self._left.get(number) if number is not None else None
        if work is None:
            return None
        work.runners.remove(name)
        work.why.append(why)
        return why if len(work.why) >= self._attempts else None

    def lost(self, name: str, why: str) -> str | None:
        """A runner is lost, with its segment. Returns the reason why the job cannot continue, None if it can."""
        if name not in self._runners:
            return None
        told = self.failed(name, why)
        del self._runners[name]
        return told

    def _next(self, name: str, now: float) -> int | None:
        own = self._speed(name)
        waiting = [(number, work) for number, work in self._left.items() if not work.runners]
        if waiting:
            number, work = waiting[0]
            return None if self._others_are_faster(name, work.frames / own, now, waiting) else number
        return self._worth_copying(name, own, now)

    def _others_are_faster(
        self, name: str, own_s: float, now: float, waiting: list[tuple[int, _Work]]
    ) -> bool:
        """Whether the other runners would make all waiting segments before this one could make a single segment."""
        others = [
            other
            for other, runner in self._runners.items()
            if other != name and runner.number is not None and not self._is_overdue(other, now)
        ]
        if not others:
            return False
        frames = sum(work.frames for _, work in waiting) + sum(
            self._remaining_s(other, now) * self._speed(other) for other in others
        )
        speeds = [self._speed(other) for other in others]
        one_more_s = waiting[0][1].frames / median(speeds)
        return own_s > frames / sum(speeds) + one_more_s

    def _worth_copying(self, name: str, own: float, now: float) -> int | None:
        """The segment that another runner would be longest about, if this one would make it much sooner."""
        longest_s, found = 0.0, None
        for number, work in self._left.items():
            if len(work.runners) != 1:
                continue
            remaining_s = self._remaining_s(work.runners[0], now)
            if work.frames / own < _COPY_SHARE * remaining_s and remaining_s > longest_s:
                longest_s, found = remaining_s, number
        return found

    def _remaining_s(self, name: str, now: float) -> float:
        """The seconds a runner still needs. A late runner is expected to need as long again as it has taken."""
        runner = self._runners[name]
        if runner.number is None:
            return 0.0
        end = runner.since + self._left[runner.number].frames / self._speed(name)
        return end - now if now < end else now - runner.since

    def _is_overdue(self, name: str, now: float) -> bool:
        runner = self._runners[name]
        assert runner.number is not None
        expected_s = self._left[runner.number].frames / self._speed(name)
        return now - runner.since > _OVERDUE * expected_s

    def _speed(self, name: str) -> float:
        """Frames a second of a runner. For a runner without results, the median of the others, 1 if there are none."""
        speed = self._runners[name].speed
        return self._middle_speed if speed is None else speed
