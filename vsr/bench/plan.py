"""Lists the cases of a benchmark, and estimates whether there is time for a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product

from vsr.bench.config import BenchConfig, Grid
from vsr.bench.result import LeftOut
from vsr.bench.suite import suite_of
from vsr.core.errors import ConfigError, EncoderUnavailableError
from vsr.machine.tuned import Tuned, assumed
from vsr.media.write.encoder_traits import traits_of
from vsr.media.write.encoders import encoder_named
from vsr.models import find_model
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

NULL = "null"
DEFAULT_SIZE = (960, 540)
LEAST_REPEATS = 3
"""Frames that a network which is slow is measured on at least, after its warm-up."""
_DEFAULT_ENCODERS = (NULL, "libx264")
_FRAMES = 300
_SECONDS_FOR_A_CASE = 20.0
_MAX_SIDE = 16384


@dataclass(frozen=True, slots=True)
class Output:
    """An encoder that frames go to. preset: empty for vsr's default, and for an encoder without presets."""

    encoder: str
    preset: str = ""

    def __str__(self) -> str:
        return f"{self.encoder} {self.preset}".strip()


@dataclass(frozen=True, slots=True)
class Network:
    """One network, one frame size, and all outputs. size: None for the size of the clip. in_flight: runs in progress at
    once, None for vsr's own choice."""

    options: NetworkOptions
    size: tuple[int, int] | None
    outputs: tuple[Output, ...]
    in_flight: int | None = None

    def __str__(self) -> str:
        options = self.options
        words = [options.model, options.backend, options.device, options.precision]
        words += [f"x{options.scale:g}" if options.scale else None]
        words += ["x".join(map(str, self.size)) if self.size else None]
        words += [f"batch {options.batch}" if options.batch else None]
        words += [f"{self.in_flight} in flight" if self.in_flight else None]
        return ", ".join(word for word in words if word and word != "auto") or "auto"

    def as_asked(self) -> AbstractContextManager[None]:
        """Let it run so meanwhile, on this thread: with as many in flight, and with nothing else that `vsr bench tune` kept."""
        return assumed(Tuned(in_flight=self.in_flight)) if self.in_flight else nullcontext()

    def check(self) -> None:
        """Raise, before any work, the errors of `Upscaler`, and ConfigError for a scale that the model cannot reach."""
        with Upscaler(self.options) as upscaler:
            self.options.check_reached(upscaler.spec, upscaler.scale)


@dataclass(frozen=True, slots=True)
class Plan:
    """networks: to be measured, in this order. frames: most frames of a clip. budget_s: seconds for all measurements.
    limited: whether the user set this time, so that networks that do not fit are left out. left_out: cases that this machine
    cannot run."""

    suite: str
    networks: tuple[Network, ...]
    frames: int
    budget_s: float
    limited: bool
    left_out: tuple[LeftOut, ...]


def plan(config: BenchConfig) -> Plan:
    """All cases of a configuration.

    Raises ConfigError for a suite that is not whole, a size that no encoder takes and a preset that no encoder has;
    UnknownModelError, WeightsError; EncoderUnavailableError, where not a suite but the caller named the encoder.
    """
    suite = suite_of(config)
    left_out: dict[str, LeftOut] = {}
    found: dict[Network, None] = {}
    for grid in suite.grid:
        outputs = tuple(_outputs(grid, left_out if suite.name and not config.encoders else None))
        found |= dict.fromkeys(_networks(grid, outputs, config))
    cases = sum(len(network.outputs) for network in found)
    limit_s = config.budget_s if suite.minutes is None or config.budget_s else 60 * suite.minutes
    return Plan(
        suite.name,
        tuple(found),
        suite.frames or _FRAMES,
        limit_s or _SECONDS_FOR_A_CASE * cases,
        limit_s is not None,
        tuple(left_out.values()),
    )


def least_seconds(seconds_a_frame: float, at_once: int, outputs: int) -> float:
    """The least time that measuring a network takes: inferring alone, its steps, and the whole job into each output.

    at_once: frames under way at a time, twice as many of which are the warm-up.
    """
    return seconds_a_frame * ((2 * at_once + LEAST_REPEATS) * (1 + outputs) + LEAST_REPEATS)


def _networks(grid: Grid, outputs: tuple[Output, ...], config: BenchConfig) -> Iterator[Network]:
    for model, scale, size, backend, device, precision, batch, in_flight in product(
        grid.models or ("auto",),
        grid.scales or (None,),
        grid.sizes or ((None,) if config.input else (DEFAULT_SIZE,)),
        grid.backends or ("auto",),
        grid.devices or ("auto",),
        grid.precisions or (None,),
        grid.batches or (None,),
        grid.in_flights or (None,),
    ):
        spec = find_model(model, scale or 2.0)
        if size is not None:
            _check_size(size, spec.scale)
        options = NetworkOptions(
            model=model,
            scale=scale,
            backend=backend,
            device=device,
            tile=config.tile,
            batch=batch,
            threads=config.threads,
            precision=precision,
            build=config.build,
            temporal="on" if spec.states else "off",
        )
        yield Network(options, size, outputs, in_flight)


def _outputs(grid: Grid, left_out: dict[str, LeftOut] | None) -> Iterator[Output]:
    """Each encoder with each preset that it has, or with its default if it has none of them. left_out: gets the encoders
    that this build of FFmpeg lacks; without it they raise an error."""
    names: dict[str, None] = {}
    for asked in grid.encoders or _DEFAULT_ENCODERS:
        try:
            names[asked if asked == NULL else encoder_named(asked)] = None
        except EncoderUnavailableError as error:
            if left_out is None:
                raise
            left_out[asked] = LeftOut(asked, error.message)
    presets = {name: _presets(name) for name in names}
    for name, known in presets.items():
        taken = [preset for preset in dict.fromkeys(grid.presets) if preset in known]
        yield from (Output(name, preset) for preset in taken or [_default_preset(name)])
    unknown = [preset for preset in grid.presets if not any(preset in known for known in presets.values())]
    # A suite's preset may belong to an encoder that this machine lacks.
    if unknown and not left_out:
        hint = "; ".join(f"{name} has {', '.join(known)}" for name, known in presets.items() if known)
        raise ConfigError(f"no encoder given has a preset {unknown[0]!r}", hint=hint or "give --encoder, too")


def _presets(encoder: str) -> tuple[str, ...]:
    return () if encoder == NULL else traits_of(encoder).presets


def _default_preset(encoder: str) -> str:
    return "" if encoder == NULL else traits_of(encoder).preset or ""


def _check_size(size: tuple[int, int], scale: int) -> None:
    width, height = size
    most = _MAX_SIDE // scale
    if width % 2 or height % 2 or not 2 <= min(width, height) <= max(width, height) <= most:
        raise ConfigError(
            f"size {width}x{height} cannot be measured", hint=f"give even sides from 2 to {most} pixels"
        )
