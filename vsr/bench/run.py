"""Each stage alone, then all together, in one run on one clip."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from vsr.bench.measure import measured
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
from vsr.media.write.encoder_traits import X264_PRESETS
from vsr.media.write.sink import open_sink
from vsr.models import find_model
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

# Decoded frames kept in memory; longer runs repeat them.
_MAX_KEPT = 60
_X264_SIDE = 16384


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """network: its scale must be one that the model reaches exactly. size: (width, height) of the frames in, unless `input`
    names a clip: even, and up to 16384 pixels a side once enlarged. frames: how many are measured.

    presets: of x264, each measured once, alone and at the end of the whole; a null sink always is.
    Raises ConfigError.
    """

    network: NetworkOptions = field(default_factory=NetworkOptions)
    size: tuple[int, int] = (960, 540)
    frames: int = 240
    input: str | None = None
    presets: tuple[str, ...] = ("veryfast", "superfast")

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"{self.frames} frames are out of range", hint="give 1 or more")
        for preset in self.presets:
            if preset not in X264_PRESETS:
                raise ConfigError(f"x264 has no preset {preset!r}", hint=f"it has {', '.join(X264_PRESETS)}")


def bench(config: BenchConfig, say: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Measure. Returns JSON values: environment, config, `alone` by stage, `together` by sink.

    Each part has frames, seconds, fps and cpu_s (of the whole process, codec and runtime threads included); `together`
    also has cpu_over_alone, its processor time over that of its stages measured alone. Raises ConfigError, before any work, for
    a size that x264 cannot encode, and what `Upscaler` and `open_source` raise.
    """
    say = say or (lambda _text: None)
    config = replace(config, presets=tuple(dict.fromkeys(config.presets)))
    _check_size(config)
    with tempfile.TemporaryDirectory(prefix="vsr-bench-") as folder:
        clip = Path(folder) / "in.mkv"
        say("making the clip")
        _make_clip(config, clip)
        alone: dict[str, Any] = {}
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
            model, backend, precision = upscaler.spec.id, upscaler.backend, upscaler.precision
        del frames, large
        together: dict[str, Any] = {}
        for encoder in (None, *config.presets):
            name = f"x264 {encoder}" if encoder else "null"
            say(f"all together into {name}")
            together[name] = _together(config, clip, encoder, folder)
            parts = [alone["decode"], alone["infer"]] + ([alone[f"encode {name}"]] if encoder else [])
            together[name]["cpu_over_alone"] = round(
                together[name]["cpu_s"] / sum(part["cpu_s"] for part in parts), 3
            )
    return {
        "environment": environment(),
        "config": asdict(config.network)
        | {name: value for name, value in asdict(config).items() if name != "network"}
        | {"model": model, "backend": backend, "batch": batch, "precision": precision},
        "size_in": [info.width, info.height],
        "size_out": [info.width * upscaler.scale, info.height * upscaler.scale],
        "alone": alone,
        "together": together,
    }


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


def _decode_alone(clip: Path, threads: int) -> tuple[dict[str, Any], list[Frame], VideoInfo]:
    with open_source(str(clip), SourceOptions(threads=threads)) as source:
        frames: list[Frame] = []
        count = 0
        with measured() as measure:
            for frame in source:
                count += 1
                if len(frames) < _MAX_KEPT:
                    frames.append(frame)
        return measure.result(count), frames, source.info


def _infer_alone(
    upscaler: Upscaler, frames: list[Frame], config: BenchConfig, batch: int
) -> tuple[dict[str, Any], list[Frame]]:
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
    return measure.result(config.frames), large


def _encode_alone(
    large: list[Frame], info: VideoInfo, scale: int, preset: str, config: BenchConfig, folder: str
) -> dict[str, Any]:
    step = max(1, large[0].duration)
    repeated = islice(cycle(large), config.frames)
    frames = (replace(frame, pts=n * step, index=n) for n, frame in enumerate(repeated))
    options = SinkOptions(encoder="libx264", preset=preset, threads=config.network.threads)
    with measured() as measure:
        _encode(frames, enlarged(info, scale), options, Path(folder) / f"alone-{preset}.mkv")
    return measure.result(config.frames)


def _together(config: BenchConfig, clip: Path, preset: str | None, folder: str) -> dict[str, Any]:
    output = str(Path(folder) / f"together-{preset}.mkv") if preset else "null:"
    sink = SinkOptions(encoder="libx264", preset=preset, overwrite=True) if preset else SinkOptions()
    job_config = UpscaleConfig((str(clip),), output, config.network, sink=sink)
    with UpscaleJob(job_config) as job, measured() as measure:
        report = job.run(str(clip), output)
    return measure.result(report.frames_out) | {
        "bottleneck": report.bottleneck,
        "setup_s": report.setup_s,
        "stages": [asdict(stage) for stage in report.stages],
    }
