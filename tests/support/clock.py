"""A clock on which time passes only when somebody says so."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from vsr.core.clock import Waitable

# How often, in real seconds, a thread that waits for an event looks whether it has been set meanwhile.
_POLL_S = 0.02
_SETTLE_POLL_S = 0.001
# A test that gets no further in so many real seconds has failed.
_PATIENCE_S = 60.0


class PretendedClock:
    """`advance` lets time pass, and so does `sleep`. `wait` waits, in reality, for the event or until others let the time pass.

    settled: asked before `sleep` lets time pass, again and again until it is true. With it, a session whose main loop sleeps
    is simulated: time stands still while any thread still has something to do, however slow the machine is.
    """

    def __init__(self, now: float = 1000.0, settled: Callable[[], bool] = lambda: True) -> None:
        self.settled = settled
        self._now = now
        self._passed = threading.Condition()
        # By thread that waits: for what, and until when.
        self._waiting: dict[threading.Thread, tuple[Waitable, float]] = {}

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._passed:
            self._now += seconds
            due = [what for what, until in self._waiting.values() if until <= self._now]
            self._passed.notify_all()
        for condition in due:
            if isinstance(condition, threading.Condition):
                with condition:
                    condition.notify_all()

    def sleep(self, seconds: float) -> None:
        end = self._now + seconds
        give_up_at = time.monotonic() + _PATIENCE_S
        while self._now < end and not self.settled():
            assert time.monotonic() < give_up_at, "something is still under way, and does not end"
            time.sleep(_SETTLE_POLL_S)
        self.advance(max(0.0, end - self._now))

    def wait(self, for_what: Waitable, timeout_s: float | None = None) -> bool:
        thread = threading.current_thread()
        with self._passed:
            until = self._now + timeout_s if timeout_s is not None else math.inf
            self._waiting[thread] = for_what, until
        try:
            if isinstance(for_what, threading.Condition):
                # Its lock is held until it waits, so nobody notifies before. Time may have passed, though.
                return self._now >= until or for_what.wait()
            while not for_what.wait(0) and self._now < until:
                with self._passed:
                    if self._now < until:
                        self._passed.wait(_POLL_S)
            return for_what.wait(0)
        finally:
            with self._passed:
                del self._waiting[thread]

    def all_wait(self, *names: str, but: frozenset[threading.Thread] = frozenset()) -> bool:
        """Whether all threads of those names wait for a time that has not come, and for what has not happened.

        but: threads that are not asked.
        """
        asked = [one for one in threading.enumerate() if one.name in names and one not in but]
        with self._passed:
            found = [self._waiting.get(one) for one in asked]
        return all(one is not None and one[1] > self._now and _still_waits(one[0]) for one in found)


def _still_waits(for_what: Waitable) -> bool:
    if not isinstance(for_what, threading.Condition):
        return not for_what.wait(0)
    with for_what:
        # Whoever is notified is no longer among them, also when it has not come to run yet.
        return bool(for_what._waiters)  # type: ignore[attr-defined]
