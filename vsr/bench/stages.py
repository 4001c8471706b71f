"""Each stage alone, by the same code that `vsr upscale` runs, and the job itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, cycle, islice
from pathlib import Path

import numpy as np

from vsr.bench.plan import NULL, Output
from vsr.bench.recorder import WINDOW_S, Recorder
from vsr.bench.result import Part, StageShare
from vsr.bench.statistics import spread
from vsr.core.control import Control
from vsr.core.errors import ConfigError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.in_segments import fixed
from vsr.jobs.report import Report
from vsr.jobs.runners import Failed
from vsr.jobs.segments import Segment
from vsr.jobs.tasks import SegmentTask
from vsr.jobs.upscale import UpscaleJob
from vsr.jobs.workers import Workers
from vsr.media.read.open import open_source
from vsr.media.types import Carried, SinkOptions, SourceOptions
from vsr.media.write.sink import open_sink
from vsr.pipeline import PipelineStats
from vsr.upscale.options import NetworkOptions
from vsr.upscale.planes import Kind
from vsr.upscale.upscaler import Upscaler

# Number of kept frames, which are given in turn: few enough for memory, enough that an encoder sees motion.
_KEPT_FRAMES = 24
_KEPT_BYTES = 256 << 20


def first_frames(clip: str) -> tuple[list[Frame], VideoInfo, str]:
    """The first frames of a clip, as many as are kept, and its name for people.

    Raises what `open_source` raises; ConfigError for a single picture.
    """
    with open_source(clip, SourceOptions()) as source:
        if source.info.is_picture:
            raise ConfigError(
                f"{clip} is a picture", hint="give a video: one frame is over before it is measured"
            )
        return list(_kept(source)), source.info, source.carried.name


def decode_alone(clip: str, threads: int, recorder: Recorder) -> None:
    """Read the clip over and over."""
    while not recorder.enough:
        recorder.begin()
        with open_source(clip, SourceOptions(threads=threads)) as source:
            for _ in source:
                if recorder.frame():
                    break


def infer_alone(upscaler: Upscaler, frames: Sequence[Frame], recorder: Recorder) -> list[Frame]:
    """Enlarge the frames over and over; the first that came out."""
    recorder.begin()
    large: list[Frame] = []
    with upscaler.sequence() as sequence:
        came = sequence.stream(_back_and_forth(frames))
        for frame in _kept(came):
            large.append(_copied(frame))
            recorder.frame()
        for _ in came:
            if recorder.frame():
                break
    return large


def steps_alone(upscaler: Upscaler, frame: Frame, recorder: Callable[[], Recorder]) -> dict[str, Part]:
    """Measure the steps of the infer stage, each repeatedly on one frame, with nothing else in progress; see
    `Network.steps`. recorder: makes a recorder for a step."""
    if upscaler.passes > 1:
        return {}
    kind = Kind.of(frame)
    opaque = replace(kind, format=replace(kind.format, alpha=False))
    parts = {}
    with upscaler.network.steps(list(frame.planes)[: opaque.format.num_planes], opaque) as steps:
        for name, step in steps.items():
            record, gpu_ms = recorder(), list[float]()
            record.begin()
            while not record.enough:
                counts, taken = record.warm, step()
                gpu_ms += [taken] if counts and taken is not None else []
                record.frame()
            parts[name] = replace(record.part(), gpu_ms=spread(gpu_ms) if gpu_ms else None)
    return parts


def encode_alone(
    large: Sequence[Frame], info: VideoInfo, output: Output, threads: int, folder: Path, recorder: Recorder
) -> None:
    """Encode the frames over and over, into a file that is thrown away. info: of them."""
    step = max(1, large[0].duration)
    sink = open_sink(
        str(folder / "alone.mkv"), replace(_options(output), threads=threads), Carried("alone.mkv"), info
    )
    recorder.begin()
    try:
        for number, frame in zip(count(), _back_and_forth(large), strict=False):
            sink.write(replace(frame, pts=number * step, index=number))
            if recorder.frame():
                break
    finally:
        sink.abandon()


def together(
    network: NetworkOptions, clip: str, output: Output, folder: Path, recorder: Recorder
) -> tuple[Report, tuple[StageShare, ...]]:
    """Run the job over and over, and return its report and the figures of its stages in the steady state."""
    path = "null:" if output.encoder == NULL else str(folder / "together.mkv")
    config = UpscaleConfig((clip,), path, network, sink=replace(_options(output), overwrite=True))
    begun: PipelineStats | None = None
    ended: PipelineStats | None = None
    control = Control()

    def on_frame(stats: PipelineStats) -> None:
        nonlocal begun, ended
        if recorder.frame():
            control.stop()
        if not recorder.warm or begun is None:
            begun = stats
        ended = stats

    with UpscaleJob(config, control) as job:
        while True:
            recorder.begin()
            report = job.run(clip, path, on_frame=on_frame)
            if recorder.enough:
                break
            begun = None
    assert begun is not None
    assert ended is not None
    return report, _shares(begun, ended)


def side_by_side(
    network: NetworkOptions,
    clip: str,
    output: Output,
    folder: Path,
    count: int,
    recorder: Callable[[], Recorder],
) -> Recorder:
    """Let several workers upscale the clip repeatedly, each the whole clip. recorder: makes a recorder once all are working.
    Raises the error of a worker that fails."""
    config = UpscaleConfig((clip,), str(folder / "beside.mkv"), network, sink=_options(output))
    with UpscaleJob(config) as job:
        outlook = job.outlook(clip)
    config = fixed(config, outlook)
    seen: dict[int, int] = {}
    record: Recorder | None = None

    def come(number: int, frames: int) -> None:
        """Note that a worker has done this number of its segment's frames. A worker counts from its first segment on."""
        nonlocal record
        if record is not None:
            for _ in range(frames - seen.get(number, 0)):
                record.frame()
        if frames:
            seen[number] = frames
        if record is None and len(seen) == count:
            record = recorder()

    with Workers(count, (outlook.device,), Control(), lambda n, said: come(n, said.frames_done)) as workers:
        names = workers.free()
        while record is None or not record.enough:
            for name in workers.free():
                number = names.index(name)
                whole = Segment(number, None, None, None, 0)
                workers.start(name, SegmentTask(clip, str(config.output), config, whole, folder / name))
            for event in workers.wait(WINDOW_S):
                if isinstance(event, Failed):
                    raise event.error
                come(event.done.number, event.done.report.frames_out)
                seen[event.done.number] = 0
    return record


