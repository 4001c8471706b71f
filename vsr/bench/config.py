"""The configuration of a bench."""

from __future__ import annotations

from dataclasses import dataclass

from vsr.core.errors import ConfigError
from vsr.core.tables import in_range
from vsr.models import Precision

MAX_MINUTES = 24 * 60
MAX_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Every combination of its values is a case. Empty fields are vsr's own choice.

    scales: that the models reach exactly. sizes: (width, height) of synthetic frames in: even, and up to 16384 pixels a side
    once enlarged. batches: frames in a run of the network. in_flights: runs under way at once. encoders: as FFmpeg names them;
    "null" for none. presets: each of the encoders that know it. Raises ConfigError.
    """

    models: tuple[str, ...] = ()
    scales: tuple[float, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    backends: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ()
    batches: tuple[int, ...] = ()
    in_flights: tuple[int, ...] = ()
    encoders: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for count in self.in_flights:
            in_range("in_flights", count, 1, MAX_IN_FLIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig(Grid):
    """One call of `vsr bench`. The suite gives each part of the Grid that is empty here.

    suite: name of a suite that comes with vsr, or path of a TOML file. None means the suite "default" if no cases are given,
    otherwise no suite. input: a clip to read instead of synthetic frames. frames: length of a synthetic clip. budget_s: seconds
    for all cases, None for the suite's budget, or 20 for each case. tile, threads, build: as in NetworkOptions. Raises
    ConfigError.
    """

    suite: str | None = None
    input: str | None = None
    frames: int | None = None
    budget_s: float | None = None
    tile: int | None = None
    threads: int = 0
    build: bool = True

    def __post_init__(self) -> None:
        Grid.__post_init__(self)
        if self.frames is not None and self.frames < 1:
            raise ConfigError(f"{self.frames} frames are out of range", hint="give 1 or more")
        if self.budget_s is not None and not 0 < self.budget_s <= 60 * MAX_MINUTES:
            raise ConfigError(
                f"a budget of {self.budget_s / 60:g} minutes is out of range",
                hint=f"give up to {MAX_MINUTES} minutes",
            )
        if self.input is not None and self.sizes:
            raise ConfigError(
                "--input and --size exclude each other", hint="a clip has a size: leave --size out"
            )
