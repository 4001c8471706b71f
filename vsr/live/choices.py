"""The networks that a stream may use, heaviest first."""

from __future__ import annotations

from dataclasses import replace

from vsr.core.errors import ConfigError
from vsr.models.registry import Temporal, find_model, for_use, with_memory
from vsr.models.spec import CALIBRATED, ModelSpec, Precision
from vsr.upscale.options import NetworkOptions

# The families from the heaviest to the one that always keeps up.
_FAMILIES = ("quality", "balanced", "fast", "tiny", "bicubic")


def choices(network: NetworkOptions) -> list[NetworkOptions]:
    """The options of each network. "auto" stands for all families, another name for its network alone; each network with
    memory that belongs to one of them comes before it, or takes its place, as `temporal` says.

    Raises ConfigError where a memory is wanted and none of them has one, or a strength, and the errors of `find_model`.
    """
    if network.model == "auto" and network.strength is not None:
        raise ConfigError(
            "no network that auto takes for streams has a strength", hint="restore and anime have"
        )
    found: list[tuple[ModelSpec, NetworkOptions]] = []
    for name in _FAMILIES if network.model == "auto" else (network.model,):
        named = find_model(name, network.scale or 2.0)
        remembering = named if named.states else with_memory(named)
        if network.temporal != "off" and remembering is not None:
            found.append((remembering, _of(name, remembering, network)))
        if network.temporal == "off" or (network.temporal == "auto" and not named.states):
            single = for_use(named, "off", "video")
            found.append((single, _of(name, single, network)))
    if not found:
        for_use(named, "on", "video")  # Raises.
    if network.model == "auto":  # A memory makes a network heavier, perhaps than the next family.
        found.sort(key=lambda each: _work(*each), reverse=True)
    return [options for _, options in found]


def _work(spec: ModelSpec, options: NetworkOptions) -> int:
    """Multiply-adds for a pixel of the source."""
    return sum(spec.macs_per_pixel * spec.scale ** (2 * number) for number in range(options.passes(spec)))


def _of(name: str, spec: ModelSpec, network: NetworkOptions) -> NetworkOptions:
    temporal: Temporal = "on" if spec.states else "off"
    return replace(network, model=name, precision=_precision(spec, network), temporal=temporal)


def _precision(spec: ModelSpec, network: NetworkOptions) -> Precision | None:
    """The precision asked for. None, the fastest, for a network of several that does not have it."""
    cannot = spec.precision == "fp32" or (network.precision in CALIBRATED and not spec.calibration)
    return None if network.model == "auto" and cannot else network.precision
