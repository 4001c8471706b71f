"""The configuration of a job."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from vsr.backends.devices import parse_devices
from vsr.core.errors import ConfigError
from vsr.core.quantities import MAX_BITRATE, MAX_SECONDS, MAX_TERM
from vsr.core.secrets import redacted
from vsr.jobs.size import OutputSize, Size
from vsr.media.types import SinkOptions, SourceOptions
from vsr.upscale.options import NetworkOptions

MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True)
class UpscaleConfig:
    """One call of `vsr upscale`.

    inputs: files, folders, globs, sequences, URLs or "-". output: a file, "-", "null:", or a folder for several inputs; None
    for a name beside each input. network: its scale is the scale of the output; its threads are also those of the decoder and
    the encoder, unless `source` and `sink` name others. size: displayed size in pixels, instead of a scale. report: path of the
    caller's report, which must not be an input or output. segment: length of a segment in seconds, 0 for one pass; None for
    half a minute of work, if the job has more than a minute of it. restart: discard the finished segments of an earlier run.
    workers: processes that work on segments; None for one on each device, or for the fastest number that was found on a
    processor; 1 is this process. cluster: the Ray cluster that does the segments instead: "auto", "local" or "ray://HOST:PORT".
    recursive: include subfolders of input folders, and keep them for the outputs. skip_existing: an output that exists counts
    as done. Raises ConfigError.
    """

    inputs: tuple[str, ...]
    output: str | None = None
    network: NetworkOptions = field(default_factory=NetworkOptions)
    size: Size | None = None
    source: SourceOptions = field(default_factory=SourceOptions)
    sink: SinkOptions = field(default_factory=SinkOptions)
    report: Path | None = None
    segment: float | None = None
    restart: bool = False
    recursive: bool = False
    skip_existing: bool = False
    workers: int | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ConfigError("no input given", hint="vsr upscale INPUT... OUTPUT")
        if self.network.scale is not None and self.size is not None:
            raise ConfigError("--scale and --size exclude each other", hint="give one of them")
        if self.size is not None:
            OutputSize.read(self.size)
        self._check_workers()
        if self.skip_existing and self.sink.overwrite:
            raise ConfigError("--skip-existing and --overwrite exclude each other", hint="give one of them")
        self._check_media()

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices of the workers, in turn."""
        return parse_devices(self.network.device)

    def _check_workers(self) -> None:
        if self.cluster is not None:
            self._check_cluster(self.cluster)
        if self.workers is None:
            return
        if not 1 <= self.workers <= MAX_WORKERS:
            raise ConfigError(
                f"workers {self.workers} is out of range", hint=f"give 1 to {MAX_WORKERS} processes"
            )
        if self.workers > 1 and self.segment == 0:
            raise ConfigError(
                "--workers make segments, and --segment 0 is one pass", hint="leave out one of them"
            )
        if self.workers < len(self.devices):
            raise ConfigError(
                f"--workers {self.workers} is too few for {len(self.devices)} devices",
                hint="leave it out, or name fewer devices",
            )

    def _check_cluster(self, cluster: str) -> None:
        if cluster not in ("auto", "local") and not re.fullmatch(r"ray://[^/\s]+:\d+", cluster):
            raise ConfigError(
                f"no such cluster: {redacted(cluster)!r}", hint="give auto, local or ray://HOST:PORT"
            )
        if self.workers is not None:
            raise ConfigError("--workers and --cluster exclude each other", hint="give one of them")
        if self.segment == 0:
            raise ConfigError("--segment 0 is one pass, which no cluster makes", hint="leave out --cluster")
        if len(self.devices) > 1:
            raise ConfigError(f"a cluster has no {self.network.device}", hint="give --device cpu or cuda")

    def _check_media(self) -> None:
        """Refuse options that exclude each other, and numbers too large for FFmpeg."""
        for name, seconds in (
            ("start", self.source.start_s),
            ("duration", self.source.duration_s),
            ("segment", self.segment),
        ):
            if seconds is not None and not 0 <= seconds <= MAX_SECONDS:
                raise ConfigError(
                    f"{name} {seconds:g} is out of range", hint=f"give 0 to {MAX_SECONDS} seconds"
                )
        rate = self.source.frame_rate
        if rate is not None and not (0 < rate.numerator <= MAX_TERM and rate.denominator <= MAX_TERM):
            raise ConfigError(
                f"frame rate {rate} is out of range", hint="give a short fraction such as 30000/1001"
            )
        if self.sink.crf is not None and self.sink.bitrate is not None:
            raise ConfigError("--crf and --bitrate exclude each other", hint="give one of them")
        bitrate = self.sink.bitrate
        if bitrate is not None and not 1 <= bitrate <= MAX_BITRATE:
            raise ConfigError(
                f"bitrate {bitrate} is out of range", hint=f"give 1 to {MAX_BITRATE} bits a second"
            )
