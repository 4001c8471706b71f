"""Keeps a source alive: notices that it is gone, and connects again."""

from __future__ import annotations

from collections.abc import Callable

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import AccessDeniedError, MediaError, SourceOpenError, VsrError
from vsr.live.backoff import MOST_DENIED_S, MOST_S, Backoff
from vsr.live.states import StateLog
from vsr.media.live.address import Address
from vsr.media.live.capture import Capture

# Most connections left behind in calls of FFmpeg that do not return. Beyond that, no new one is made until one of them ends.
_MOST_LEFT = 8
# Opening has its own timeout in FFmpeg, with a better message; the watchdog comes after it.
_GRACE_S = 0.5


class SourceKeeper:
    """Holds the connection there is. `tick`, called a few times a second, does all the work and never waits.

    connect: makes a connection. waits: a source that refuses is tried again before it has ever worked, too. `ended`: the source
    came to its own end. `failed`: the error that ended it for good.
    """

    def __init__(
        self,
        address: Address,
        timeout_s: float,
        retries: int | None,
        states: StateLog,
        connect: Callable[[], Capture],
        clock: Clock = SYSTEM_CLOCK,
        *,
        waits: bool = False,
    ) -> None:
        self.address = address
        self.ended = False
        self.failed: VsrError | None = None
        self._damaged_packets = 0
        self._skipped = 0
        self._timeout_s = timeout_s
        self._backoff = Backoff(retries)
        self._clock = clock
        self._states = states
        self._connect = connect
        self._capture: Capture | None = None
        self._left: list[Capture] = []
        self._next_at = 0.0
        self._worked = waits

    @property
    def capture(self) -> Capture | None:
        """The connection there is now."""
        return self._capture

    @property
    def damaged_packets(self) -> int:
        """Packets of all connections that did not decode."""
        capture = self._capture
        return self._damaged_packets + (capture.damaged_packets if capture is not None else 0)

    @property
    def skipped(self) -> int:
        """Packets of all connections that were not decoded for lack of time."""
        capture = self._capture
        return self._skipped + (capture.skipped if capture is not None else 0)

    def tick(self) -> None:
        if self.ended or self.failed is not None:
            return
        now = self._clock.now()
        capture = self._capture
        if capture is None:
            self._left = [old for old in self._left if not old.done.is_set()]
            if now >= self._next_at and len(self._left) < _MOST_LEFT:
                self._capture = self._connect()
            return
        if capture.frames and not capture.done.is_set():
            self._worked = True
            self._backoff.succeeded()
            self._states.enter("streaming")
        silent_s = now - capture.seen_at
        if capture.done.is_set():
            self._worked = self._worked or capture.frames > 0
            self._over(capture, capture.error)
        elif not self.address.paced and silent_s > self._timeout_s + (0 if capture.frames else _GRACE_S):
            what = "only sound" if capture.heard_at > capture.seen_at else "nothing"
            self._states.enter("stalled", f"{what} came for {silent_s:.1f} s")
            self._over(capture, None, stalled=True)

    def leave(self) -> None:
        """Let go of the connection."""
        if self._capture is not None:
            self._forget(self._capture)

    def join(self, timeout_s: float) -> None:
        """Wait for threads that are on their way out."""
        end = self._clock.now() + timeout_s
        for capture in self._left:
            capture.join(max(0.0, end - self._clock.now()))

    def _over(self, capture: Capture, error: BaseException | None, *, stalled: bool = False) -> None:
        self._forget(capture)
        if error is None and not stalled:
            self.ended = True
            return
        if error is not None and not self._may_retry(error):
            assert isinstance(error, VsrError)
            self.failed = error
            return
        denied = isinstance(error, AccessDeniedError)
        wait_s = self._backoff.next_s(MOST_DENIED_S if denied else MOST_S)
        why = error.message if isinstance(error, VsrError) else ""
        if wait_s is None:
            assert error is None or isinstance(error, VsrError)
            self.failed = error or MediaError(
                f"{self.address.redacted}: nothing came for {self._timeout_s:g} s"
            )
            return
        self._states.enter("reconnecting", why)
        self._next_at = self._clock.now() + wait_s

    def _may_retry(self, error: BaseException) -> bool:
        return isinstance(error, MediaError) and (self._worked or not isinstance(error, SourceOpenError))

    def _forget(self, capture: Capture) -> None:
        self._capture = None
        self._damaged_packets += capture.damaged_packets
        self._skipped += capture.skipped
        capture.leave()
        self._left.append(capture)
