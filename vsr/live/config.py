"""The configuration of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vsr.core.errors import ConfigError
from vsr.media.live.encoder import EncoderOptions
from vsr.upscale.options import NetworkOptions

_MOST_S = 10_000_000


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """One call of `vsr stream`.

    source, sinks: as `vsr stream --help` says. network: a model with a name is pinned; "auto" measures and steps between the
    networks of one scale. max_latency_s: how old a picture may be when it goes out. timeout_s: after how long a silent source,
    or a sink that takes nothing, counts as gone. retries: attempts in a row that may fail, None for any number. realtime: the
    source is a file, played at its own pace. wait: a source that is not there yet, or refuses, is tried again as one that has
    worked. source_options: for FFmpeg's demuxer and protocol, before those chosen here; FFmpeg ignores what it does not know.
    size, frame_rate: asked of cameras and screens. rotate_s, rotate_bytes:
    another recording begins after so much; keep_s, keep_bytes: older ones, or those beyond so much, are removed then.
    require: those of `sinks` that have to get frames for all to be well, every one where none is named. duration_s: stop so
    long after the first frame has gone out. preview: [host]:port of the page, token: what it asks for. report: a file written
    when it is over, which may lie on no input and no output.
    Raises ConfigError.
    """

    source: str
    sinks: tuple[str, ...] = ()
    network: NetworkOptions = field(default_factory=NetworkOptions)
    max_latency_s: float = 0.2
    timeout_s: float = 5.0
    retries: int | None = None
    realtime: bool = False
    wait: bool = False
    source_options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    frame_rate: Fraction | None = None
    audio: bool = True
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    rotate_s: float | None = None
    rotate_bytes: int | None = None
    keep_s: float | None = None
    keep_bytes: int | None = None
    overwrite: bool = False
    require: tuple[str, ...] = ()
    duration_s: float | None = None
    preview: str | None = None
    token: str | None = None
    report: Path | None = None

    def __post_init__(self) -> None:
        if self.network.scale not in (None, 2, 3, 4):
            raise ConfigError(
                f"scale {self.network.scale:g} is out of range", hint="a stream is enlarged by 2, 3 or 4"
            )
        if self.network.batch not in (None, 1):
            raise ConfigError(
                f"batch {self.network.batch} is out of range", hint="a stream is enlarged frame by frame"
            )
        for name, value, least in (
            ("the latency", self.max_latency_s, 0.02),
            ("the timeout", self.timeout_s, 0.2),
            ("the duration", self.duration_s, 0.0),
            ("the time of rotation", self.rotate_s, 1.0),
            ("the time to keep recordings", self.keep_s, 1.0),
        ):
            if value is not None and not least <= value <= _MOST_S:
                raise ConfigError(
                    f"{name}, {value:g} s, is out of range", hint=f"give {least:g} to {_MOST_S:,} s"
                )
        if self.duration_s == 0:
            raise ConfigError("the duration is 0 s", hint="give a time above 0")
        if (self.keep_s or self.keep_bytes) and not (self.rotate_s or self.rotate_bytes):
            raise ConfigError("a recording that is one file is kept", hint="give --rotate, too")
        if self.retries is not None and self.retries < 0:
            raise ConfigError(f"{self.retries} retries are out of range", hint="give 0 or more")
        if self.encoder.crf is not None and self.encoder.bitrate is not None:
            raise ConfigError("crf and bitrate exclude each other", hint="give one of them")
        if self.token == "":
            raise ConfigError("the token is empty", hint="give one, or none for a page that anybody may see")
        if self.token is not None and self.preview is None:
            raise ConfigError("a token without a preview guards nothing", hint="give --preview, too")
