"""The network, its device, and how it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from vsr.backends.devices import parse_devices
from vsr.core.errors import ConfigError
from vsr.models import ModelSpec, Precision
from vsr.models.registry import Temporal, all_models
from vsr.models.spec import MOST_STRENGTH

MAX_SCALE = 16
MAX_BATCH = 64
MAX_THREADS = 1024
MIN_TILE, MAX_TILE = 16, 32768


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The network of an Upscaler.

    model: a name (`vsr model list`), the path of a package folder, several of these separated by commas for a chain, or `auto`,
    which chooses by scale, device and kind of input. scale: factor per side, None for the model's own (2 for `auto`). backend:
    `auto` or a name. device: `auto`, `cpu`; `gpu:N` or `npu` for OpenVINO; `cuda:N`, numbered from 0 as CUDA_VISIBLE_DEVICES
    leaves them. Without a number it is the first device. Several devices of a kind, separated by commas, are for jobs with a
    process on each. tile: side of a tile in LR pixels, 0 for no tiles, None to tile only large pictures. batch: frames in a run
    of the network, None for the backend's choice. threads: processor threads, 0 for all cores. precision: None for the fastest.
    build: whether a missing TensorRT engine may be built. temporal: "on" for the network with memory that belongs to the model,
    for video; "off" for the one without; "auto" for the model as it is, unless a job or a stream finds the machine fast enough
    for memory. strength: 0..1.5, how much of what a network in colour adds to bicubic is added; None for the network's own, or
    what `auto` finds for the input. Raises ConfigError for a number out of range, and for an unknown device, precision or word.
    """

    model: str = "auto"
    scale: float | None = None
    backend: str = "auto"
    device: str = "auto"
    tile: int | None = None
    batch: int | None = None
    threads: int = 0
    precision: Precision | None = None
    build: bool = True
    temporal: Temporal = "auto"
    strength: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not 1 <= self.scale <= MAX_SCALE:
            raise ConfigError(
                f"scale {self.scale:g} is out of range", hint=f"give a factor from 1 to {MAX_SCALE}"
            )
        parse_devices(self.device)
        if self.tile not in (None, 0) and not MIN_TILE <= self.tile <= MAX_TILE:
            raise ConfigError(
                f"tile {self.tile} is out of range",
                hint=f"give {MIN_TILE} to {MAX_TILE} pixels, or 0 for no tiles",
            )
        if self.batch is not None and not 1 <= self.batch <= MAX_BATCH:
            raise ConfigError(f"batch {self.batch} is out of range", hint=f"give 1 to {MAX_BATCH} frames")
        if not 0 <= self.threads <= MAX_THREADS:
            raise ConfigError(
                f"threads {self.threads} is out of range",
                hint=f"give 0 for all cores, or a number up to {MAX_THREADS}",
            )
        if self.precision not in (None, *get_args(Precision)):
            raise ConfigError(
                f"there is no precision {self.precision!r}", hint=f"choose {', '.join(get_args(Precision))}"
            )
        if self.strength is not None and not 0 <= self.strength <= MOST_STRENGTH:
            raise ConfigError(
                f"strength {self.strength:g} is out of range",
                hint=f"give 0 for bicubic, 1 for all of the network, up to {MOST_STRENGTH} for sharper pictures",
            )
        if self.temporal not in get_args(Temporal):
            raise ConfigError(
                f"temporal is {self.temporal!r}", hint=f"choose {', '.join(get_args(Temporal))}"
            )

    def passes(self, spec: ModelSpec) -> int:
        """How often a model is run to reach the scale. Raises ConfigError for a model that must not be run twice."""
        if self.scale is None or self.scale <= spec.scale:
            return 1
        if spec.scale == 1 or "parts" in spec.network:
            raise ConfigError(
                f"x{self.scale:g} cannot be reached by {spec.id}, which enlarges by {spec.scale}",
                hint=f"--model {spec.id},fast goes on from there",
            )
        return math.ceil(math.log(self.scale, spec.scale) - 1e-9)

    def check_reached(self, spec: ModelSpec, scale: int) -> None:
        """Raise ConfigError if a model with factor `scale` cannot reach the requested factor."""
        if self.scale not in (None, scale):
            able = [other.id for other in all_models() if other.scale == self.scale]
            raise ConfigError(
                f"x{self.scale:g} cannot be reached by {spec.id}, which enlarges by {scale}",
                hint=f"give --scale {scale}" + (f", or --model {' or '.join(able)}" if able else ""),
            )
