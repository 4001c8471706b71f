"""Ends a job from outside: `stop` finishes the work in progress, `cancel` drops it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Cancelled(BaseException):
    """Raised where a cancelled job waits or asks. It is no error; callers of a cancelled job get it."""


class Control:
    """Ends a job, from any thread or from a signal handler, because it takes no lock.

    `stop` and `cancel` may be called repeatedly; later calls change nothing. A stopped job can still be cancelled.
    """

    def __init__(self) -> None:
        self._stopped = False
        self._cancelled = False
        # A deque's append and pop are atomic: a signal handler may run between any two steps of the thread it interrupts.
        self._callbacks: deque[Callable[[], None]] = deque()

    @property
    def stopped(self) -> bool:
        """Whether the job is to end, by `stop` or `cancel`."""
        return self._stopped

    @property
    def cancelled(self) -> bool:
        """Whether the job is to drop the work in progress."""
        return self._cancelled

    def stop(self) -> None:
        """End as if the input ended here; the work in progress is finished."""
        self._stopped = True

    def cancel(self) -> None:
        """End at once: drop the work in progress, and wake all waiting threads."""
        self._cancelled = True  # Set first: a thread that sees the stop must see that it is a cancellation.
        self._stopped = True
        self._call_back()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` once on cancelling; at once if the job is cancelled already."""
        self._callbacks.append(callback)
        if self._cancelled:
            self._call_back()

    def check(self) -> None:
        """Raise Cancelled if cancelled."""
        if self._cancelled:
            raise Cancelled

    def _call_back(self) -> None:
        while True:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return
            callback()
