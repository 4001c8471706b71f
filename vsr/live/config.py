"""The configuration of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import get_args

from vsr.core.errors import ConfigError
from vsr.core.variables import expanded
from vsr.live.away import WhenAway
from vsr.media.live.encoder import EncoderOptions
from vsr.upscale.options import NetworkOptions

_MOST_S = 10_000_000


def parse_token(text: str | None) -> str | None:
    """The password of a page, with the values of its `${NAME}`; None for a page that anybody may see. Raises ConfigError."""
    token = None if text is None else expanded(text)
    if token == "":
        raise ConfigError("the token is empty", hint="give one, or none for a page that anybody may see")
    return token


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """One call of `vsr stream`.

    source, sinks: as `vsr stream --help` says. network: a named model is never changed; "auto" measures the networks of one
    scale and steps between them. max_latency_s: greatest age of a frame when it is sent. timeout_s: time after which a silent
    source, or a sink that accepts nothing, counts as lost. retries: failed attempts in a row, None for any number. realtime:
    the source is a file, played in real time. wait: connect again, also at the start, to a source that does not exist yet or
    refuses. source_options: for FFmpeg's demuxer and protocol; they override vsr's choices, and FFmpeg ignores unknown ones.
    size, frame_rate: requested from cameras and screens. rotate_s, rotate_bytes: time or size after which another recording
    begins; keep_s, keep_bytes: age or total size beyond which old recordings are then removed. require: the `sinks` that must
    receive frames, all if none is named. when_away: what sinks get while the source is away, see vsr.live.away. duration_s:
    time after the first sent frame at which to stop. preview: [host]:port of the page; token: its password. report: path of
    the caller's report, which must not be an input or output. Raises ConfigError.
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
    when_away: WhenAway = "silent"
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
        if self.when_away not in get_args(WhenAway):
            raise ConfigError(
                f"when_away is {self.when_away!r}", hint=f"choose {', '.join(get_args(WhenAway))}"
            )
        if self.retries is not None and self.retries < 0:
            raise ConfigError(f"{self.retries} retries are out of range", hint="give 0 or more")
        if self.encoder.crf is not None and self.encoder.bitrate is not None:
            raise ConfigError("crf and bitrate exclude each other", hint="give one of them")
        parse_token(self.token)
        if self.token is not None and self.preview is None:
            raise ConfigError("a token without a preview guards nothing", hint="give --preview, too")
