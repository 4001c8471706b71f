"""Pictures for the page, made only while somebody looks at it."""

from __future__ import annotations

import threading

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.frame import Frame

_LEAST_INTERVAL_S = 1 / 12


class Watchers:
    """A slot for the newest pair of frames, before and after. Filled only when it is empty and somebody watches."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._count = 0
        self._pair: tuple[Frame, Frame] | None = None
        self._next_at = 0.0
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether a pair is to be offered now."""
        return self._count > 0 and self._pair is None and self._clock.now() >= self._next_at

    @property
    def count(self) -> int:
        return self._count

    def come(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def go(self) -> None:
        with self._changed:
            self._count -= 1

    def offer(self, before: Frame, after: Frame) -> None:
        with self._changed:
            self._pair = before, after
            self._next_at = self._clock.now() + _LEAST_INTERVAL_S
            self._changed.notify_all()

    def take(self) -> tuple[Frame, Frame] | None:
        """The newest pair, waiting for one; None once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._pair is not None or self._closed)
            pair, self._pair = self._pair, None
            return None if self._closed else pair

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
