"""One input to one output: decode, infer, encode."""

from __future__ import annotations

import copy
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vsr.core.control import Control
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.looks import Looks
from vsr.jobs.outlook import Outlook, Preview, stated_bytes
from vsr.jobs.progress import OnProgress, Pace, expected_bytes, frames_wanted, span_s
from vsr.jobs.report import Report, stage_reports
from vsr.jobs.size import enlarged, plan_size
from vsr.jobs.stages import Exhaustion, capacity_for, encode_all, until_cancelled, watched
from vsr.jobs.temporal import network_for
from vsr.media.read.images import is_picture_file
from vsr.media.read.index import VideoIndex, video_index
from vsr.media.read.open import open_source
from vsr.media.read.source import FileSource
from vsr.media.types import Sink, SinkOptions, Source, SourceOptions
from vsr.media.write.parts import PartSink, why_whole
from vsr.media.write.sink import VideoSink, open_sink
from vsr.pipeline import Pipeline, PipelineStats, Stage
from vsr.upscale.planes import Kind
from vsr.upscale.pool import UpscalerPool
from vsr.upscale.upscaler import Upscaler

if TYPE_CHECKING:
    from vsr.jobs.tasks import Joined

OnFrame = Callable[[PipelineStats], None]
"""Takes the stages' figures up to now."""

OnWhole = Callable[[Report, os.stat_result], None]
"""Takes the report of an output that is one file and whole, and the state of that file, just before it gets its name."""


