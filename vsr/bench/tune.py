"""Finds the fastest settings of a network: it changes one setting after another, measures it beside the best so far, and
keeps it if it is faster by more than the spread."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from vsr.backends.choose import load_backend
from vsr.bench.clips import Clips
from vsr.bench.plan import DEFAULT_SIZE, Output
from vsr.bench.recorder import Recorder, WarmUp
from vsr.bench.stages import side_by_side, together
from vsr.bench.statistics import LEAST_CHANGE
from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import ConfigError, EngineError
from vsr.core.limits import cores
from vsr.machine.tuned import Tuned, assumed, keep
from vsr.models import Precision
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

_ROUNDS = 3
_LEAST_S = 1.0
_FRAMES = 300


@dataclass(frozen=True, slots=True)
class TuneConfig:
    """One call of `vsr bench tune`.

    network: threads, batch and precision given here are not varied. size: (width, height) of synthetic frames. encoder, preset:
    the encoder of the enlarged frames; "null" for none. budget_s: seconds for all measurements. Raises ConfigError.
    """

    network: NetworkOptions = field(default_factory=NetworkOptions)
    size: tuple[int, int] = DEFAULT_SIZE
    encoder: str = "libx264"
    preset: str | None = "superfast"
    budget_s: float = 120.0

    def __post_init__(self) -> None:
        if not 5 <= self.budget_s <= 24 * 3600:
            raise ConfigError(
                f"a budget of {self.budget_s / 60:g} minutes is out of range", hint="give 0.1 to 1440 minutes"
            )


@dataclass(frozen=True, slots=True)
class TuneResult:
    """model: the tuned model. tuned: the settings that were kept, in the file `path`. tried: frames per second of each change,
    by its words. left_out: changes for which there was no time."""

    model: str
    tuned: Tuned
    path: str
    tried: Mapping[str, float]
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


Change = tuple[str, dict[str, Any]]
"""Its words, and the fields of Tuned that it sets."""


@dataclass(frozen=True, slots=True)
class Found:
    """best: with its frames per second. tried, left_out: as in TuneResult."""

    best: Tuned
    tried: Mapping[str, float]
    left_out: tuple[str, ...]


def tune(config: TuneConfig, say: Callable[[str], None] | None = None) -> TuneResult:
    """Measure the settings of a network, and keep the fastest. say: gets the name of each change before it is measured.

    Raises the errors of `Upscaler`; ConfigError for a size or an encoder that cannot be measured; FileError if the settings
    cannot be kept.
    """
    say = say or (lambda _text: None)
    with tempfile.TemporaryDirectory(prefix="vsr-tune-") as name, assumed(Tuned()):
        with Upscaler(config.network) as upscaler:
            config.network.check_reached(upscaler.spec, upscaler.scale)
            spec, backend, device = upscaler.spec, upscaler.backend, upscaler.device
            changes = list(groups(config, upscaler))
        clip = Clips(None, _FRAMES, Path(name), say).clip(config.size)
        output = Output(config.encoder, config.preset or "")

        def fps(tuned: Tuned, seconds: float) -> float:
            def recorder() -> Recorder:
                return Recorder(WarmUp(seconds=0.5), SYSTEM_CLOCK.now() + seconds)

            # A job would choose by itself.
            network = replace(config.network, temporal="on" if spec.states else "off")
            job = network, clip.url, output, Path(name)
            with assumed(tuned):
                if tuned.workers:
                    return side_by_side(*job, tuned.workers, recorder).part().fps.median
                together(*job, alone := recorder())
            return alone.part().fps.median

        found = search(changes, fps, config.budget_s, say)
    best = replace(found.best, backend=backend, device=found.best.device or device, package=spec.numbers_hash)
    return TuneResult(spec.id, best, str(keep(spec, best)), found.tried, found.left_out)


def search(
    groups: Sequence[Sequence[Change]],
    fps: Callable[[Tuned, float], float],
    budget_s: float,
    say: Callable[[str], None],
    clock: Clock = SYSTEM_CLOCK,
) -> Found:
    """Go through groups of changes, each group against the best so far. fps: measures a setting for a number of seconds."""
    changes = sum(map(len, groups))
    begun = clock.now()
    each_s = max(_LEAST_S, budget_s / max(1, 2 * _ROUNDS * changes))
    best, tried, left_out = Tuned(), dict[str, float](), list[str]()
    first_fps = best_fps = 0.0
    for group in groups:
        base = best
        for words, fields in group:
            if clock.now() - begun >= budget_s:
                left_out.append(words)
                continue
            say(words)
            other = replace(base, **fields)
            before: list[float] = []
            after: list[float] = []
            for turn in range(_ROUNDS):
                # In turns, so that the machine's other load affects both alike.
                for setting in (base, other) if turn % 2 == 0 else (other, base):
                    (before if setting is base else after).append(fps(setting, each_s))
            ratios = [new / old for new, old in zip(after, before, strict=True)]
            tried[words] = statistics.median(after)
            first_fps = first_fps or statistics.median(before)
            best_fps = best_fps or first_fps
            if min(ratios) > 1 and statistics.median(ratios) > 1 + LEAST_CHANGE and tried[words] > best_fps:
                best, best_fps = other, tried[words]
    best = replace(best, fps=round(best_fps, 2), fps_before=round(first_fps, 2))
    return Found(best, tried, tuple(left_out))


def groups(config: TuneConfig, upscaler: Upscaler) -> Iterator[list[Change]]:
    """The settings of this network that can be changed on this machine, and their values."""
    here, wanted = cores(), config.network
    yield [(f"on {device}", {"device": device}) for device in _other_devices(config, upscaler)]
    usual = upscaler.in_flight
    in_flight = sorted({1, 2, usual // 2 + 1, here + 1, 2 * here} - {usual})
    yield [(f"{count} in flight", {"in_flight": count}) for count in in_flight]
    on_processor = upscaler.device == "cpu"
    if not wanted.threads:
        if on_processor and here > 1:
            counts = sorted({here // 2, here - 1} - {0})
            yield [(f"{count} threads", {"threads": count}) for count in counts]
        if config.encoder != "null":
            counts = sorted({1, here // 2, here} - {0})
            yield [(f"{count} encoder threads", {"encoder_threads": count}) for count in counts]
    if wanted.precision is None:
        yield [(p, {"precision": p}) for p in _other_precisions(upscaler, wanted)]
    if wanted.batch is None and upscaler.batch(*config.size) < 4:
        yield [(f"batches of {count}", {"batch": count}) for count in (2, 4)]
    if on_processor and config.encoder != "null":
        counts = sorted({2, here // 4} - {0, 1}) if here > 1 else []
        yield [(f"{count} workers", {"workers": count}) for count in counts]


def _other_devices(config: TuneConfig, upscaler: Upscaler) -> list[str]:
    """The devices OpenVINO sees beside the current one. Empty if backend or device is named, or if another backend is in use,
    as on a GPU of NVIDIA's."""
    wanted = config.network
    if (wanted.backend, wanted.device) != ("auto", "auto") or upscaler.backend != "openvino":
        return []
    return [device for device in load_backend("openvino").devices() if device != upscaler.device]


def _other_precisions(upscaler: Upscaler, wanted: NetworkOptions) -> list[Precision]:
    """The precisions the network can be computed in on this machine, without the current one."""
    small = np.zeros((16, 16), np.uint8)
    upscaler.upscale(small)
    found = []
    for precision in get_args(Precision):
        try:
            with Upscaler(replace(wanted, precision=precision)) as other:
                other.upscale(small)
        except (ConfigError, EngineError):  # This machine cannot use the precision.
            continue
        found.append(precision)
    return [precision for precision in found if precision != upscaler.precision]
