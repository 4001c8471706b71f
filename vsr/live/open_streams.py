"""The upscaled frames of several streams, for a loop of the caller's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.live.frame import StreamFrame
from vsr.live.fresh_queue import FreshQueue
from vsr.live.one_of_several import OneOfSeveral
from vsr.live.open_stream import WAITING_FRAMES
from vsr.live.report import StreamReport
from vsr.live.streams import Streams
from vsr.live.streams_config import StreamsConfig
from vsr.live.streams_file import read_streams

_WAIT_S = 0.1


class OpenStreams:
    """An iterator of (name, `StreamFrame`), and a context manager. See `vsr.open_streams`."""

    def __init__(self, config: StreamsConfig | Path | str, clock: Clock = SYSTEM_CLOCK) -> None:
        path = None if isinstance(config, StreamsConfig) else Path(config)
        read = config if isinstance(config, StreamsConfig) else read_streams(Path(config))
        self._clock = clock
        self._queues: dict[OneOfSeveral, FreshQueue[StreamFrame]] = {}
        self._came = threading.Event()
        self._streams = Streams(
            read,
            read=None if path is None else lambda running: read_streams(path, running),
            take=self._put,
            clock=clock,
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-streams", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[str, StreamFrame]]:
        """Frames of all streams, by turns, until all have ended. Raises VsrError for a page that cannot be served."""
        while True:
            over = not self._thread.is_alive()
            self._came.clear()
            found = [
                (name, frame)
                for name, queue in self._waiting().items()
                if (frame := queue.take(0.0)) is not None
            ]
            yield from found
            if not found and over:
                break
            if not found:
                self._clock.wait(self._came, _WAIT_S)
        if self._error is not None:
            raise self._error

    @property
    def not_taken(self) -> dict[str, int]:
        """Frames dropped because the loop was busy, by stream."""
        return {name: sum(queue.drops.values()) for name, queue in self._waiting().items()}

    def report(self) -> dict[str, StreamReport]:
        """The reports up to now, by stream."""
        return self._streams.reports()

    def reload(self) -> str:
        """Read the file again: streams are added, removed and changed, the others do not notice. Returns what was done.

        Raises VsrError for a faulty file; then nothing has changed.
        """
        return self._streams.reload()

    def close(self) -> None:
        """End the streams and finish their recordings. Closing twice is allowed."""
        self._streams.stop()
        self._thread.join()

    def _waiting(self) -> dict[str, FreshQueue[StreamFrame]]:
        """The queues by stream. Those of streams that a reload has removed or begun again are let go."""
        queues, streams = self._queues.copy(), self._streams.streams
        for gone in queues.keys() - set(streams.values()):
            self._queues.pop(gone, None)
        return {name: queues[stream] for name, stream in streams.items() if stream in queues}

    def _put(self, name: str, frame: StreamFrame) -> None:
        stream = self._streams.streams.get(name)
        if stream is None:  # A reload has removed it.
            return
        queue = self._queues.get(stream)
        if queue is None:
            budget_s = stream.stream.config.max_latency_s
            queue = FreshQueue(budget_s, WAITING_FRAMES, late="not taken", clock=self._clock)
            self._queues[stream] = queue
        queue.put(frame, frame.captured_at)
        self._came.set()

    def _run(self) -> None:
        try:
            self._streams.run()
        except BaseException as error:
            self._error = error
        finally:
            for queue in self._waiting().values():
                with suppress(ValueError):
                    queue.close()
            self._came.set()