class UpscaleJob:
    """Runs inputs one after another and keeps the compiled model between them. A context manager."""

    def __init__(self, config: UpscaleConfig, control: Control | None = None) -> None:
        self._config = config
        self._control = control or Control()
        self._pool = UpscalerPool()
        self._looks = Looks()
        # The opened source of the next picture, at most one, by URL; shared by all `configured`, as the looks are.
        self._ahead: dict[str, Source] = {}

    def __enter__(self) -> UpscaleJob:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close_ahead()
        self._pool.close()

    def configured(self, config: UpscaleConfig) -> UpscaleJob:
        """The same for another configuration. It shares the compiled models, and ends with this one."""
        job = copy.copy(self)
        job._config = config
        return job

    def run(
        self,
        url: str,
        output: str,
        *,
        on_progress: OnProgress | None = None,
        on_frame: OnFrame | None = None,
        on_begin: Callable[[Preview], None] | None = None,
        on_whole: OnWhole | None = None,
        item: int = 0,
        items: int = 1,
        following: str | None = None,
    ) -> Report:
        """Upscale `url` into `output`. Raises VsrError; then nothing lies under the output's name.

        on_begin: gets the plan before the first frame. on_frame: called on the encoding thread after each frame that is handed
        to the encoder. on_whole: see `OnWhole`. following: the input that will be run next; a picture is made ready for while
        this one is encoded. Raises Cancelled after `Control.cancel`.
        """
        began = _Began()
        with self._opened(url) as source:
            prepared = self._prepare(source, url)
            sink = open_sink(output, prepared.writing, source.carried, prepared.large)
            if on_begin is not None:
                on_begin(self._preview(source, prepared, sink, output))
            return self._work(
                source,
                source,
                sink,
                prepared,
                self._control,
                began,
                on_progress,
                on_frame,
                following,
                (item, items),
                on_whole,
            )

    def outlook(self, url: str) -> Outlook:
        """The amount of work. Raises VsrError for an input that cannot be opened."""
        with open_source(url, self._reading) as source:
            return self._outlook(source.info, self._prepare(source, url))

    def preview(self, url: str, output: str) -> Preview:
        """The plan of `run`. Raises the errors of `run` before its first frame; nothing is written."""
        with open_source(url, self._reading) as source:
            prepared = self._prepare(source, url)
            sink = open_sink(output, prepared.writing, source.carried, prepared.large, dry=True)
            try:
                return self._preview(source, prepared, sink, output)
            finally:
                sink.abandon()

    def index(self, url: str, output: str) -> VideoIndex:
        """The places where the work on `url` can be cut. Its `uncuttable` says why not, because of the input or of the output.

        Raises VsrError for an input that cannot be opened, and Cancelled.
        """
        with open_source(url, self._reading) as source:
            prepared = self._prepare(source, url)
            why = why_whole(output, prepared.writing, source.carried, prepared.large)
        return (
            VideoIndex(Fraction(1), uncuttable=why)
            if why
            else video_index(url, self._reading, self._control.check)
        )

    def run_part(
        self,
        url: str,
        output: str,
        path: Path,
        *,
        seek: int | None,
        begin: int | None,
        end: int | None,
        lead: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Report:
        """Upscale the frames that `FileSource.part` gives into a part of `output`, at `path`.

        It goes on to its end after `Control.stop`. Raises as `run`; then nothing lies at `path`.
        """
        began = _Began()
        control = Control()
        self._control.on_cancel(control.cancel)
        with open_source(url, self._reading) as source:
            assert isinstance(source, FileSource)
            prepared = self._prepare(source, url)
            sink = PartSink(path, output, prepared.writing, source.carried, prepared.large, source.first)
            frames = source.part(seek, begin, end, lead)
            return self._work(source, frames, sink, prepared, control, began, on_progress, None)

    def join(self, url: str, output: str, parts: Sequence[Path], called: str | None = None) -> Joined:
        """Write `output` from its parts, in order, and from the copied streams of `url`. called: its name in messages.

        Raises VsrError; then nothing lies under the output's name. Raises Cancelled after `Control.cancel`.
        """
        from vsr.jobs.tasks import Joined
        from vsr.media.write.join import joined

        with open_source(url, self._reading) as source:
            assert isinstance(source, FileSource)
            prepared = self._prepare(source, url)
            sink = open_sink(output, prepared.writing, source.carried, prepared.large, called=called)
            try:
                assert isinstance(sink, VideoSink)
                packets = until_cancelled(joined(parts, sink.template), self._control)
                sink.write_parts(packets, source.first, source.shelved())
                path = sink.finish()
            finally:
                sink.abandon()
            return Joined(
                str(path),
                sink.counters.frames,
                sink.counters.bytes,
                notes=(*source.notes, *prepared.notes, *sink.notes),
                warnings=(*source.carried.warnings, *sink.warnings),
            )

    def _outlook(self, info: VideoInfo, prepared: _Prepared) -> Outlook:
        upscaler = prepared.upscaler
        width, height = prepared.size
        return Outlook(
            info.num_frames_from_header,
            info.width * info.height,
            width * height,
            upscaler.passes,
            upscaler.spec,
            upscaler.backend,
            upscaler.device,
            upscaler.on_gpu,
            prepared.writing.threads,
            upscaler.wanted_precision,
            upscaler.tuned.workers,
        )

    def _preview(self, source: Source, prepared: _Prepared, sink: Sink, output: str) -> Preview:
        info, upscaler = source.info, prepared.upscaler
        frames = frames_wanted(info, self._config.source)
        work_s = None if frames is None else self._outlook(info, prepared).work_s(frames)
        return Preview(
            input=source.carried.name,
            output=output,
            size_in=(info.width, info.height),
            size=prepared.size,
            model=upscaler.spec.id,
            backend=upscaler.backend,
            device=upscaler.device,
            precision=upscaler.precision,
            encoder=sink.encoder,
            frames=frames,
            seconds=None if work_s is None else round(work_s, 1),
            bytes=stated_bytes(self._config.sink.bitrate, span_s(info, self._config.source)),
            notes=(*source.notes, *prepared.notes, *upscaler.notes, *sink.notes),
            warnings=(*source.carried.warnings, *sink.warnings),
        )

    @property
    def _reading(self) -> SourceOptions:
        config = self._config
        return replace(config.source, threads=config.source.threads or config.network.threads)

    def _opened(self, url: str) -> Source:
        """The input, which may have been opened ahead. Raises as `open_source`."""
        source = self._ahead.pop(url, None)
        self._close_ahead()
        return source or open_source(url, self._reading)

    def _close_ahead(self) -> None:
        while self._ahead:
            self._ahead.popitem()[1].close()

    def _make_ready(self, url: str) -> None:
        """Open an input and compile for it. What fails of this fails again in its turn."""
        with suppress(Exception):
            source = open_source(url, self._reading)
            self._ahead[url] = source
            info = source.info
            kind = Kind(info.width, info.height, info.format, info.color)
            self._prepare(source, url).upscaler.make_ready(kind)

    def _prepare(self, source: Source, url: str) -> _Prepared:
        """The network, size and options for an opened input."""
        config, info = self._config, source.info
        plan = plan_size(info, config.network.scale, config.size)
        rule = self._looks.rule(url, source, self._reading) if config.network.model == "auto" else None
        upscaler, notes = network_for(self._pool, replace(config.network, scale=plan.factor), info, rule)
        stays = info.on_device and upscaler.on_gpu and not upscaler.spec.states
        large = replace(enlarged(info, upscaler.scale), sar=plan.sar, on_device=stays)
        size = plan.size if plan.size != (large.width, large.height) else None
        threads = config.sink.threads or config.network.threads or upscaler.tuned.encoder_threads
        writing = replace(config.sink, size=size, threads=threads)
        return _Prepared(upscaler, large, writing, (*plan.notes, *notes))

    def _work(
        self,
        source: Source,
        frames: Iterable[Frame],
        sink: Sink,
        prepared: _Prepared,
        control: Control,
        began: _Began,
        on_progress: OnProgress | None,
        on_frame: OnFrame | None,
        following: str | None = None,
        number: tuple[int, int] = (0, 1),
        on_whole: OnWhole | None = None,
    ) -> Report:
        """Run frames of a source through the network into a sink, and end it."""
        info, upscaler, large = source.info, prepared.upscaler, prepared.large
        batch = upscaler.batch(info.width, info.height, on_device=large.on_device)
        first_frame_s: float | None = None
        compile_s = setup_s = 0.0
        pace = Pace(info, self._config.source)
        resets = Counter[str]()

        def watch(stats: PipelineStats) -> None:
            assert on_progress is not None
            said = pace.progress(stats, source.carried.name, *number, upscaler.doing)
            expected = expected_bytes(sink.counters, said.share)
            on_progress(replace(said, bytes=sink.counters.bytes, bytes_expected=expected))

        def reported(stats: PipelineStats, path: Path | None, *, stopped: bool) -> Report:
            seconds = time.perf_counter() - began.wall
            return Report(
                input=source.carried.name,
                output=str(path) if path else None,
                model=upscaler.spec.id,
                backend=upscaler.backend,
                device=upscaler.device,
                precision=upscaler.precision,
                size_in=(info.width, info.height),
                size_out=prepared.size,
                frames_in=exhausted.frames,
                frames_out=sink.counters.frames,
                seconds=round(seconds, 3),
                setup_s=round(setup_s, 3),
                cpu_s=round(time.process_time() - began.cpu, 3),
                fps=round(sink.counters.frames / seconds, 2),
                stages=stage_reports(stats),
                bottleneck=stats.bottleneck.name,
                damaged_packets=source.counters.damaged_packets,
                first_error=source.counters.first_error,
                notes=(*source.notes, *prepared.notes, *upscaler.notes, *sink.notes),
                warnings=(*source.carried.warnings, *sink.warnings),
                stopped_early=stopped,
                output_bytes=sink.counters.bytes or None,
                encoder=sink.encoder,
                started=round(began.at, 3),
                first_frame_s=None if first_frame_s is None else round(first_frame_s, 3),
                compile_s=round(compile_s, 3),
                video_s=None if info.is_picture else round(pace.done_s, 3) or None,
                resets=dict(resets),
            )

        exhausted = Exhaustion(frames, fetch=not large.on_device)
        try:

            def infer(frames: Iterator[Frame]) -> Iterator[Frame]:
                nonlocal compile_s
                before_s = upscaler.network.compile_s
                with upscaler.sequence(in_flight=1 if info.is_picture else None) as sequence:
                    for at, frame in enumerate(sequence.stream(frames)):
                        if at == 0:
                            compile_s = upscaler.network.compile_s - before_s
                        if frame.warms_up:
                            continue
                        if upscaler.spec.states and frame.starts:
                            resets[frame.starts.value] += 1
                        yield frame
                        del frame
                if info.is_picture and upscaler.device == "cpu" and following and is_picture_file(following):
                    self._make_ready(following)

            def encode(frames: Iterator[Frame]) -> Path | None:
                return encode_all(watched(frames, written), sink, source, exhausted)

            def written(frame: Frame) -> None:
                nonlocal first_frame_s
                pace.wrote(frame)
                if first_frame_s is None:
                    first_frame_s = time.perf_counter() - began.wall
                if on_frame is not None:
                    on_frame(pipeline.stats)

            pipeline: Pipeline[Path | None] = Pipeline(
                exhausted,
                [Stage("infer", infer)],
                encode,
                capacity=capacity_for(large.width, large.height, large.format.bytes_per_sample, batch),
                control=control,
                source_name="decode",
                sink_name="encode",
            )
            if on_whole is not None:
                sink.on_whole = lambda found: on_whole(
                    reported(pipeline.stats, Path(sink.name), stopped=False), found
                )
            setup_s = time.perf_counter() - began.wall
            result = pipeline.run(watch if on_progress else None)
        finally:
            sink.abandon()  # does nothing once the output is whole
            sink.on_whole = lambda _: None  # It holds the sink, and so the encoder.
        return reported(result.stats, result.value, stopped=result.stopped)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """large: describes the frames for the sink. notes: about the size and the choice of the network."""

    upscaler: Upscaler
    large: VideoInfo
    writing: SinkOptions
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the output's coded picture."""
        return self.writing.size or (self.large.width, self.large.height)


@dataclass(frozen=True, slots=True)
class _Began:
    """The beginning of a run: `at` in seconds since 1970, and the clocks that measure its length."""

    at: float = field(default_factory=time.time)
    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)
