"""Suites: which cases are measured together, as TOML."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from vsr.bench.config import BenchConfig, Grid
from vsr.core.errors import ConfigError, reason
from vsr.core.tables import filled, in_range, read_table

DEFAULT_SUITE = "default"


@dataclass(frozen=True, slots=True)
class Suite:
    """grid: measured in this order. minutes: time for all cases, None without a limit. frames: length of a clip."""

    title: str
    grid: tuple[Grid, ...]
    minutes: float | None = None
    frames: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.minutes is not None:
            in_range("minutes", self.minutes, 0.1, 24 * 60)
        if self.frames is not None:
            in_range("frames", self.frames, 1)
        if not self.grid:
            raise ConfigError("grid is empty", hint="write [[grid]] above models, sizes and encoders")


def shipped_suites() -> dict[str, Traversable]:
    """The files of the suites that come with vsr, by name."""
    found = sorted(files("vsr.bench").joinpath("suites").iterdir(), key=lambda path: path.name)
    return {path.name.removesuffix(".toml"): path for path in found if path.name.endswith(".toml")}


def suite_of(config: BenchConfig) -> Suite:
    """The suite a configuration names, with the configuration's own values in place of the suite's; without a name, its values.

    Raises ConfigError for a suite that does not exist or is incomplete.
    """
    given = {field.name: getattr(config, field.name) for field in fields(Grid) if getattr(config, field.name)}
    named = config.suite
    if named is None and not given and config.input is None:
        named = DEFAULT_SUITE
    suite = Suite("", (Grid(),)) if named is None else load_suite(named)
    if config.input is not None:
        given["sizes"] = ()
    if config.encoders:
        given["presets"] = config.presets  # The suite's presets belong to its own encoders.
    return replace(
        suite,
        grid=tuple(replace(grid, **given) for grid in suite.grid),
        frames=config.frames or suite.frames,
    )


def load_suite(name: str) -> Suite:
    """A suite by name, or from a TOML file. Raises ConfigError."""
    shipped = shipped_suites()
    path: Path | Traversable = shipped[name] if name in shipped else Path(name)
    if name not in shipped and not name.endswith(".toml"):
        raise ConfigError(
            f"there is no suite {name!r}", hint=f"give {', '.join(shipped)}, or the path of a .toml file"
        )
    try:
        table = read_table(path)
    except OSError as error:
        raise ConfigError(f"suite {name} cannot be read: {reason(error)}") from error
    return filled(Suite, table, f"suite {name}: ", name=name)