def _shares(begun: PipelineStats, ended: PipelineStats) -> tuple[StageShare, ...]:
    seconds = max(1e-9, ended.seconds - begun.seconds)
    return tuple(
        StageShare(
            after.name,
            *(
                round((getattr(after, what) - getattr(before, what)) / seconds, 3)
                for what in ("busy_s", "starved_s", "blocked_s")
            ),
        )
        for before, after in zip(begun.stages, ended.stages, strict=True)
    )


def write_clip(frames: Iterable[Frame], info: VideoInfo, path: Path) -> None:
    """A file of H.264, as cameras and the web have it."""
    sink = open_sink(
        str(path), SinkOptions(encoder="libx264", crf=20, preset="veryfast"), Carried(path.name), info
    )
    try:
        for frame in frames:
            sink.write(frame)
        sink.finish()
    finally:
        sink.abandon()


def _options(output: Output) -> SinkOptions:
    if output.encoder == NULL:
        return SinkOptions()
    return SinkOptions(encoder=output.encoder, preset=output.preset or None)


def _kept(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The first frames, while they are few and small."""
    kept = 0
    for frame in islice(frames, _KEPT_FRAMES):
        yield frame
        kept += sum(np.asarray(plane).nbytes for plane in frame.planes)
        if kept >= _KEPT_BYTES:
            break


def _copied(frame: Frame) -> Frame:
    """A copy in ordinary memory: a backend's memory may be scarce, and is allocated again if it is kept."""
    return replace(frame, planes=[np.array(plane) for plane in frame.planes])


def _back_and_forth(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames without an end, so that nothing jumps; as one stream."""
    one = [replace(frame, starts=None) for frame in frames]
    return cycle(chain(one, one[-2:0:-1]))
