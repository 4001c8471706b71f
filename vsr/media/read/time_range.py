"""The wanted part of an input, in its own time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from vsr.core.errors import ConfigError
from vsr.media.types import SourceOptions

if TYPE_CHECKING:
    from av.container import InputContainer

FORMAT_HAS_DISCONTINUITIES = 0x0200
"""AVFMT_TS_DISCONT: the container's clock is the broadcaster's, and may begin anew."""
# A file's own time begins within these seconds; a clock with a later start has counted something else.
_MAX_WAIT_S = 10


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The wanted part of an input, in seconds of its own clock; None for an open end."""

    start: Fraction | None = None
    end: Fraction | None = None

    def holds(self, time: Fraction) -> bool:
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def check_range(options: SourceOptions) -> None:
    """Raise ConfigError for a start or a duration that no input has."""
    if options.start_s is not None and options.start_s < 0:
        raise ConfigError(f"start is {options.start_s:g} s", hint="give a time from the beginning, 0 or more")
    if options.duration_s is not None and options.duration_s <= 0:
        raise ConfigError(f"duration is {options.duration_s:g} s", hint="give a time above 0")


def wanted_range(container: InputContainer, options: SourceOptions, *, made_times: bool) -> TimeRange:
    """The part that `start_s` and `duration_s` choose. made_times: the container has no times, and the made ones begin at 0."""
    start, duration = options.start_s, options.duration_s
    if start is None and duration is None:
        return TimeRange()
    origin = Fraction(0)
    if not made_times and container.start_time is not None:
        origin = Fraction(container.start_time, 1_000_000)
    begin = origin + Fraction(start or 0).limit_denominator(1_000_000)
    end = begin + Fraction(duration).limit_denominator(1_000_000) if duration is not None else None
    return TimeRange(begin if start else None, end)


def clock_origin(container: InputContainer) -> Fraction:
    """The time, in seconds, at which the input begins by a clock that counted before; 0 where its time is a file's own."""
    # start_time is None if it is unknown, which PyAV's types do not say.
    origin = Fraction(container.start_time or 0, 1_000_000)
    if not container.format.flags & FORMAT_HAS_DISCONTINUITIES and abs(origin) < _MAX_WAIT_S:
        return Fraction(0)
    # The container's start is rounded; the start of the stream that begins then is exact.
    starts = [
        s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base
    ]
    nearest = min(starts, key=lambda start: abs(start - origin), default=origin)
    return nearest if abs(nearest - origin) < Fraction(1, 100_000) else origin


def stated_end(container: InputContainer, wanted: TimeRange) -> Fraction | None:
    """The end that the container states, in seconds; None if it states none, or an earlier end is wanted."""
    length, start = container.duration, container.start_time or 0
    return Fraction(start + length, 1_000_000) if length and wanted.end is None else None
