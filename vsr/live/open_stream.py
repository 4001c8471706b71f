"""The upscaled frames of a stream, for a loop of the caller's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.live.config import StreamConfig
from vsr.live.frame import StreamFrame
from vsr.live.fresh_queue import FreshQueue
from vsr.live.report import StreamReport
from vsr.live.session import Session
from vsr.live.states import State

_WAIT_S = 0.1
# A loop that is slower than the stream gets a new frame each time, not an old one.
WAITING_FRAMES = 2


class OpenStream:
    """An iterator of `StreamFrame`s, and a context manager. See `vsr.open_stream`."""

    def __init__(self, config: StreamConfig, clock: Clock = SYSTEM_CLOCK) -> None:
        self._frames: FreshQueue[StreamFrame] = FreshQueue(
            config.max_latency_s, WAITING_FRAMES, late="not taken", clock=clock
        )
        self._session = Session(config, take=self._put, clock=clock)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-stream", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[StreamFrame]:
        """Frames until the source ends. Raises VsrError where it is lost for good."""
        while True:
            frame = self._frames.take(_WAIT_S)
            if frame is not None:
                yield frame
            elif self._frames.closed:
                break
        if self._error is not None:
            raise self._error

    @property
    def state(self) -> State:
        return self._session.states.now

    @property
    def not_taken(self) -> int:
        """Frames dropped because the loop was busy."""
        return sum(self._frames.drops.values())

    def report(self) -> StreamReport:
        """The report up to now; `frames_out` counts the frames that were ready for the loop."""
        return self._session.report()

    def close(self) -> None:
        """End the stream and finish its recordings. Closing twice is allowed."""
        self._session.stop()
        self._thread.join()

    def _put(self, frame: StreamFrame) -> None:
        self._frames.put(frame, frame.captured_at)

    def _run(self) -> None:
        try:
            self._session.run()
        except BaseException as error:
            self._error = error
        finally:
            with suppress(ValueError):
                self._frames.close()
