"""How a job is ended from outside: `stop` finishes what is under way, `cancel` drops it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Cancelled(BaseException):
    """Raised where a cancelled job waits or asks. It is no error; callers of a cancelled job get it."""


class Control:
    """Ends a job, from any thread or from a signal handler: it takes no lock.

    `stop` and `cancel` may each be called again, which changes nothing; a stopped job may still be cancelled.
    """

    def __init__(self) -> None:
        self._stopped = False
        self._cancelled = False
        # Its appending and taking are atomic: a handler may run between any two steps of the thread it interrupts.
        self._callbacks: deque[Callable[[], None]] = deque()

    @property
    def stopped(self) -> bool:
        """Whether the job is to end, by either way."""
        return self._stopped

    @property
    def cancelled(self) -> bool:
        """Whether what is under way is to be dropped, too."""
        return self._cancelled

    def stop(self) -> None:
        """End as if the input ended here: what is under way is finished."""
        self._stopped = True

    def cancel(self) -> None:
        """End at once, drop what is under way, and wake all who wait."""
        self._cancelled = True  # First: nobody who sees that it is stopped may take it for a mere stop.
        self._stopped = True
        self._call_back()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back once on cancelling, at once if that has happened."""
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
