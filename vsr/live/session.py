"""A stream from its source to its sinks: who runs on which thread, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.control import Control
from vsr.core.errors import VsrError, stage_failed
from vsr.live.assembly import assemble
from vsr.live.away import Away
from vsr.live.config import StreamConfig, parse_token
from vsr.live.counting import Counting
from vsr.live.frame import StreamFrame
from vsr.live.fresh_queue import LATE
from vsr.live.health import health, missing
from vsr.live.inference import Inference
from vsr.live.networks import Networks
from vsr.live.page.server import PageServer
from vsr.live.report import StreamReport
from vsr.live.sinks import LiveSink
from vsr.live.source import SourceKeeper
from vsr.live.states import Change, StateLog
from vsr.live.watchers import Watchers
from vsr.media.live.capture import Capture, Captured
from vsr.media.live.timeline import Timeline
from vsr.pipeline import Channel, EndOfStream

_TICK_S = 0.05
_END_TICK_S = 0.01
_LEAVE_S = 0.5
_END_S = 5.0


class Session:
    """One run of `vsr stream`. Any thread may call `stop`, `cancel` and `report`; one thread calls `run`, once.

    Threads: the source's two (vsr.media.live.capture), "infer", "encode", one for each sink, and the thread in `run`, which
    watches all others. Up to the encoder, decoded frames are dropped by their age.
    """

    def __init__(
        self,
        config: StreamConfig,
        *,
        on_change: Callable[[Change], None] = lambda _change: None,
        take: Callable[[StreamFrame], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        networks: Networks | None = None,
        weight: float = 1.0,
        watchers: Watchers | None = None,
    ) -> None:
        """on_change: called with each change of the source's state and the sinks', on threads of the session. take: called with
        every upscaled frame, likewise. networks: shared with other sessions; weight: of this one beside them. watchers: people
        who look at it already. Raises VsrError where something cannot work.
        """
        self.config = config
        self.control = Control()
        self.states = StateLog(on_change)
        self.page: PageServer | None = None
        self._take = take
        self._clock = clock
        self._parts = assemble(config, on_change, clock, networks, weight)
        self.counting = Counting(clock)
        self.watchers = watchers or Watchers(clock)
        self._timeline = Timeline(self.counting.began_at)
        # A frame of the source, its enlargement, and whether it is sent in place of one that did not come.
        self._encoding: Channel[tuple[Captured, StreamFrame, bool]] = Channel(1)
        self._inference = Inference(
            self._parts.rungs,
            config.max_latency_s,
            self.counting,
            self._hand_on,
            clock,
            goes_on=lambda: len(self._encoding) < self._encoding.capacity,
            idle=self._hold,
        )
        self._away = Away(
            config.when_away if self._parts.sinks else "silent",
            self._parts.address.redacted,
            self.states,
            self._timeline,
            clock,
        )
        self._keeper = SourceKeeper(
            self._parts.address,
            config.timeout_s,
            config.retries,
            self.states,
            self._connect,
            clock,
            waits=config.wait,
        )
        self._connections = 0
        self._error: VsrError | None = None
        self._ended_at: float | None = None
        self._missing: tuple[str, ...] = ()

    @property
    def weight(self) -> float:
        """Its share of the device beside other sessions."""
        return self._parts.rungs.share.weight

    @weight.setter
    def weight(self, weight: float) -> None:
        self._parts.rungs.share.weight = weight

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user, before the stream begins."""
        return self._parts.notes

    # Ending

    def discard(self) -> None:
        """Let go of the networks of a session that is never run."""
        self._parts.rungs.close()

    def stop(self) -> None:
        """End as if the source ended here: frames in progress are sent, recordings are finished."""
        self.control.stop()

    def cancel(self) -> None:
        """End without waiting for frames in progress; recordings stay playable."""
        self.control.cancel()

    def run(
        self,
        on_tick: Callable[[], None] = lambda: None,
        on_page: Callable[[str], None] = lambda _url: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> StreamReport:
        """Run until the source ends, `stop`, or an error, which is raised.

        on_tick: called now and then. on_page: called with the page's address. on_end: called when it begins to end.
        """
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"vsr-{name}", daemon=True)
            for name, work in (("infer", self._inference.run), ("encode", self._encode))
        ]
        sinks = self._parts.sinks
        try:
            if self._parts.listen is not None:
                self.page = PageServer(
                    self._parts.listen,
                    parse_token(self.config.token),
                    lambda: {"": self},
                )
                on_page(self.page.url)
            if self._parts.address.paced:
                self._prepare_ahead()
            for thread in threads:
                thread.start()
            for sink in sinks:
                sink.begin()
            while not self._over():
                self._keeper.tick()
                self._parts.rungs.share.away = self.states.now in ("stalled", "reconnecting")
                for sink in sinks:
                    sink.watch()
                self._inference.watch()
                on_tick()
                self._clock.sleep(_TICK_S)
        finally:
            on_end()
            self._end(threads)
        if self._error is not None:
            raise self._error
        return self.report()

    def _over(self) -> bool:
        failed = next((sink.failed for sink in self._parts.sinks if sink.failed is not None), None)
        self._error = self._error or self._keeper.failed or failed
        if self._error is not None or self._keeper.ended or self.control.stopped:
            return True
        duration_s, began = self.config.duration_s, self.counting.first_out_at
        return duration_s is not None and began is not None and self._clock.now() - began >= duration_s

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        sinks, queue = self._parts.sinks, self._inference.queue
        end_at = self._clock.now()
        self._keeper.leave()
        queue.close()
        if self._error is not None or self.control.cancelled:
            queue.empty("stopped")
        self._wait_for(lambda: self.control.cancelled or not any(thread.is_alive() for thread in threads))
        queue.empty("stopped")
        # Also after `cancel`: the frame in the network ends soon, and the interpreter must not end while a thread is in there.
        self._wait_for(lambda: not any(thread.is_alive() for thread in threads))
        for sink in sinks:
            sink.end()
        self._wait_for(lambda: self.control.cancelled or not any(sink.alive for sink in sinks))
        for sink in sinks:
            sink.leave()
        self._keeper.join(0.0 if self.control.cancelled else _LEAVE_S)
        if self.page is not None:
            self.page.close()
        self._parts.rungs.close()
        self.states.enter("stopped", self._error.message if self._error is not None else "")
        self._ended_at = self._clock.now()
        self._missing = missing(
            filter(_is_required, sinks),
            self.counting.frames_in,
            self.counting.frames_out,
            end_at,
            self.config.timeout_s,
            cancelled=self.control.cancelled,
        )

    def _wait_for(self, done: Callable[[], bool]) -> None:
        end = self._clock.now() + _END_S
        while not done() and self._clock.now() < end:
            self._clock.sleep(_END_TICK_S)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except VsrError as error:
            self._error = self._error or error
        except Exception as error:
            failed = stage_failed(threading.current_thread().name.removeprefix("vsr-"), None, error)
            failed.__cause__ = error
            self._error = self._error or failed
        finally:
            self._encoding.leave() if work == self._encode else self._encoding.close()

    # Source

    def _connect(self) -> Capture:
        self._timeline.restart()
        self._connections += 1
        on_audio = self._parts.publisher.audio if self.config.audio and self._parts.sinks else None
        return Capture(
            self._parts.address,
            self._timeline,
            self.config.timeout_s,
            self._inference.put,
            on_audio,
            self.counting.decode.busy,
            connection=self._connections,
            clock=self._clock,
        )

    def _prepare_ahead(self) -> None:
        """Make the networks before a paced source starts, from its first frame. The source is then opened again."""
        found: list[Captured] = []
        timeline = Timeline(self.counting.began_at)
        capture = Capture(
            self._parts.address, timeline, self.config.timeout_s, found.append, None, clock=self._clock
        )
        while not found and not capture.done.is_set() and not self.control.stopped:
            self._clock.sleep(_TICK_S)
        capture.leave()
        capture.join(_END_S)
        if found:
            self._inference.prepare(found[0])

    # Stages

    def _hand_on(self, captured: Captured, upscaled: StreamFrame) -> bool:
        """Give a frame to the page, the caller and the thread "encode". False once that thread has ended."""
        if not self._away.sent(captured, upscaled):
            self._inference.queue.lose(LATE)
            return True
        if self.watchers.wanted:
            self.watchers.offer(captured.frame, upscaled.frame)
        if self._take is not None:
            self._take(upscaled)
        return self._encoding.put((captured, upscaled, False))

    def _hold(self) -> None:
        """No frame comes: send a picture in its place, if one is due."""
        held = self._away.due()
        if held is not None:
            self._encoding.put((*held, True))

    def _encode(self) -> None:
        publisher = self._parts.publisher
        while True:
            try:
                captured, upscaled, held = self._encoding.get()
            except EndOfStream:
                publisher.flush()
                return
            began = self._clock.now()
            if held:
                publisher.video(captured, upscaled)
                continue
            if self._parts.sinks:
                # The frame may have waited for the encoder. Encoded frames are never left out: the next ones refer to them.
                if self._inference.is_late(captured):
                    continue
                with self.counting.encode.busy():
                    publisher.video(captured, upscaled)
            else:
                self.counting.latency.add(began - captured.at)
            self.counting.gone_out(upscaled.frame)
            self._inference.encoded(captured.frame, self._clock.now() - began)

    def report(self) -> StreamReport:
        """The report up to now."""
        counting, queue, sinks, rungs = (
            self.counting, self._inference.queue, self._parts.sinks, self._parts.rungs,
        )  # fmt: skip
        drops = {reason: count for reason, count in dict(queue.drops).items() if count}
        # The latency of a sink that works, else of one that used to work.
        latencies = [sink.latency for sink in sinks] if sinks else [counting.latency]
        recents = [latency.recent() for latency in latencies]
        overall, recent = min(
            ((latency.overall(), recent) for latency, recent in zip(latencies, recents, strict=True)),
            key=lambda pair: (not pair[1].count, not pair[0].count),
        )
        end = self._ended_at if self._ended_at is not None else self._clock.now()
        skipped = self._keeper.skipped
        if skipped:
            drops["not decoded in time"] = skipped
        frames_in = counting.frames_in + skipped
        return StreamReport(
            source=self._parts.address.redacted,
            state=self.states.now,
            seconds=round(end - counting.began_at, 3),
            backend=rungs.backend,
            device=rungs.device,
            precision=rungs.precision,
            model=rungs.model,
            size_in=counting.size_in,
            size_out=counting.size_out,
            encoder=self._parts.publisher.described,
            frames_before=counting.frames_before,
            frames_in=frames_in,
            frames_out=counting.frames_out,
            frames_held=self._away.frames,
            in_flight=frames_in - counting.frames_out - sum(drops.values()),
            drops=drops,
            fps=round(counting.fps(), 2),
            latency=overall if overall.count else None,
            recent=recent if recent.count else None,
            health=health(
                self._clock.now(),
                self.config.timeout_s,
                self.states.now,
                counting.began_at,
                counting.first_out_at,
                counting.last_out_at,
                filter(_is_required, sinks),
                self.states.why,
            ),
            missing=self._missing,
            load=counting.load(),
            measured=tuple(rungs.measured),
            steps=tuple(counting.steps),
            resets=dict(rungs.resets),
            reconnects=self.states.count("reconnecting"),
            stalls=self.states.count("stalled"),
            clock_jumps=self._timeline.jumps,
            damaged_packets=self._keeper.damaged_packets,
            queue_high_water=queue.high_water,
            changes=tuple(change.as_dict() for change in self.states.changes()),
            sinks=tuple(sink.as_dict() for sink in sinks),
            notes=(*self.notes, *rungs.notes),
        )


def _is_required(sink: LiveSink) -> bool:
    return sink.required
