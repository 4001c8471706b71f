"""A clock on which time passes only when somebody says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vsr.core.clock import Waitable

# How often, in real seconds, a thread that waits looks whether its time has come.
_POLL_S = 0.002
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
        self._lock = threading.Lock()
        # By thread that waits: until when, and the last round of `all_wait` it answered.
        self._waiting: dict[threading.Thread, tuple[float, int]] = {}
        self._round = 0

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        give_up_at = time.monotonic() + _PATIENCE_S
        while not self.settled():
            assert time.monotonic() < give_up_at, "something is still under way, and does not end"
            time.sleep(_POLL_S / 2)
        self.advance(seconds)

    def wait(self, for_what: Waitable, timeout_s: float | None = None) -> bool:
        until = self._now + timeout_s if timeout_s is not None else float("inf")
        thread = threading.current_thread()
        try:
            while self._now < until:
                with self._lock:
                    self._waiting[thread] = until, self._round
                # A condition's waiter looks for itself whether there is something for it: a notification may get lost here.
                if for_what.wait(_POLL_S) or isinstance(for_what, threading.Condition):
                    return True
            return for_what.wait(0)
        finally:
            with self._lock:
                self._waiting.pop(thread, None)

    def all_wait(self, *names: str) -> bool:
        """Whether all threads of those names wait, for a time that has not come, and have nothing to wake up for."""
        with self._lock:
            self._round += 1
            asked = self._round
        give_up_at = time.monotonic() + 10 * _POLL_S
        while time.monotonic() < give_up_at:
            with self._lock:
                found = [self._waiting.get(one) for one in threading.enumerate() if one.name in names]
                if all(one is not None and one[0] > self._now and one[1] >= asked for one in found):
                    return True
            time.sleep(_POLL_S / 2)
        return False
