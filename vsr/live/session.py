"""A stream from its source to its sinks: who runs on which thread, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from vsr.core.errors import PipelineError, VsrError
from vsr.live.config import StreamConfig
from vsr.live.counting import Counting
from vsr.live.frame import StreamFrame
from vsr.live.fresh_queue import FreshQueue
from vsr.live.page.server import PageServer, parse_listen
from vsr.live.publish import Publisher
from vsr.live.report import StreamReport
from vsr.live.rungs import Rungs
from vsr.live.sinks import LiveSink
from vsr.live.source import SourceKeeper
from vsr.live.states import Change, StateLog
from vsr.live.watchers import Watchers
from vsr.media.live.address import parse_address
from vsr.media.live.capture import Capture, Captured
from vsr.media.live.outputs import check_encoder_fits, parse_destination
from vsr.media.live.timeline import Timeline
from vsr.media.outputs import check_live_outputs
from vsr.pipeline import Channel, EndOfStream

_TICK_S = 0.05
_FIRST_FRAME_S = 0.1
_LEAVE_S = 0.5
_END_S = 5.0
_DEFAULT_INTERVAL_S = 1 / 30
# Frames that may wait, whatever their rate: a guard for the memory, beside the budget.
_LEAST_CAPACITY = 64
_FASTEST = 60
PREVIEW = "preview"
DEFAULT_LISTEN = ":8080"


class Session:
    """One run of `vsr stream`. `stop`, `cancel` and `report` are for any thread; `run` for one, once.

    Threads: the source's (vsr.media.live.capture), "infer", "encode", one for each sink, and the one that calls `run`, which
    watches all others. Only the queue between the source and "infer" drops frames, by their age.
    """

    def __init__(
        self,
        config: StreamConfig,
        *,
        on_change: Callable[[Change], None] = lambda _change: None,
        take: Callable[[StreamFrame], None] | None = None,
    ) -> None:
        """on_change: told of changes of the source's state and the sinks', on threads of ours; take: given every upscaled
        frame, likewise. Raises VsrError where something cannot work."""
        self.config = config
        self.states = StateLog(on_change)
        self.watchers = Watchers()
        self.counting = Counting()
        self.page: PageServer | None = None
        self._take = take
        self._address = parse_address(
            config.source,
            realtime=config.realtime,
            timeout_s=config.timeout_s,
            size=config.size,
            frame_rate=config.frame_rate,
        )
        destinations = [
            parse_destination(
                sink,
                timeout_s=config.timeout_s,
                rotate_s=config.rotate_s,
                rotate_bytes=config.rotate_bytes,
                overwrite=config.overwrite,
            )
            for sink in config.sinks
            if sink != PREVIEW
        ]
        for destination in destinations:
            check_encoder_fits(destination, config.encoder.encoder)
        files = [destination.file for destination in destinations if destination.file is not None]
        check_live_outputs(config.source, files, config.report)
        listen = DEFAULT_LISTEN if config.preview is None and PREVIEW in config.sinks else config.preview
        self._listen = parse_listen(listen) if listen is not None else None
        self._rungs = Rungs(config)
        self._started_at = time.monotonic()
        self._timeline = Timeline(self._started_at)
        self._publisher = Publisher(config.encoder)
        self._sinks = [
            LiveSink(destination, config.timeout_s, config.retries, self._publisher.want_keyframe, on_change)
            for destination in destinations
        ]
        self._publisher.sinks = self._sinks
        self._queue: FreshQueue[Captured] = FreshQueue(
            config.max_latency_s, max(_LEAST_CAPACITY, round(_FASTEST * config.max_latency_s))
        )
        self._queue.late = "starting"
        self._encoding: Channel[tuple[Captured, StreamFrame]] = Channel(1)
        self._keeper = SourceKeeper(
            self._address, config.timeout_s, config.retries, self.states, self._connect
        )
        # Plain values: what sets them may be a signal handler, which must take no lock.
        self._stops = False
        self._cancels = False
        self._error: VsrError | None = None
        self._late_seen = 0
        self._first: Captured | None = None
        self._size: tuple[int, int] | None = None
        self._interval_s = _DEFAULT_INTERVAL_S
        self._ended_at: float | None = None

    # Ending

    def stop(self) -> None:
        """End as if the source ended here: what is under way goes out, recordings are finished."""
        self._stops = True

    def cancel(self) -> None:
        """End without waiting for what is under way; recordings stay playable."""
        self._stops = self._cancels = True

    def run(
        self,
        on_tick: Callable[[], None] = lambda: None,
        on_page: Callable[[str], None] = lambda _url: None,
    ) -> StreamReport:
        """Run until the source ends, `stop`, or an error, which is raised.

        on_tick: called now and then. on_page: told where the page is.
        """
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"vsr-{name}", daemon=True)
            for name, work in (("infer", self._infer), ("encode", self._encode))
        ]
        try:
            if self._listen is not None:
                self.page = PageServer(self._listen, self.config.token, self.watchers, self.report)
                on_page(self.page.url)
            if self._address.paced:
                self._prepare_ahead()
            for thread in threads:
                thread.start()
            for sink in self._sinks:
                sink.begin()
            while not self._over():
                self._keeper.tick()
                for sink in self._sinks:
                    sink.watch()
                self._watch_ladder()
                on_tick()
                time.sleep(_TICK_S)
        finally:
            self._end(threads)
        if self._error is not None:
            raise self._error
        return self.report()

    def _over(self) -> bool:
        failed = next((sink.failed for sink in self._sinks if sink.failed is not None), None)
        self._error = self._error or self._keeper.failed or failed
        if self._error is not None or self._keeper.ended or self._stops:
            return True
        duration_s, began = self.config.duration_s, self.counting.first_out_at
        return duration_s is not None and began is not None and time.monotonic() - began >= duration_s

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        self._keeper.leave()
        self._queue.close()
        if self._error is not None or self._cancels:
            self._queue.empty("stopped")
        self._wait_for(lambda: not any(thread.is_alive() for thread in threads))
        self._queue.empty("stopped")
        for sink in self._sinks:
            sink.end()
        self._wait_for(lambda: not any(sink.alive for sink in self._sinks))
        for sink in self._sinks:
            sink.leave()
        self._keeper.join(0.0 if self._cancels else _LEAVE_S)
        self.watchers.close()
        if self.page is not None:
            self.page.close()
        self._rungs.close()
        self.states.enter("stopped", self._error.message if self._error is not None else "")
        self._ended_at = time.monotonic()

    def _wait_for(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + _END_S
        while not done() and not self._cancels and time.monotonic() < end:
            time.sleep(0.01)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except VsrError as error:
            self._error = self._error or error
        except Exception as error:
            failed = PipelineError(threading.current_thread().name.removeprefix("vsr-"), None, error)
            failed.__cause__ = error
            self._error = self._error or failed
        finally:
            self._encoding.leave() if work == self._encode else self._encoding.close()

    # Source

    def _connect(self) -> Capture:
        self._timeline.restart()
        on_audio = self._publisher.audio if self.config.audio and self._sinks else None
        return Capture(
            self._address,
            self._timeline,
            self.config.timeout_s,
            self._captured,
            on_audio,
            self.counting.decode.busy,
        )

    def _captured(self, captured: Captured) -> None:
        if not self._rungs.prepared:
            # The stream begins when the networks are ready: what comes while they are made is not counted.
            self._first = captured
            return
        self.counting.captured(captured)
        self._queue.put(captured, captured.at)

    def _prepare_ahead(self) -> None:
        """Networks for a source that waits for us: from its first frame, which is then read once more."""
        found: list[Captured] = []
        capture = Capture(
            self._address, Timeline(self._started_at), self.config.timeout_s, found.append, None
        )
        while not found and not capture.done.wait(_FIRST_FRAME_S) and not self._stops:
            pass
        capture.leave()
        capture.join(_END_S)
        if found:
            self._prepare(found[0])

    def _prepare(self, captured: Captured) -> None:
        rate = captured.frame_rate or self.counting.rate()
        self._interval_s = float(1 / rate) if rate else _DEFAULT_INTERVAL_S
        self._rungs.prepare(captured.frame, self._interval_s)

    # Stages

    def _begin(self) -> None:
        """Networks for the first frame, where there are none yet."""
        while not self._rungs.prepared and not self._queue.closed:
            if self._first is not None:
                self._prepare(self._first)
            else:
                time.sleep(_TICK_S)

    def _infer(self) -> None:
        self._begin()
        while True:
            captured = self._queue.take(_TICK_S)
            if captured is None:
                if self._queue.closed:
                    return
                continue
            frame = captured.frame
            if (frame.width, frame.height) != self._size:
                before, self._size = self._size, None
                if before is not None:
                    self._queue.late = "size changed"
                    self._prepare(captured)
                self._size = frame.width, frame.height
                if before is not None and time.monotonic() - captured.at > self.config.max_latency_s:
                    # What came meanwhile would be late, and all after it: it goes on with what comes next.
                    self._queue.give_up(self._queue.late)
                    continue
            with self.counting.infer.busy():
                large, model, seconds = self._rungs.upscale(frame)
            self._queue.work_s += (seconds - self._queue.work_s) / 8
            upscaled = StreamFrame(large, model, captured.at)
            if self.watchers.wanted:
                self.watchers.offer(frame, large)
            if self._take is not None:
                self._take(upscaled)
            if not self._encoding.put((captured, upscaled)):
                return

    def _encode(self) -> None:
        while True:
            try:
                captured, upscaled = self._encoding.get()
            except EndOfStream:
                self._publisher.flush()
                return
            if self._sinks:
                with self.counting.encode.busy():
                    self._publisher.video(captured, upscaled)
            else:
                self.counting.latency.add(time.monotonic() - captured.at)
            self.counting.gone_out(upscaled.frame)
            if (captured.frame.width, captured.frame.height) == self._size:
                self._queue.late = "late"  # The encoder and the networks of this size are at work.

    def _watch_ladder(self) -> None:
        late = self._queue.drops["late"]
        if late > self._late_seen:
            self._rungs.dropped(late - self._late_seen)
            self._late_seen = late
        rate = self.counting.rate()
        self._interval_s = float(1 / rate) if rate else self._interval_s
        step = self._rungs.step(self._interval_s)
        if step is not None:
            self.counting.stepped(time.monotonic() - self._started_at, *step)

    def report(self) -> StreamReport:
        """Everything so far."""
        counting, queue = self.counting, self._queue
        drops = {reason: count for reason, count in dict(queue.drops).items() if count}
        latency = self._sinks[0].latency if self._sinks else counting.latency
        end = self._ended_at if self._ended_at is not None else time.monotonic()
        skipped = self._keeper.skipped
        if skipped:
            drops["not decoded in time"] = skipped
        frames_in = counting.frames_in + skipped
        return StreamReport(
            source=self._address.redacted,
            state=self.states.now,
            seconds=round(end - self._started_at, 3),
            backend=self._rungs.backend,
            precision=self._rungs.precision,
            model=self._rungs.model,
            size_in=counting.size_in,
            size_out=counting.size_out,
            encoder=self._publisher.described,
            frames_in=frames_in,
            frames_out=counting.frames_out,
            in_flight=frames_in - counting.frames_out - sum(drops.values()),
            drops=drops,
            fps=round(counting.fps(), 2),
            latency=latency.overall(),
            recent=latency.recent(),
            load=counting.load(),
            measured=tuple(self._rungs.measured),
            steps=tuple(counting.steps),
            reconnects=self.states.count("reconnecting"),
            stalls=self.states.count("stalled"),
            clock_jumps=self._timeline.jumps,
            damaged_packets=self._keeper.damaged_packets,
            queue_high_water=queue.high_water,
            changes=tuple(change.as_dict() for change in self.states.changes()),
            sinks=tuple(sink.as_dict() for sink in self._sinks),
            notes=tuple(self._rungs.notes),
        )
