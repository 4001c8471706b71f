"""What a job is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vsr.core.errors import ConfigError
from vsr.media.types import SinkOptions, SourceOptions
from vsr.models import Precision

MAX_SIDE = 32768
MAX_THREADS = 1024
MAX_SECONDS = 10**9
MAX_BITRATE = 10**11
MAX_TERM = 2**31 - 1
"""FFmpeg counts both terms of a fraction in 32 bits."""


@dataclass(frozen=True, slots=True)
class UpscaleConfig:
    """One call of `vsr upscale`.

    inputs: files, folders, globs, sequences, URLs or "-". output: a file, "-", "null:", or a folder for several inputs; None
    for a name beside each input. scale: factor per side, None for the model's own (2 for `auto`). size: (width, height) in
    displayed pixels. model, backend, tile, threads, precision, build: see `vsr.Upscaler`. batch: frames in a run of
    the network, None for the backend's choice (1 on processors). report: where the caller writes the reports, which may be no
    input and no output.
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
    report: Path | None = None

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no input given", hint="vsr upscale INPUT... OUTPUT")
        if self.scale is not None and self.size is not None:
            raise ConfigError("--scale and --size exclude each other", hint="give one of them")
        if self.scale is not None and not 1 <= self.scale <= 16:
            raise ConfigError(f"scale {self.scale:g} is out of range", hint="give a factor from 1 to 16")
        if self.size is not None and not (0 < self.size[0] <= MAX_SIDE and 0 < self.size[1] <= MAX_SIDE):
            raise ConfigError(
                f"size {self.size[0]}x{self.size[1]} is out of range", hint="give WIDTHxHEIGHT in pixels"
            )
        if self.batch is not None and not 1 <= self.batch <= 64:
            raise ConfigError(f"batch {self.batch} is out of range", hint="give 1 to 64 frames")
        if not 0 <= self.threads <= MAX_THREADS:
            raise ConfigError(
                f"threads {self.threads} is out of range",
                hint=f"give 0 for all cores, or a number up to {MAX_THREADS}",
            )
        if self.tile is not None and not 0 <= self.tile <= MAX_SIDE:
            raise ConfigError(
                f"tile {self.tile} is out of range", hint=f"give 0 for none, or pixels up to {MAX_SIDE}"
            )
        self._check_media()

    def _check_media(self) -> None:
        """What FFmpeg would count in too few bits."""
        for name, seconds in (("start", self.source.start_s), ("duration", self.source.duration_s)):
            if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
                raise ConfigError(
                    f"{name} {seconds:g} is out of range", hint=f"give 0 to {MAX_SECONDS} seconds"
                )
        rate = self.source.frame_rate
        if rate is not None and not (0 < rate.numerator <= MAX_TERM and rate.denominator <= MAX_TERM):
            raise ConfigError(
                f"frame rate {rate} is out of range", hint="give a short fraction such as 30000/1001"
            )
        bitrate = self.sink.bitrate
        if bitrate is not None and not 1 <= bitrate <= MAX_BITRATE:
            raise ConfigError(
                f"bitrate {bitrate} is out of range", hint=f"give 1 to {MAX_BITRATE} bits a second"
            )
