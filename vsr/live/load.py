"""How busy a stage is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

_WINDOW_S = 5.0


class Load:
    """Busy seconds of one thread, over the last few; and how often it was, as a rate."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque()
        self._began_at = time.monotonic()

    @contextmanager
    def busy(self) -> Generator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self._spans.append((now, now - began))
            while self._spans[0][0] < now - _WINDOW_S:
                self._spans.popleft()

    def part(self) -> float:
        """Busy seconds a second."""
        spans = self._recent()
        return min(1.0, sum(seconds for _, seconds in spans) / self._window_s())

    def rate(self) -> float:
        """Times a second."""
        return len(self._recent()) / self._window_s()

    def _recent(self) -> list[tuple[float, float]]:
        now = time.monotonic()
        return [span for span in list(self._spans) if span[0] >= now - _WINDOW_S]

    def _window_s(self) -> float:
        return max(0.5, min(_WINDOW_S, time.monotonic() - self._began_at))
