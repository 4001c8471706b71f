"""The time to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 0.25
# Servers lock out a client that connects too often with a wrong password.
MOST_DENIED_S = 15.0
# A stream must be back within three seconds of its server: the wait is the largest part of that time.
MOST_S = 1.5


class Backoff:
    """Waits that double up to a most. Each is shortened by up to half at random, so that many clients don't return at once.

    attempts: how many may fail in a row, None for any number. The caller waits, by its own clock.
    """

    def __init__(self, attempts: int | None = None, chance: Callable[[], float] = random.random) -> None:
        self.failed = 0
        self._attempts = attempts
        self._chance = chance

    def next_s(self, most_s: float = MOST_S) -> float | None:
        """Seconds to wait after one more failure, up to `most_s`; None once there have been too many."""
        self.failed += 1
        if self._attempts is not None and self.failed > self._attempts:
            return None
        wait_s: float = min(most_s, FIRST_S * 2 ** min(self.failed - 1, 16))
        return wait_s * (1 - self._chance() / 2)

    def succeeded(self) -> None:
        """Report a success: the next failure counts as the first again."""
        self.failed = 0
