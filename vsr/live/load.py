"""Measures how busy a stage is."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from vsr.core.clock import SYSTEM_CLOCK, Clock

_WINDOW_S = 5.0
_LEAST_S = 0.5


class Load:
    """The time that one thread was busy during the last seconds."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._spans: deque[tuple[float, float]] = deque()
        self._began_at = self._clock.now()

    @contextmanager
    def busy(self) -> Generator[None]:
        began = self._clock.now()
        try:
            yield
        finally:
            now = self._clock.now()
            self._spans.append((now, now - began))
            while self._spans[0][0] < now - _WINDOW_S:
                self._spans.popleft()

    def part(self) -> float:
        """Busy seconds a second."""
        now = self._clock.now()
        seconds = sum(seconds for at, seconds in list(self._spans) if at >= now - _WINDOW_S)
        return min(1.0, seconds / max(_LEAST_S, min(_WINDOW_S, now - self._began_at)))
