"""Monotonic time, and waiting by it. Tests pass a pretended clock."""

from __future__ import annotations

import time
from typing import Protocol


class Waitable(Protocol):
    """A `threading.Event`, or a `threading.Condition` whose lock is held."""

    def wait(self, timeout: float | None = None, /) -> bool: ...


class Clock(Protocol):
    """Whatever decides by time, or waits for a time, asks one of these."""

    def now(self) -> float:
        """Seconds on the monotonic clock."""

    def sleep(self, seconds: float) -> None:
        """Come back after that time."""

    def wait(self, for_what: Waitable, timeout_s: float | None = None) -> bool:
        """Wait until it is set or notified, or the time is over: then False. None for any time. Conditions may wake early."""


class SystemClock:
    """The machine's own clock, `time.monotonic`."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def wait(self, for_what: Waitable, timeout_s: float | None = None) -> bool:
        return for_what.wait(timeout_s)


SYSTEM_CLOCK = SystemClock()
