"""Pictures for the page, made only while somebody looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.frame import Frame

_LEAST_INTERVAL_S = 1 / 12

Pair = tuple[Frame, Frame]


class Watchers:
    """Those who look at one stream. A pair of frames, before and after, is wanted only while there are some."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shows: list[Callable[[Pair], None]] = []
        self._next_at = 0.0

    @property
    def wanted(self) -> bool:
        """Whether a pair is to be offered now."""
        return bool(self._shows) and self._clock.now() >= self._next_at

    @property
    def count(self) -> int:
        return len(self._shows)

    def come(self, show: Callable[[Pair], None]) -> None:
        """Another one. show: called with each pair, on a thread of the stream; it must not wait."""
        with self._lock:
            self._shows = [*self._shows, show]

    def go(self, show: Callable[[Pair], None]) -> None:
        """Who came with that function looks no longer."""
        with self._lock:
            self._shows = [one for one in self._shows if one != show]

    def offer(self, before: Frame, after: Frame) -> None:
        self._next_at = self._clock.now() + _LEAST_INTERVAL_S
        for show in self._shows:
            show((before, after))
