"""The sinks of a live stream as on the command line: servers, HLS folders, recordings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import av

from vsr.core.errors import ConfigError
from vsr.core.secrets import redacted
from vsr.files.checks import check_writable
from vsr.media.address import is_url, with_secrets
from vsr.media.live.address import BRIDGED, check_host, socket_timeout
from vsr.media.live.bridge_command import are_secrets_seen, check_ffmpeg
from vsr.media.live.encoder import KEYFRAME_S
from vsr.media.live.recordings import Recordings
from vsr.media.live.whip import ENCODER_OPTIONS
from vsr.media.live.whip import SCHEMES as WHIP
from vsr.media.write.containers import MPEGTS_CODECS, container_for
from vsr.media.write.encoders import encoder_named

# FFmpeg holds packets of one stream back until the other has some, but not longer than this (in microseconds).
_INTERLEAVE = {"flush_packets": "1", "max_interleave_delta": "300000"}
# A recording grows in fragments of this length (in microseconds); the last fragment is lost if the machine stops.
_FRAGMENTS = {"movflags": "+frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
_FRAGMENTED = {
    "mp4": _FRAGMENTS,
    "mov": _FRAGMENTS,
    "matroska": {"cluster_time_limit": "500"},
    "mpegts": {},
    "flv": {},
}
_SERVERS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "udp": "mpegts",
    "srt": "mpegts",
    "rtp": "rtp_mpegts",
    **dict.fromkeys(WHIP, "mpegts"),
}


@dataclass(frozen=True, slots=True)
class Destination:
    """A parsed sink. redacted: its name without credentials. recordings: set for one file, or a series of files. note: for
    the user. encoder_options: of H.264, which the other side needs."""

    url: str
    redacted: str
    format: str
    options: dict[str, str] = field(default_factory=dict)
    recordings: Recordings | None = None
    bridged: bool = False
    timeout_s: float = 5.0
    note: str = ""
    encoder_options: dict[str, str] = field(default_factory=dict)

    @property
    def is_server(self) -> bool:
        """Whether it goes over a network."""
        return self.format != NULL and not self.is_file

    @property
    def is_file(self) -> bool:
        """Whether it is recorded here, as HLS is too."""
        return self.recordings is not None or self.format == HLS

    @property
    def holds_back_s(self) -> float:
        """Seconds of written video that may not be on the disk yet, because files grow by fragments or segments."""
        return 1.5 * KEYFRAME_S if self.is_file else 0.0

    @property
    def file(self) -> Path | None:
        """The recording it begins with, or its playlist; None where it writes no file."""
        if self.recordings is not None:
            return self.recordings.next()
        return Path(self.url) if self.format == HLS else None


NULL = "null"
HLS = "hls"
_MPEGTS = frozenset({"mpegts", "rtp_mpegts", HLS})


def parse_destination(
    text: str,
    *,
    timeout_s: float = 5.0,
    rotate_s: float | None = None,
    rotate_bytes: int | None = None,
    keep_s: float | None = None,
    keep_bytes: int | None = None,
    overwrite: bool = False,
) -> Destination:
    """Parse a sink's name: a URL to publish to, `x.m3u8` or `folder/` for HLS, a file to record into, or `null`.

    rotate_s, rotate_bytes, keep_s, keep_bytes: of recordings. overwrite: a recording that is one file. Raises ConfigError,
    MissingDependencyError.
    """
    text = with_secrets(text)
    if text in (NULL, "null:"):
        return Destination(text, text, NULL)
    if is_url(text):
        return _server(text, timeout_s)
    path = Path(text)
    if text.endswith(("/", os.sep)) or path.suffix.lower() == ".m3u8":
        playlist = path if path.suffix else path / "index.m3u8"
        if not playlist.parent.parent.is_dir():
            raise ConfigError(f"folder {playlist.parent.parent} does not exist", hint="create it first")
        return Destination(str(playlist), text, HLS, dict(_INTERLEAVE))
    container = container_for(text, None).format
    if container not in _FRAGMENTED:
        raise ConfigError(
            f"{text}: a recording that can be played while it is written cannot be {container}",
            hint="name it .mp4, .mkv, .mov, .ts or .flv",
        )
    recordings = Recordings(path, rotate_s, rotate_bytes, keep_s, keep_bytes)
    check_writable(recordings.next(), overwrite=overwrite)
    return Destination(
        text, text, container, {**_INTERLEAVE, **_FRAGMENTED[container]}, recordings=recordings
    )


def _server(text: str, timeout_s: float) -> Destination:
    scheme = text.partition("://")[0].lower()
    if scheme not in _SERVERS:
        raise ConfigError(
            f"{redacted(text)}: vsr cannot publish over {scheme}", hint=f"{', '.join(_SERVERS)} can be"
        )
    check_host(text)
    options = dict(_INTERLEAVE)
    if scheme in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": "tcp", **socket_timeout(timeout_s)}
    elif scheme in ("rtmp", "rtmps"):
        options |= {"flvflags": "no_duration_filesize"}
    url = text
    if scheme == "udp" and "pkt_size=" not in text:
        # Each datagram contains whole packets of MPEG-TS. PyAV passes no options to protocols.
        url += f"{'&' if '?' in text else '?'}pkt_size=1316"
    bridged = scheme in BRIDGED or scheme in WHIP
    note = ""
    if bridged:
        check_ffmpeg(text)
        if are_secrets_seen(text):
            note = f"{redacted(text)}: this ffmpeg accepts secrets only on its command line, which all users may read"
    return Destination(
        url,
        redacted(text),
        _SERVERS[scheme],
        options,
        bridged=bridged,
        timeout_s=timeout_s,
        note=note,
        encoder_options=ENCODER_OPTIONS if scheme in WHIP else {},
    )


def check_encoder_fits(destination: Destination, encoder: str) -> None:
    """Raise ConfigError if a sink cannot hold the encoder's stream, EncoderUnavailableError if the encoder does not exist."""
    codec = av.Codec(encoder_named(encoder), "w").canonical_name
    if destination.encoder_options and codec != "h264":
        raise ConfigError(f"{destination.redacted}: WHIP takes H.264", hint="use the encoder libx264")
    if destination.format in _MPEGTS and codec not in MPEGTS_CODECS:
        raise ConfigError(
            f"{destination.redacted}: MPEG-TS cannot hold {codec}", hint="use the encoder libx264 or libx265"
        )
