"""The names of `import vsr`. Heavy modules are imported when a name is first used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vsr.core.errors import VsrError

if TYPE_CHECKING:
    from pathlib import Path

    from vsr.backends.tensorrt.build import BuiltEngine
    from vsr.backends.tensorrt.recipe import EngineRecipe
    from vsr.backends.tensorrt.recipe import load_recipe as load_engine_recipe
    from vsr.backends.tensorrt.recipe import recipe_from_dict as engine_recipe
    from vsr.backends.tensorrt.store import EngineStore
    from vsr.bench.compare import BenchComparison
    from vsr.bench.compare import compare_results as compare_bench_results
    from vsr.bench.config import BenchConfig
    from vsr.bench.result import BenchResult
    from vsr.bench.result import read_result as read_bench_result
    from vsr.bench.run import bench as benchmark
    from vsr.bench.tune import TuneConfig, TuneResult, tune
    from vsr.convert.export import export_model, export_onnx
    from vsr.convert.importing import import_model
    from vsr.core.control import Control as JobControl
    from vsr.core.frame import Frame, PixelFormat
    from vsr.evaluation.compare import CompareConfig, compare
    from vsr.evaluation.comparison import Comparison
    from vsr.evaluation.demo import DemoResult, demo
    from vsr.evaluation.evaluate import EvaluateConfig, Evaluation, evaluate
    from vsr.evaluation.trial import Trial, TryConfig, try_out
    from vsr.jobs.config import UpscaleConfig
    from vsr.jobs.engine_builds import build_engine, verify_engine
    from vsr.jobs.listing import JobStatus, export_job, find_job, list_jobs, remove_jobs
    from vsr.jobs.many import preview_many, upscale_many
    from vsr.jobs.outlook import Preview
    from vsr.jobs.preview import preview
    from vsr.jobs.progress import OnProgress, Progress
    from vsr.jobs.report import Report
    from vsr.live.away import WhenAway
    from vsr.live.config import StreamConfig
    from vsr.live.frame import StreamFrame
    from vsr.live.open_stream import OpenStream
    from vsr.live.open_streams import OpenStreams
    from vsr.live.report import StreamReport
    from vsr.live.session import Session as StreamSession
    from vsr.live.streams import Streams as StreamsSession
    from vsr.live.streams_config import NamedStream, StreamsConfig
    from vsr.live.streams_file import read_streams
    from vsr.machine.doctor import Check, doctor
    from vsr.media.read.probe import Probe, probe
    from vsr.media.types import DeinterlaceMode, SinkOptions, SourceOptions
    from vsr.models.registry import Temporal, find_model
    from vsr.models.registry import all_models as list_models
    from vsr.models.spec import ModelSpec, Precision
    from vsr.upscale.options import NetworkOptions
    from vsr.upscale.upscaler import Upscaler

# Name: its module, and its name there if that differs.
_HOMES: Mapping[str, str] = {
    "BenchComparison": "vsr.bench.compare",
    "BenchConfig": "vsr.bench.config",
    "BenchResult": "vsr.bench.result",
    "BuiltEngine": "vsr.backends.tensorrt.build",
    "Check": "vsr.machine.doctor",
    "CompareConfig": "vsr.evaluation.compare",
    "Comparison": "vsr.evaluation.compare",
    "DemoResult": "vsr.evaluation.demo",
    "EngineRecipe": "vsr.backends.tensorrt.recipe",
    "EngineStore": "vsr.backends.tensorrt.store",
    "EvaluateConfig": "vsr.evaluation.evaluate",
    "Evaluation": "vsr.evaluation.evaluate",
    "Frame": "vsr.core.frame",
    "JobControl": "vsr.core.control:Control",
    "JobStatus": "vsr.jobs.listing",
    "ModelSpec": "vsr.models.spec",
    "NamedStream": "vsr.live.streams_config",
    "NetworkOptions": "vsr.upscale.options",
    "OpenStream": "vsr.live.open_stream",
    "OpenStreams": "vsr.live.open_streams",
    "PixelFormat": "vsr.core.frame",
    "Preview": "vsr.jobs.outlook",
    "Probe": "vsr.media.read.probe",
    "Progress": "vsr.jobs.progress",
    "Report": "vsr.jobs.report",
    "SinkOptions": "vsr.media.types",
    "SourceOptions": "vsr.media.types",
    "StreamConfig": "vsr.live.config",
    "StreamFrame": "vsr.live.frame",
    "StreamReport": "vsr.live.report",
    "StreamSession": "vsr.live.session:Session",
    "StreamsConfig": "vsr.live.streams_config",
    "StreamsSession": "vsr.live.streams:Streams",
    "Trial": "vsr.evaluation.trial",
    "TryConfig": "vsr.evaluation.trial",
    "TuneConfig": "vsr.bench.tune",
    "TuneResult": "vsr.bench.tune",
    "UpscaleConfig": "vsr.jobs.config",
    "Upscaler": "vsr.upscale.upscaler",
    "benchmark": "vsr.bench.run:bench",
    "build_engine": "vsr.jobs.engine_builds",
    "compare": "vsr.evaluation.compare",
    "compare_bench_results": "vsr.bench.compare:compare_results",
    "demo": "vsr.evaluation.demo",
    "doctor": "vsr.machine.doctor",
    "engine_recipe": "vsr.backends.tensorrt.recipe:recipe_from_dict",
    "evaluate": "vsr.evaluation.evaluate",
    "export_job": "vsr.jobs.listing",
    "export_model": "vsr.convert.export",
    "export_onnx": "vsr.convert.export",
    "find_job": "vsr.jobs.listing",
    "find_model": "vsr.models.registry",
    "import_model": "vsr.convert.importing",
    "list_jobs": "vsr.jobs.listing",
    "list_models": "vsr.models.registry:all_models",
    "load_engine_recipe": "vsr.backends.tensorrt.recipe:load_recipe",
    "preview": "vsr.jobs.preview",
    "probe": "vsr.media.read.probe",
    "read_bench_result": "vsr.bench.result:read_result",
    "read_streams": "vsr.live.streams_file",
    "remove_jobs": "vsr.jobs.listing",
    "try_out": "vsr.evaluation.trial",
    "tune": "vsr.bench.tune",
    "preview_many": "vsr.jobs.many",
    "upscale_many": "vsr.jobs.many",
    "verify_engine": "vsr.jobs.engine_builds",
}

__all__ = [
    "BenchComparison",
    "BenchConfig",
    "BenchResult",
    "BuiltEngine",
    "Check",
    "CompareConfig",
    "Comparison",
    "DemoResult",
    "EngineRecipe",
    "EngineStore",
    "EvaluateConfig",
    "Evaluation",
    "Frame",
    "JobControl",
    "JobStatus",
    "ModelSpec",
    "NamedStream",
    "NetworkOptions",
    "OpenStream",
    "OpenStreams",
    "PixelFormat",
    "Preview",
    "Probe",
    "Progress",
    "Report",
    "SinkOptions",
    "SourceOptions",
    "StreamConfig",
    "StreamFrame",
    "StreamReport",
    "StreamSession",
    "StreamsConfig",
    "StreamsSession",
    "Trial",
    "TryConfig",
    "TuneConfig",
    "TuneResult",
    "UpscaleConfig",
    "Upscaler",
    "VsrError",
    "benchmark",
    "build_engine",
    "compare",
    "compare_bench_results",
    "demo",
    "doctor",
    "engine_recipe",
    "evaluate",
    "export_job",
    "export_model",
    "export_onnx",
    "find_job",
    "find_model",
    "import_model",
    "list_jobs",
    "list_models",
    "load_engine_recipe",
    "open_stream",
    "open_streams",
    "preview",
    "preview_many",
    "probe",
    "read_bench_result",
    "read_streams",
    "remove_jobs",
    "try_out",
    "tune",
    "upscale_file",
    "upscale_many",
    "verify_engine",
]


if not TYPE_CHECKING:  # Hidden from type checkers, which would take any name for an existing one.

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, original = home.partition(":")
        value = getattr(importlib.import_module(module), original or name)
        globals()[name] = value
        return value


def upscale_file(
    input: str,
    output: str | None = None,
    *,
    scale: float | None = None,
    size: tuple[int, int] | str | None = None,
    model: str = "auto",
    backend: str = "auto",
    device: str = "auto",
    video_stream: int | None = None,
    start_s: float | None = None,
    duration_s: float | None = None,
    deinterlace: DeinterlaceMode = "auto",
    frame_rate: Fraction | None = None,
    strict: bool = False,
    hwaccel: str | None = None,
    encoder: str | None = None,
    crf: float | None = None,
    bitrate: int | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    encoder_options: Mapping[str, str] | None = None,
    container_format: str | None = None,
    convert_streams: bool = False,
    overwrite: bool = False,
    segment: float | None = None,
    restart: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    batch: int | None = None,
    tile: int | None = None,
    threads: int = 0,
    precision: Precision | None = None,
    build: bool = True,
    temporal: Temporal = "auto",
    strength: float | None = None,
    progress: OnProgress | None = None,
    control: JobControl | None = None,
) -> Report:
    """Upscale one file (or picture, sequence, URL, "-") into another, and return the report.

    output: None for the input's name with the scale added, in the same folder. scale: factor per side, None for the model's own
    (2 for `auto`). size: displayed (width, height) in pixels instead, or a string as for `--size`: "1080p", "1920x". bitrate:
    bits a second. start_s, duration_s, segment: seconds. container_format: FFmpeg's name. progress: called a few times a
    second. control: its `stop()` and `cancel()` end the job from another thread. The other options are described by `vsr
    upscale --help`. The same call continues a job in segments, from the finished ones in `OUTPUT.vsr`.

    Raises VsrError (see vsr.core.errors); then no file has the output's name.
    """
    from vsr.jobs.config import UpscaleConfig
    from vsr.jobs.many import upscale_many
    from vsr.media.types import SinkOptions, SourceOptions
    from vsr.upscale.options import NetworkOptions

    config = UpscaleConfig(
        inputs=(str(input),),
        output=None if output is None else str(output),
        network=NetworkOptions(
            model=model,
            scale=scale,
            backend=backend,
            device=device,
            tile=tile,
            batch=batch,
            threads=threads,
            precision=precision,
            build=build,
            temporal=temporal,
            strength=strength,
        ),
        size=size,
        source=SourceOptions(
            video_stream=video_stream,
            start_s=start_s,
            duration_s=duration_s,
            deinterlace=deinterlace,
            strict=strict,
            frame_rate=frame_rate,
            hwaccel=hwaccel,
        ),
        sink=SinkOptions(
            encoder=encoder,
            crf=crf,
            bitrate=bitrate,
            preset=preset,
            pix_fmt=pix_fmt,
            encoder_options=dict(encoder_options or {}),
            container_format=container_format,
            convert_streams=convert_streams,
            overwrite=overwrite,
        ),
        segment=segment,
        restart=restart,
        workers=workers,
        cluster=cluster,
    )
    return upscale_many(config, progress=progress, control=control)[0]


def open_stream(
    source: str,
    *sinks: str,
    scale: int | None = None,
    model: str = "auto",
    backend: str = "auto",
    device: str = "auto",
    max_latency_s: float = 0.2,
    timeout_s: float = 5.0,
    retries: int | None = None,
    realtime: bool = False,
    wait: bool = False,
    source_options: Mapping[str, str] | None = None,
    size: tuple[int, int] | None = None,
    frame_rate: Fraction | None = None,
    audio: bool = True,
    encoder: str = "libx264",
    crf: float | None = None,
    bitrate: int | None = None,
    preset: str | None = None,
    encoder_options: Mapping[str, str] | None = None,
    rotate_s: float | None = None,
    rotate_bytes: int | None = None,
    keep_s: float | None = None,
    keep_bytes: int | None = None,
    overwrite: bool = False,
    require: Sequence[str] = (),
    when_away: WhenAway = "silent",
    duration_s: float | None = None,
    preview: str | None = None,
    token: str | None = None,
    tile: int | None = None,
    threads: int = 0,
    precision: Precision | None = None,
    build: bool = True,
    temporal: Temporal = "auto",
    strength: float | None = None,
) -> OpenStream:
    """Open a live source and upscale it. The result is a context manager, and an iterator of `StreamFrame`s as they come.

    source, sinks: as `vsr stream` takes them; sinks may be left out. Frames that the loop does not take in time are dropped,
    never queued. scale: 2, 3 or 4, None for the model's own (2 for `auto`). size, frame_rate: requested from cameras and
    screens. bitrate: bits a second. The other options are described by `vsr stream --help`.

    Raises VsrError (see vsr.core.errors): at once for options that cannot work, while iterating if the source is lost for good.
    """
    from vsr.live.config import StreamConfig
    from vsr.live.open_stream import OpenStream
    from vsr.media.live.encoder import EncoderOptions
    from vsr.upscale.options import NetworkOptions

    config = StreamConfig(
        source=str(source),
        sinks=tuple(map(str, sinks)),
        network=NetworkOptions(
            model=model,
            scale=scale,
            backend=backend,
            device=device,
            tile=tile,
            threads=threads,
            precision=precision,
            build=build,
            temporal=temporal,
            strength=strength,
        ),
        max_latency_s=max_latency_s,
        timeout_s=timeout_s,
        retries=retries,
        realtime=realtime,
        wait=wait,
        source_options=dict(source_options or {}),
        size=size,
        frame_rate=frame_rate,
        audio=audio,
        encoder=EncoderOptions(
            encoder=encoder,
            crf=crf,
            bitrate=bitrate,
            preset=preset,
            encoder_options=dict(encoder_options or {}),
        ),
        rotate_s=rotate_s,
        rotate_bytes=rotate_bytes,
        keep_s=keep_s,
        keep_bytes=keep_bytes,
        overwrite=overwrite,
        require=tuple(require),
        when_away=when_away,
        duration_s=duration_s,
        preview=preview,
        token=token,
    )
    return OpenStream(config)


def open_streams(config: StreamsConfig | Path | str) -> OpenStreams:
    """Open several live sources in one process, which share networks and the machine. The result is a context manager, and an
    iterator of (name of the stream, `StreamFrame`) as they come.

    config: a file as for `vsr stream --config`, or a StreamsConfig. Frames that the loop does not take in time are dropped,
    never queued. A stream that fails is begun again, and ends no other.

    Raises VsrError (see vsr.core.errors): FaultsError with all faults of the file; nothing has begun then.
    """
    from vsr.live.open_streams import OpenStreams

    return OpenStreams(config)
