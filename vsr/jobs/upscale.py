"""One input to one output: decode, infer, encode."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from vsr.core.control import Control
from vsr.core.errors import DecodeError
from vsr.core.frame import Frame
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.progress import Progress
from vsr.jobs.report import Report, stage_reports
from vsr.jobs.size import enlarged, plan_size
from vsr.media.read.open import open_source
from vsr.media.types import Sink, Source
from vsr.media.write.sink import open_sink
from vsr.pipeline import Pipeline, PipelineStats, Stage
from vsr.upscale.pool import UpscalerPool
from vsr.upscale.upscaler import Upscaler

# Batches that may wait between two stages, and the most memory they may take there.
_QUEUE_BATCHES = 4
_QUEUE_BYTES = 96 << 20

# PyAV's frames and their side data hold each other: without the collector, which counts objects and not their size, hundreds
# of decoded frames stay in memory.
_COLLECT_EVERY = 32

OnProgress = Callable[[Progress], None]
OnFrame = Callable[[PipelineStats], None]
"""Takes what the stages have done by then."""


class UpscaleJob:
    """Runs inputs one after another and keeps the compiled model between them. A context manager."""

    def __init__(self, config: UpscaleConfig, control: Control | None = None) -> None:
        self._config = config
        self._control = control or Control()
        self._pool = UpscalerPool()

    def __enter__(self) -> UpscaleJob:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.close()

    def run(
        self,
        url: str,
        output: str,
        *,
        on_progress: OnProgress | None = None,
        on_frame: OnFrame | None = None,
        item: int = 0,
        items: int = 1,
    ) -> Report:
        """Upscale `url` into `output`. Raises VsrError; then nothing lies under the output's name.

        on_frame: called on the encoding thread after each frame that is handed to the encoder. Raises Cancelled after
        `Control.cancel`.
        """
        started_at, started, cpu_started = time.time(), time.perf_counter(), time.process_time()
        config = self._config
        threads = config.network.threads
        reading = replace(config.source, threads=config.source.threads or threads)
        with open_source(url, reading) as source:
            info = source.info
            plan = plan_size(info, config.network.scale, config.size)
            network = replace(config.network, scale=plan.factor)
            upscaler = self._pool.upscaler(network, "picture" if info.is_picture else "video")
            stays = info.on_device and upscaler.on_gpu
            large = replace(enlarged(info, upscaler.scale), sar=plan.sar, on_device=stays)
            batch = upscaler.batch(info.width, info.height, on_device=stays)
            size = plan.size if plan.size != (large.width, large.height) else None
            writing = replace(config.sink, size=size, threads=config.sink.threads or threads)
            sink = open_sink(output, writing, source.carried, large)
            first_frame_s: float | None = None
            compiled_s = upscaler.network.compile_s
            try:
                exhausted = _Exhaustion(source, fetch=not stays)

                def encode(frames: Iterator[Frame]) -> Path | None:
                    return _encode(_watched(frames, written), sink, source, exhausted)

                def written() -> None:
                    nonlocal first_frame_s
                    if first_frame_s is None:
                        first_frame_s = time.perf_counter() - started
                    if on_frame is not None:
                        on_frame(pipeline.stats)

                pipeline: Pipeline[Path | None] = Pipeline(
                    exhausted,
                    [Stage("infer", lambda frames: _infer(frames, upscaler, 1 if info.is_picture else None))],
                    encode,
                    capacity=_capacity(large.width, large.height, large.format.bytes_per_sample, batch),
                    control=self._control,
                    source_name="decode",
                    sink_name="encode",
                )
                setup_s = time.perf_counter() - started
                watch = _progress_of(source, upscaler, on_progress, item, items) if on_progress else None
                result = pipeline.run(watch)
            finally:
                sink.abandon()  # does nothing once the output is whole
        seconds = time.perf_counter() - started
        stages = stage_reports(result.stats)
        return Report(
            input=source.carried.name,
            output=str(result.value) if result.value else None,
            model=upscaler.spec.id,
            backend=upscaler.backend,
            device=upscaler.device,
            precision=upscaler.precision,
            size_in=(info.width, info.height),
            size_out=size or (large.width, large.height),
            frames_in=source.counters.frames,
            frames_out=sink.counters.frames,
            seconds=round(seconds, 3),
            setup_s=round(setup_s, 3),
            cpu_s=round(time.process_time() - cpu_started, 3),
            fps=round(sink.counters.frames / seconds, 2),
            stages=stages,
            bottleneck=result.stats.bottleneck.name,
            damaged_packets=source.counters.damaged_packets,
            first_error=source.counters.first_error,
            notes=(*source.notes, *plan.notes, *upscaler.notes, *sink.notes),
            warnings=(*source.carried.warnings, *sink.warnings),
            stopped_early=result.stopped,
            output_bytes=sink.counters.bytes or None,
            encoder=sink.encoder,
            started=round(started_at, 3),
            first_frame_s=None if first_frame_s is None else round(first_frame_s, 3),
            compile_s=round(upscaler.network.compile_s - compiled_s, 3),
        )


class _Exhaustion:
    """The source, and whether it came to its own end (rather than being stopped). fetch: frames come to the host here."""

    def __init__(self, source: Source, *, fetch: bool) -> None:
        self._source, self._fetch = source, fetch
        self.reached_end = False

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(self._source, 1):
            if number % _COLLECT_EVERY == 0:
                gc.collect()
            if self._fetch and frame.on_device:
                frame.planes, frame.on_device = list(frame.planes), None
            yield frame
        self.reached_end = True


def _infer(frames: Iterator[Frame], upscaler: Upscaler, in_flight: int | None) -> Iterator[Frame]:
    with upscaler.sequence(in_flight=in_flight) as sequence:
        yield from sequence.stream(frames)


def _encode(frames: Iterator[Frame], sink: Sink, source: Source, exhausted: _Exhaustion) -> Path | None:
    for frame in frames:
        sink.write(frame)
    if exhausted.reached_end and not sink.counters.frames:
        said = f": {source.counters.first_error}" if source.counters.first_error else ""
        raise DecodeError(
            f"{source.carried.name}: no frame could be decoded{said}", hint="the file may be damaged or empty"
        )
    if exhausted.reached_end:
        return sink.finish()
    return sink.keep_part() if sink.counters.frames else None


def _watched(frames: Iterator[Frame], written: Callable[[], None]) -> Iterator[Frame]:
    """The frames; `written` is called as the next is asked for."""
    for frame in frames:
        yield frame
        del frame
        written()


def _capacity(width: int, height: int, bytes_per_sample: int, batch: int) -> int:
    """Frames of that size that may wait: a batch at least."""
    return max(batch, min(_QUEUE_BATCHES * batch, _QUEUE_BYTES // (2 * width * height * bytes_per_sample)))


def _progress_of(
    source: Source, upscaler: Upscaler, on_progress: OnProgress, item: int, items: int
) -> Callable[[PipelineStats], None]:
    total, rate = source.info.num_frames_from_header, source.info.frame_rate

    def report(stats: PipelineStats) -> None:
        done = stats.stages[-1].items_in
        fps = done / stats.seconds if stats.seconds > 0 else 0.0
        speed = fps / float(rate) if rate and not source.info.is_picture else None
        # A header that counted too few must not show more than all.
        known = total if total and total >= done else None
        eta_s = (known - done) / fps if known and fps > 0 else None
        on_progress(
            Progress(source.carried.name, done, known, fps, speed, eta_s, item, items, upscaler.doing)
        )

    return report
