"""One sink: its thread, its queue, its attempts. What one does never holds up another."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from vsr.core.errors import EncodeError, MediaError, PipelineError, VsrError
from vsr.live.backoff import Backoff
from vsr.live.latency import Latency
from vsr.live.states import Change, StateLog
from vsr.media.live.outputs import Destination, Output, recording_path
from vsr.media.live.packets import Program
from vsr.media.write.encoded import Encoded

# A sink that is this far behind is too slow: it goes on with the next keyframe.
_MOST_BEHIND_S = 2.0
_MOST_BYTES = 64 << 20
# Threads that hang in a sink for good; then no new ones are started.
_MOST_LEFT = 4


@dataclass(frozen=True, slots=True)
class _Item:
    packet: Encoded
    program: Program


class LiveSink:
    """A destination and the worker that writes to it now. `offer` and `watch` never wait.

    failed: the error that trying again does not mend, where the sink never worked.
    """

    def __init__(
        self,
        destination: Destination,
        timeout_s: float,
        retries: int | None,
        want_keyframe: Callable[[], None],
        on_change: Callable[[Change], None],
    ) -> None:
        self.destination = destination
        self.name = destination.redacted
        self.states = StateLog(on_change, of=self.name)
        self.latency = Latency()
        self.drops: Counter[str] = Counter()
        self.frames = 0
        self.bytes = 0
        self.files = 0
        self.failed: VsrError | None = None
        self.want_keyframe = want_keyframe
        self.backoff = Backoff(retries)
        self._timeout_s = timeout_s
        self._left: list[_Worker] = []
        self._worker = _Worker(self)

    def begin(self) -> None:
        """Start its thread."""
        self._worker.start()

    def offer(self, packet: Encoded, program: Program) -> None:
        """Queue a packet, or drop it where the sink is not connected or too slow."""
        self._worker.offer(_Item(packet, program))

    def watch(self) -> None:
        """Leave a worker that hangs, and begin anew. To be called now and then."""
        self._left = [worker for worker in self._left if worker.alive]
        stuck_s = self._worker.stuck_s
        if stuck_s <= self._timeout_s or len(self._left) >= _MOST_LEFT:
            return
        self.states.enter("stalled", f"took nothing for {stuck_s:.1f} s")
        self._worker.leave("stalled")
        self._left.append(self._worker)
        self.states.enter("reconnecting")
        self._worker = _Worker(self)
        self._worker.start()

    def end(self) -> None:
        """No more packets come: write what is queued, then the end."""
        self._worker.end()

    @property
    def alive(self) -> bool:
        """Whether its thread is still at work."""
        return self._worker.alive

    def leave(self) -> None:
        """It is over, whether the end is written or not."""
        if self._worker.alive:
            self._worker.leave("stopped")
        self.states.enter("stopped", self.failed.message if self.failed else "")

    def as_dict(self) -> dict[str, Any]:
        """Counters, for the report."""
        latency = self.latency.overall()
        return {
            "name": self.name,
            "state": self.states.now,
            "frames": self.frames,
            "bytes": self.bytes,
            "files": self.files,
            "drops": dict(self.drops),
            "reconnects": self.states.count("reconnecting"),
            "latency": latency,
            "changes": [change.as_dict() for change in self.states.changes()],
        }


class _Worker:
    """One thread of a sink. Once it is left nothing it does counts."""

    def __init__(self, sink: LiveSink) -> None:
        self._sink = sink
        self._items: deque[_Item] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._waits = False
        self._over_for_good = False
        self._to_keyframe = True
        self._ending = False
        self._left = False
        # Whether a frame has been taken from the queue and is neither written nor given up.
        self._in_hand = False
        # Frames written of which it is not known that they are on the disk, or that the other side is there.
        self._under_way = 0
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-sink", daemon=True)
        self.start = self._thread.start

    # From other threads

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def stuck_s(self) -> float:
        """How long a call into FFmpeg has not come back."""
        since = self._busy_since
        return time.monotonic() - since if since is not None else 0.0

    def offer(self, item: _Item) -> None:
        packet = item.packet
        is_video = packet.kind == "video"
        with self._changed:
            if self._waits or self._over_for_good:
                self._count(is_video, "not connected")
                return
            if self._to_keyframe and not (is_video and packet.keyframe):
                self._count(is_video, "until the next keyframe")
                return
            self._to_keyframe = False
            self._items.append(item)
            self._bytes += len(packet.data)
            if (is_video and self._behind_s(packet) > _MOST_BEHIND_S) or self._bytes > _MOST_BYTES:
                self._empty("too slow")
                self._sink.want_keyframe()
            self._changed.notify()

    def _behind_s(self, packet: Encoded) -> float:
        """Seconds of video that wait, up to that packet. Sound, which runs ahead of it, says nothing."""
        first = next(item.packet for item in self._items if item.packet.kind == "video")
        return float(packet.pts * packet.time_base - first.pts * first.time_base)

    def leave(self, reason: str) -> None:
        with self._changed:
            self._left = True
            self._count(self._in_hand + self._under_way, reason)
            self._empty(reason)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify()

    def _empty(self, reason: str) -> None:
        for item in self._items:
            self._count(item.packet.kind == "video", reason)
        self._items.clear()
        self._bytes = 0
        self._to_keyframe = True

    def _count(self, frames: int, reason: str) -> None:
        if frames:
            self._sink.drops[reason] += frames

    # On its own thread

    def _run(self) -> None:
        sink = self._sink
        while not self._over:
            try:
                self._connection()
            except VsrError as error:
                if not self._goes_on(error):
                    break
            except Exception as error:
                sink.failed = PipelineError("sink", sink.frames or None, error)
                sink.failed.__cause__ = error
                break
        with self._changed:
            self._over_for_good = True
            if not self._left:
                self._empty("stopped" if self._ending else "not connected")

    @property
    def _over(self) -> bool:
        return self._left or (self._ending and not self._items)

    def _goes_on(self, error: VsrError) -> bool:
        """After an error: wait and be ready for another attempt, unless there is to be none."""
        sink = self._sink
        with self._changed:
            if self._left:
                return False
            ending = self._ending
            self._empty("not connected")
            self._waits = True
        if ending:
            sink.states.enter("stopped", error.message)
            return False
        wait_s = sink.backoff.next_s()
        hopeless = isinstance(error, EncodeError) and not sink.frames
        if hopeless or not isinstance(error, MediaError) or wait_s is None:
            sink.failed = error
            return False
        sink.states.enter("reconnecting", error.message)
        with self._changed:
            ends = self._changed.wait_for(lambda: self._left or self._ending, wait_s)
            self._waits = False
        sink.want_keyframe()
        return not ends

    def _connection(self) -> None:
        """Open the destination when there is something for it, and write until that ends or the program changes."""
        item = self._next()
        if item is None:
            return
        sink = self._sink
        program = item.program
        number = self._number()
        try:
            with self._busy():
                output = Output(sink.destination, program, number)
        except MediaError:
            self._give_up()
            raise
        try:
            sink.files = number
            while item is not None and item.program.number == program.number and not self._full(output, item):
                self._write(output, item.packet)
                item = self._next()
            if item is not None:
                self._put_back(item)
            with self._busy():
                output.close()
            with self._changed:
                sink.frames += 0 if self._left else self._under_way
                self._under_way = 0
        except MediaError:
            self._give_up()
            raise
        finally:
            with self._busy():
                output.discard()
            if sink.destination.path is not None and not output.kept and not self._left:
                sink.files = number - 1  # The recording has been removed.

    def _write(self, output: Output, packet: Encoded) -> None:
        sink = self._sink
        with self._busy():
            output.write(packet)
        with self._changed:
            if self._left or packet.kind != "video":
                return
            self._in_hand = False
            kept = self._under_way + 1 - (output.frames - output.kept)
            sink.frames += kept
            self._under_way += 1 - kept
        if not output.connected:
            return
        sink.states.enter("streaming")
        sink.backoff.succeeded()
        sink.bytes += len(packet.data)
        sink.latency.add(time.monotonic() - packet.captured_at)

    def _give_up(self) -> None:
        """What was taken from the queue is lost, and what went to a side that was not there."""
        with self._changed:
            if not self._left:
                self._count(self._in_hand + self._under_way, "not connected")
                self._in_hand, self._under_way = False, 0

    def _full(self, output: Output, item: _Item) -> bool:
        """Whether a recording goes on in another file from this packet on."""
        destination = self._sink.destination
        if not item.packet.keyframe or item.packet.kind != "video" or not output.frames:
            return False
        long = destination.rotate_s is not None and output.seconds >= destination.rotate_s
        return long or (destination.rotate_bytes is not None and output.bytes >= destination.rotate_bytes)

    def _number(self) -> int:
        """Of the next connection or file. Of a recording's files, none that is there already is written over."""
        destination = self._sink.destination
        number = self._sink.files + 1
        if destination.path is not None and number > 1:
            while recording_path(destination, number).exists():
                number += 1
        return number

    def _next(self) -> _Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._left or self._ending)
            if self._left or not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= len(item.packet.data)
            self._in_hand = item.packet.kind == "video"
            return item

    def _put_back(self, item: _Item | None) -> None:
        if item is not None:
            with self._changed:
                self._items.appendleft(item)
                self._in_hand = False
                self._bytes += len(item.packet.data)

    @contextlib.contextmanager
    def _busy(self) -> Generator[None]:
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None
