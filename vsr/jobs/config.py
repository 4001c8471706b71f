"""What a job is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from vsr.core.errors import ConfigError
from vsr.media.types import SinkOptions, SourceOptions
from vsr.models import Precision


@dataclass(frozen=True, slots=True)
class UpscaleConfig:
    """One call of `vsr upscale`.

    inputs: files, folders, globs, sequences, URLs or "-". output: a file, "-", "null:", or a folder for several inputs; None
    for a name beside each input. scale: factor per side, 2 (or the model's own) unless size is given. size: (width, height)
    in displayed pixels. model, backend, tile, threads, precision, build: see `vsr.Upscaler`. batch: frames a run of the
    network, None for the backend's choice (1 on processors).
    Raises ConfigError.
    """

    inputs: tuple[str, ...]
    output: str | None = None
    scale: float | None = None
    size: tuple[int, int] | None = None
    model: str = "auto"
    backend: str = "auto"
    source: SourceOptions = field(default_factory=SourceOptions)
    sink: SinkOptions = field(default_factory=SinkOptions)
    batch: int | None = None
    tile: int | None = None
    threads: int = 0
    precision: Precision | None = None
    build: bool = True

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no input given", hint="vsr upscale INPUT... OUTPUT")
        if self.scale is not None and self.size is not None:
            raise ConfigError("--scale and --size exclude each other", hint="give one of them")
        if self.scale is not None and not 1 <= self.scale <= 16:
            raise ConfigError(f"scale {self.scale:g} is out of range", hint="give a factor from 1 to 16")
        if self.size is not None and not (0 < self.size[0] <= 32768 and 0 < self.size[1] <= 32768):
            raise ConfigError(
                f"size {self.size[0]}x{self.size[1]} is out of range", hint="give WIDTHxHEIGHT in pixels"
            )
        if self.batch is not None and not 1 <= self.batch <= 64:
            raise ConfigError(f"batch {self.batch} is out of range", hint="give 1 to 64 frames")
        if self.threads < 0:
            raise ConfigError(
                f"threads {self.threads} is out of range", hint="give 0 for all cores, or a number"
            )
