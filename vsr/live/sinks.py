"""One sink: its thread, its queue, its attempts. No sink holds up another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from typing import Any

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import EncodeError, MediaError, OutputLostError, VsrError, stage_failed
from vsr.live.backoff import Backoff
from vsr.live.latency import Latency
from vsr.live.sink_queue import Item, SinkCounts, SinkQueue
from vsr.live.states import Change, StateLog
from vsr.media.live.destinations import Destination
from vsr.media.live.outputs import Output
from vsr.media.live.program import Program
from vsr.media.write.encoded import Encoded

# Most hanging threads of a sink. Beyond that, no new one is started until one of them ends.
_MOST_LEFT = 4


class LiveSink:
    """A destination and the worker that writes to it now. `offer` and `watch` never wait.

    failed: the error that another attempt would not mend, or that came after as many attempts as are allowed.
    """

    def __init__(
        self,
        destination: Destination,
        timeout_s: float,
        retries: int | None,
        want_keyframe: Callable[[], None],
        on_change: Callable[[Change], None],
        clock: Clock = SYSTEM_CLOCK,
        *,
        required: bool = True,
    ) -> None:
        """timeout_s: after how long in one call a worker counts as stuck. want_keyframe: called when it needs one to begin.
        required: whether all is well only while it gets frames.
        """
        self.destination = destination
        self.name = destination.redacted
        self.required = required
        self.states = StateLog(on_change, of=self.name)
        self.latency = Latency(clock)
        self.counts = SinkCounts()
        self.bytes = 0
        self.files = 0
        self.failed: VsrError | None = None
        self.want_keyframe = want_keyframe
        self.backoff = Backoff(retries)
        self.clock = clock
        self._timeout_s = timeout_s
        self._left: list[_Worker] = []
        self._worker = _Worker(self)

    def begin(self) -> None:
        """Start its thread."""
        self._worker.start()

    def offer(self, packet: Encoded, program: Program) -> None:
        """Queue a packet, or drop it where the sink is not connected or too slow."""
        self._worker.queue.offer(Item(packet, program))

    def watch(self) -> None:
        """Leave a worker that hangs, and start another. Call it a few times a second."""
        self._left = [worker for worker in self._left if worker.alive]
        stuck_s = self._worker.stuck_s
        if stuck_s <= self._timeout_s or len(self._left) >= _MOST_LEFT:
            return
        why = f"took nothing for {stuck_s:.1f} s"
        self.states.enter("stalled", why)
        self._worker.leave("stalled")
        self._left.append(self._worker)
        if self.backoff.next_s() is None:
            self.failed = OutputLostError(f"{self.name}: {why}", hint="check that the server is running")
            return
        self.states.enter("reconnecting")
        self._worker = _Worker(self)
        self._worker.start()

    def end(self) -> None:
        """No more packets come: write the queued ones, then the end."""
        self._worker.queue.end()

    @property
    def alive(self) -> bool:
        """Whether its thread is still at work."""
        return self._worker.alive

    def leave(self) -> None:
        """End the sink now, whether its end is written or not."""
        if self._worker.alive:
            self._worker.leave("stopped")
        self.states.enter("stopped", self.failed.message if self.failed else "")

    def as_dict(self) -> dict[str, Any]:
        """Counters, for the report."""
        latency = self.latency.overall()
        return {
            "name": self.name,
            "state": self.states.now,
            "frames": self.counts.frames,
            "bytes": self.bytes,
            "files": self.files,
            "drops": dict(self.counts.drops),
            "reconnects": self.states.count("reconnecting"),
            "latency": latency if latency.count else None,
            "required": self.required,
            "changes": [change.as_dict() for change in self.states.changes()],
        }


class _Worker:
    """One thread of a sink, with a queue of its own. Once the queue is left, the thread's actions do not count."""

    def __init__(self, sink: LiveSink) -> None:
        self.queue = SinkQueue(sink.counts, sink.want_keyframe, sink.clock)
        self._sink = sink
        self._busy_since: float | None = None
        self._output: Output | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-sink", daemon=True)
        self.start = self._thread.start

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def leave(self, reason: str) -> None:
        """Count frames in progress as dropped; a call that waits for a network ends soon."""
        self.queue.leave(reason)
        if self._output is not None:
            self._output.abandon()

    @property
    def stuck_s(self) -> float:
        """The seconds for which a call into FFmpeg has not returned."""
        since = self._busy_since
        return self._sink.clock.now() - since if since is not None else 0.0

    def _run(self) -> None:
        sink = self._sink
        while not self.queue.finished:
            try:
                self._connection()
            except VsrError as error:
                if not self._goes_on(error):
                    break
            except Exception as error:
                sink.failed = stage_failed("sink", sink.counts.frames or None, error)
                sink.failed.__cause__ = error
                break
        self.queue.close()

    def _goes_on(self, error: VsrError) -> bool:
        """After an error: wait, and prepare another attempt, unless there will be none."""
        sink, queue = self._sink, self.queue
        if not queue.wait():
            if not queue.left:
                sink.states.enter("stopped", error.message)
            return False
        wait_s = sink.backoff.next_s()
        hopeless = isinstance(error, EncodeError) and not sink.counts.frames
        if hopeless or not isinstance(error, MediaError) or wait_s is None:
            sink.failed = error
            return False
        sink.states.enter("reconnecting", error.message)
        goes_on = queue.go_on(wait_s)
        sink.want_keyframe()
        return goes_on

    def _connection(self) -> None:
        """Open the destination when there is something for it, and write until that ends or the program changes."""
        self._output = output = Output(self._sink.destination, self._sink.clock)
        try:
            if (item := self.queue.take()) is not None:
                self._write_from(output, item)
        except BaseException:
            self.queue.lose()
            raise
        finally:
            with self._busy():
                output.discard()

    def _write_from(self, output: Output, first: Item) -> None:
        sink, program = self._sink, first.program
        item: Item | None = first
        number = sink.files + 1
        try:
            with self._busy():
                output.open(program, number)
            sink.files = number
            while item is not None and item.program.number == program.number and not self._full(output, item):
                self._write(output, item)
                item = self.queue.take()
            if item is not None:
                self.queue.put_back(item)
            with self._busy():
                output.close(last=self.queue.finished)
            self.queue.confirm_but(0)
        finally:
            if sink.destination.recordings is not None and not output.kept and not self.queue.left:
                sink.files = number - 1  # The empty recording is removed.

    def _write(self, output: Output, item: Item) -> None:
        sink, packet = self._sink, item.packet
        try:
            with self._busy():
                output.write(packet)
        except MediaError:
            if sink.destination.is_file:
                self.queue.confirm_but(output.frames - output.kept)  # Earlier frames are on the disk.
            raise
        if not item.frames:
            return
        counts = self.queue.confirm_but(output.frames - output.kept)
        if not counts or not output.connected:
            return
        sink.states.enter("streaming")
        sink.backoff.succeeded()
        sink.bytes += packet.size
        sink.latency.add(sink.clock.now() - packet.captured_at)

    def _full(self, output: Output, item: Item) -> bool:
        """Whether a recording goes on in another file from this packet on."""
        recordings = self._sink.destination.recordings
        if recordings is None or not item.packet.keyframe or not item.frames or not output.frames:
            return False
        return recordings.full(output.seconds, output.bytes)

    @contextlib.contextmanager
    def _busy(self) -> Generator[None]:
        self._busy_since = self._sink.clock.now()
        try:
            yield
        finally:
            self._busy_since = None
