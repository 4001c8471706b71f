"""One stream of several: its session, which is begun again when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import VsrError, stage_failed
from vsr.live.frame import StreamFrame
from vsr.live.networks import Networks
from vsr.live.report import StreamReport
from vsr.live.session import Session
from vsr.live.states import Change
from vsr.live.streams_config import NamedStream
from vsr.live.watchers import Watchers

# A stream that failed is begun again after this time, and after twice as long each time, up to the most.
_FIRST_S = 2.0
_MOST_S = 60.0


class OneOfSeveral:
    """A stream beside others. Whatever ends it with an error ends no other, and it is begun again.

    With `retries` in its configuration it is not: the attempts that were allowed have been made. stream: what runs. error: why
    it has ended, or does not run now.
    """

    def __init__(
        self,
        stream: NamedStream,
        networks: Networks,
        on_change: Callable[[str, Change], None],
        take: Callable[[str, StreamFrame], None] | None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """on_change, take: as of Session, with the name. Raises VsrError where something cannot work."""
        self.stream = stream
        self.watchers = Watchers(clock)
        self.error: VsrError | None = None
        self._networks = networks
        self._on_change = on_change
        self._take = take
        self._clock = clock
        self._stopped = threading.Event()
        self.session = self._made()
        self._thread = threading.Thread(target=self._run, name=f"vsr-{stream.name}", daemon=True)
        self.begin = self._thread.start

    @property
    def ended(self) -> bool:
        """Whether it has been begun, and is over for good."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def report(self) -> StreamReport:
        """The report since it was begun last."""
        return self.session.report()

    def weigh(self, stream: NamedStream) -> None:
        """Go on by another weight; nothing else has changed."""
        self.stream, self.session.weight = stream, stream.weight

    def stop(self) -> None:
        """End as if the source ended here."""
        self._stopped.set()
        self.session.stop()

    def cancel(self) -> None:
        """End without waiting for frames in progress."""
        self._stopped.set()
        self.session.cancel()

    def join(self) -> None:
        """Wait for its end. One that has not been begun lets go of its networks."""
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self.session.discard()

    def _made(self) -> Session:
        name, take = self.stream.name, self._take
        return Session(
            self.stream.config,
            on_change=lambda change: self._on_change(name, change),
            take=None if take is None else lambda frame: take(name, frame),
            clock=self._clock,
            networks=self._networks,
            weight=self.stream.weight,
            watchers=self.watchers,
        )

    def _run(self) -> None:
        wait_s = _FIRST_S
        while True:
            began = self._clock.now()
            self.error = self._attempt()
            if self.error is None or self.stream.config.retries is not None:
                return
            if self._clock.now() - began > _MOST_S:
                wait_s = _FIRST_S
            if self._clock.wait(self._stopped, wait_s):
                return
            wait_s = min(_MOST_S, 2 * wait_s)

    def _attempt(self) -> VsrError | None:
        """One session from its start to its end; the error, if it ended with one."""
        try:
            if self.error is not None:
                self.session = self._made()
                # These may have been told to the session before.
                self.session.weight = self.stream.weight
                if self._stopped.is_set():
                    self.session.stop()
            self.session.run()
        except VsrError as error:
            return error
        except Exception as error:
            return stage_failed("the stream", None, error)
        return None
