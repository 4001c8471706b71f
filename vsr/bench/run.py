"""Every case: each stage alone, then all together, on one clip."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path

from vsr.bench.config import BenchConfig
from vsr.bench.plan import NULL, Network, Output, networks
from vsr.bench.recorder import Recorder, WarmUp
from vsr.bench.result import BenchResult, Case, Cell, LeftOut, Part
from vsr.bench.stages import decode_alone, encode_alone, first_frames, infer_alone, together, write_clip
from vsr.bench.statistics import Spread
from vsr.bench.synthetic import RATE, synthetic_frames
from vsr.core.clock import SYSTEM_CLOCK
from vsr.core.errors import ConfigError, VsrError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.jobs.size import enlarged
from vsr.machine.environment import environment
from vsr.machine.load import LoadMeter
from vsr.upscale.upscaler import Upscaler

_FRAMES = 300
_SECONDS_FOR_A_CASE = 20.0
_LEAST_FRAMES = 8


def bench(config: BenchConfig, say: Callable[[str], None] | None = None) -> BenchResult:
    """Measure all cases of a configuration. say: told each part as it is begun.

    Raises, before any work, what `vsr.bench.plan.networks` raises; later what `open_source` raises of the input, and the error
    of the last case where none could be measured.
    """
    say = say or (lambda _text: None)
    wanted = networks(config)
    created, started, meter = datetime.now(UTC), SYSTEM_CLOCK.now(), LoadMeter()
    cases = sum(len(network.outputs) for network in wanted)
    deadline = started + (config.budget_s or _SECONDS_FOR_A_CASE * cases)
    cells: list[Cell] = []
    left_out: list[LeftOut] = []
    failed: VsrError | None = None
    with tempfile.TemporaryDirectory(prefix="vsr-bench-") as folder:
        clips = _Clips(config, Path(folder), say)
        for done, network in enumerate(wanted):
            now = SYSTEM_CLOCK.now()
            if cells and now >= deadline:
                left_out.append(LeftOut(str(network), "the time was over"))
                continue
            try:
                clip = clips.clip(network.size)
                seconds = max(1.0, (deadline - now) / (len(wanted) - done))
                cells += _measured(config, network, clip, Path(folder), seconds, say)
            except VsrError as error:
                failed = error
                left_out.append(LeftOut(str(network), error.message))
    if failed is not None and not cells:
        raise failed
    return BenchResult(
        created=created.isoformat(timespec="seconds"),
        command="",
        environment=environment(),
        cells=tuple(cells),
        left_out=tuple(left_out),
        seconds=round(SYSTEM_CLOCK.now() - started, 1),
        load=meter.load(),
    )


@dataclass(frozen=True, slots=True)
class _Clip:
    url: str
    name: str
    frames: list[Frame]
    info: VideoInfo


class _Clips:
    """The clip that all cases of a size read."""

    def __init__(self, config: BenchConfig, folder: Path, say: Callable[[str], None]) -> None:
        self._config, self._folder, self._say = config, folder, say
        self._made: dict[tuple[int, int] | None, _Clip] = {}

    def clip(self, size: tuple[int, int] | None) -> _Clip:
        """Of that size, made where there is none; None for the input."""
        if size not in self._made:
            self._made[size] = self._make(size)
        return self._made[size]

    def _make(self, size: tuple[int, int] | None) -> _Clip:
        url, name = self._config.input or "", Path(self._config.input or "").name
        if size is not None:
            width, height = size
            url, name = str(self._folder / f"in-{width}x{height}.mkv"), "synthetic"
            self._say(f"making a clip of {width}x{height}")
            first = next(synthetic_frames(width, height, 1))
            info = VideoInfo(
                width,
                height,
                first.format,
                first.color,
                time_base=first.time_base,
                frame_rate=Fraction(RATE),
            )
            write_clip(synthetic_frames(width, height, self._config.frames or _FRAMES), info, Path(url))
        frames, info = first_frames(url)
        if len(frames) < _LEAST_FRAMES:
            raise ConfigError(
                f"{len(frames)} frames are too few to measure", hint=f"give {_LEAST_FRAMES} or more"
            )
        return _Clip(url, name, frames, info)


def _measured(
    config: BenchConfig,
    network: Network,
    clip: _Clip,
    folder: Path,
    seconds: float,
    say: Callable[[str], None],
) -> Iterable[Cell]:
    """A cell for each output. seconds: for all of them."""
    info, threads = clip.info, config.threads
    share = seconds / (2 + 2 * len(network.outputs))
    with Upscaler(network.options) as upscaler:
        spec = upscaler.spec
        network.options.check_reached(spec, upscaler.scale)
        batch = upscaler.batch(info.width, info.height)
        at_once = batch * upscaler.in_flight

        def recorder() -> Recorder:
            warm_up = WarmUp(least=min(2 * at_once, len(clip.frames) // 2), most=min(48, len(clip.frames)))
            return Recorder(warm_up, SYSTEM_CLOCK.now() + share)

        alone: dict[str, Part] = {}
        say(f"{network}: decode")
        decode_alone(clip.url, threads, record := recorder())
        alone["decode"] = record.part()
        say(f"{network}: infer, {spec.id} on {upscaler.backend}")
        large = infer_alone(upscaler, clip.frames, record := recorder())
        alone["infer"] = record.part()
        encode: dict[Output, Part] = {}
        for output in network.outputs:
            if output.encoder != NULL:
                say(f"{network}: encode, {output}")
                encode_alone(
                    large, enlarged(info, upscaler.scale), output, threads, folder, record := recorder()
                )
                encode[output] = record.part()
        case = Case(
            model=spec.id,
            scale=upscaler.scale,
            size=(info.width, info.height),
            size_out=(info.width * upscaler.scale, info.height * upscaler.scale),
            backend=upscaler.backend,
            precision=upscaler.precision,
            device=upscaler.device,
            batch=batch,
            in_flight=upscaler.in_flight,
            threads=threads,
            input=clip.name,
        )
    cells = []
    for output in network.outputs:
        say(f"{network}: all together into {output}")
        parts = alone | ({"encode": encode[output]} if output in encode else {})
        meter = LoadMeter()
        report, stages = together(network.options, clip.url, output, folder, record := recorder())
        whole = record.part()
        cells.append(
            Cell(
                case=replace(case, encoder=output.encoder, preset=output.preset or ""),
                together=whole,
                alone=parts,
                package=_hash_of(spec.folder),
                stages=stages,
                bottleneck=max(stages, key=lambda stage: stage.busy).name,
                cpu_over_alone=_over(whole, parts.values()),
                gflops=round(
                    2e-9 * spec.macs_per_pixel * info.width * info.height * alone["infer"].fps.median, 2
                ),
                load=meter.load(),
                notes=report.notes,
            )
        )
    return cells


def _over(whole: Part, parts: Iterable[Part]) -> Spread:
    """Processor time together over that of the stages alone."""
    alone = [part.cpu_ms for part in parts]
    return Spread(
        whole.cpu_ms.median / sum(part.median for part in alone),
        whole.cpu_ms.low / sum(part.high for part in alone),
        whole.cpu_ms.high / sum(part.low for part in alone),
        min(part.repeats for part in (whole.cpu_ms, *alone)),
    )


@cache
def _hash_of(folder: Path) -> str:
    """Of names and contents of a package's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
