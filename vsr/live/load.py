"""How busy a stage is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

_WINDOW_S = 5.0
_LEAST_S = 0.5


class Load:
    """Busy seconds of one thread, over the last few."""

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
        now = time.monotonic()
        seconds = sum(seconds for at, seconds in list(self._spans) if at >= now - _WINDOW_S)
        return min(1.0, seconds / max(_LEAST_S, min(_WINDOW_S, now - self._began_at)))
