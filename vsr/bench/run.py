"""Each stage alone, then all together, in one run on one clip."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

from vsr.bench.config import BenchConfig
from vsr.bench.measure import measured
from vsr.bench.result import BenchResult, Part, Whole
from vsr.bench.synthetic import RATE, synthetic_frames
from vsr.core.errors import ConfigError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.size import enlarged
from vsr.jobs.upscale import UpscaleJob
from vsr.machine.environment import environment
from vsr.media.read.open import open_source
from vsr.media.types import Carried, SinkOptions, SourceOptions
from vsr.media.write.sink import open_sink
from vsr.models import find_model
from vsr.upscale.upscaler import Upscaler

# Decoded frames kept in memory; longer runs repeat them.
_MAX_KEPT = 60
_X264_SIDE = 16384


def bench(config: BenchConfig, say: Callable[[str], None] | None = None) -> BenchResult:
    """Measure each stage alone, then all together. say: told each part as it is begun.

    Raises ConfigError, before any work, for a size that x264 cannot encode, and what `Upscaler` and `open_source` raise.
    """
    say = say or (lambda _text: None)
    config = replace(config, presets=tuple(dict.fromkeys(config.presets)))
    _check_size(config)
    with tempfile.TemporaryDirectory(prefix="vsr-bench-") as folder:
        clip = Path(folder) / "in.mkv"
        say("making the clip")
        _make_clip(config, clip)
        alone: dict[str, Part] = {}
        with Upscaler(config.network) as upscaler:
            config.network.check_reached(upscaler.spec, upscaler.scale)
            say("decode")
            alone["decode"], frames, info = _decode_alone(clip, config.network.threads)
            say(f"infer, {upscaler.spec.id} on {upscaler.backend}")
            batch = upscaler.batch(info.width, info.height)
            alone["infer"], large = _infer_alone(upscaler, frames, config, batch)
            for preset in config.presets:
                say(f"encode, x264 {preset}")
                alone[f"encode x264 {preset}"] = _encode_alone(
                    large, info, upscaler.scale, preset, config, folder
                )
            precision = upscaler.precision
        del frames, large
        together: dict[str, Whole] = {}
        for into in (None, *config.presets):
            name = f"x264 {into}" if into else "null"
            say(f"all together into {name}")
            parts = [alone["decode"], alone["infer"]] + ([alone[f"encode {name}"]] if into else [])
            together[name] = _together(config, clip, into, folder, parts)
    return BenchResult(
        environment=environment(),
        config=config,
        model=upscaler.spec.id,
        backend=upscaler.backend,
        precision=precision,
        batch=batch,
        size_in=(info.width, info.height),
        size_out=(info.width * upscaler.scale, info.height * upscaler.scale),
        alone=alone,
        together=together,
    )


def _check_size(config: BenchConfig) -> None:
    if config.input is None:
        width, height = config.size
        most = _X264_SIDE // find_model(config.network.model, config.network.scale or 2.0).scale
        if width % 2 or height % 2 or not 2 <= min(width, height) <= max(width, height) <= most:
            raise ConfigError(
                f"size {width}x{height} cannot be measured", hint=f"give even sides from 2 to {most} pixels"
            )


def _make_clip(config: BenchConfig, clip: Path) -> None:
    """The clip all parts read: H.264 as cameras and the web have it, `frames` long, repeated if the input is shorter."""
    width, height = config.size
    frames: Iterator[Frame] = synthetic_frames(width, height, config.frames)
    first = next(synthetic_frames(width, height, 1))
    info = VideoInfo(
        width, height, first.format, first.color, time_base=first.time_base, frame_rate=Fraction(RATE)
    )
    if config.input is not None:
        with open_source(config.input, SourceOptions()) as source:
            kept = list(islice(source, min(config.frames, _MAX_KEPT)))
            info = replace(source.info, time_base=kept[0].time_base)
        step = max(1, kept[0].duration)
        repeated = islice(cycle(kept), config.frames)
        frames = (replace(frame, pts=n * step, index=n, side={}) for n, frame in enumerate(repeated))
    _encode(frames, info, SinkOptions(encoder="libx264", crf=20, preset="veryfast"), clip)


def _encode(frames: Iterable[Frame], info: VideoInfo, options: SinkOptions, path: Path) -> None:
    sink = open_sink(str(path), options, Carried(path.name), info)
    try:
        for frame in frames:
            sink.write(frame)
        sink.finish()
    finally:
        sink.abandon()


def _decode_alone(clip: Path, threads: int) -> tuple[Part, list[Frame], VideoInfo]:
    with open_source(str(clip), SourceOptions(threads=threads)) as source:
        frames: list[Frame] = []
        count = 0
        with measured() as measure:
            for frame in source:
                count += 1
                if len(frames) < _MAX_KEPT:
                    frames.append(frame)
        return measure.part(count), frames, source.info


def _infer_alone(
    upscaler: Upscaler, frames: list[Frame], config: BenchConfig, batch: int
) -> tuple[Part, list[Frame]]:
    # Repeated, they are one stream without a jump.
    frames = [replace(frame, starts=None) for frame in frames]

    def upscaled(count: int) -> Iterator[Frame]:
        with upscaler.sequence() as sequence:
            yield from sequence.stream(islice(cycle(frames), count))

    for _ in upscaled(batch * upscaler.in_flight):
        pass  # compiles
    large: list[Frame] = []
    with measured() as measure:
        for frame in upscaled(config.frames):
            if len(large) < len(frames):
                large.append(frame)
    return measure.part(config.frames), large


def _encode_alone(
    large: list[Frame], info: VideoInfo, scale: int, preset: str, config: BenchConfig, folder: str
) -> Part:
    step = max(1, large[0].duration)
    repeated = islice(cycle(large), config.frames)
    frames = (replace(frame, pts=n * step, index=n) for n, frame in enumerate(repeated))
    options = SinkOptions(encoder="libx264", preset=preset, threads=config.network.threads)
    with measured() as measure:
        _encode(frames, enlarged(info, scale), options, Path(folder) / f"alone-{preset}.mkv")
    return measure.part(config.frames)


def _together(
    config: BenchConfig, clip: Path, preset: str | None, folder: str, parts: Sequence[Part]
) -> Whole:
    """parts: the same stages, measured alone."""
    output = str(Path(folder) / f"together-{preset}.mkv") if preset else "null:"
    sink = SinkOptions(encoder="libx264", preset=preset, overwrite=True) if preset else SinkOptions()
    job_config = UpscaleConfig((str(clip),), output, config.network, sink=sink)
    with UpscaleJob(job_config) as job, measured() as measure:
        report = job.run(str(clip), output)
    part = measure.part(report.frames_out)
    return Whole(
        part.frames,
        part.seconds,
        part.fps,
        part.cpu_s,
        bottleneck=report.bottleneck,
        setup_s=report.setup_s,
        stages=report.stages,
        cpu_over_alone=round(part.cpu_s / sum(other.cpu_s for other in parts), 3),
    )
