"""Where a live stream goes: servers, HLS folders, recordings; packets in, none of them encoded again."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from vsr.core.errors import ConfigError, EncodeError, MissingDependencyError
from vsr.files.checks import check_writable
from vsr.media.address import is_url, redacted
from vsr.media.live.address import BRIDGED, check_host
from vsr.media.live.bridge import Bridge
from vsr.media.live.connection import Connection
from vsr.media.live.encoder import KEYFRAME_S
from vsr.media.live.files import LiveFiles
from vsr.media.live.program import Program
from vsr.media.live.refusals import refused_output
from vsr.media.write.containers import MPEGTS_CODECS, container_for
from vsr.media.write.encoded import Encoded
from vsr.media.write.encoders import encoder_named

# FFmpeg holds packets of one stream back until the other has some, but not for longer than this.
_INTERLEAVE = {"flush_packets": "1", "max_interleave_delta": "300000"}
_FRAGMENTED = {
    "mp4": {"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
    "mov": {"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
    "matroska": {"cluster_time_limit": "1000"},
    "mpegts": {},
    "flv": {},
}
_HLS = {
    "hls_time": "2",
    "hls_list_size": "6",
    "hls_flags": "delete_segments+append_list+independent_segments",
}
_SERVERS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "udp": "mpegts",
    "srt": "mpegts",
    "rtp": "rtp_mpegts",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """A sink, understood. redacted: without credentials. path: of a recording, which is one file after another."""

    url: str
    redacted: str
    format: str
    options: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    bridged: bool = False
    timeout_s: float = 5.0
    rotate_s: float | None = None
    rotate_bytes: int | None = None

    @property
    def is_server(self) -> bool:
        """Whether it goes over a network."""
        return self.format not in (NULL, "hls") and self.path is None

    @property
    def holds_back_s(self) -> float:
        """How much of what is written may not be on the disk yet: files grow by a fragment or segment."""
        return KEYFRAME_S if self.file is not None else 0.0

    @property
    def file(self) -> Path | None:
        """The recording it begins with, or its playlist; None where it writes no file."""
        if self.path is not None:
            return recording_path(self, 1)
        return Path(self.url) if self.format == "hls" else None


NULL = "null"
_MPEGTS = frozenset({"mpegts", "rtp_mpegts", "hls"})


def parse_destination(
    text: str,
    *,
    timeout_s: float = 5.0,
    rotate_s: float | None = None,
    rotate_bytes: int | None = None,
    overwrite: bool = False,
) -> Destination:
    """What a sink's name means: an URL to publish to, `x.m3u8` or `folder/` for HLS, a file to record into, or `null`.

    rotate_s, rotate_bytes: begin another recording after so much. Raises ConfigError, MissingDependencyError.
    """
    if text in (NULL, "null:"):
        return Destination(text, text, NULL)
    if is_url(text):
        return _server(text, timeout_s)
    path = Path(text)
    if text.endswith("/") or path.suffix.lower() == ".m3u8":
        playlist = path if path.suffix else path / "index.m3u8"
        if not playlist.parent.parent.is_dir():
            raise ConfigError(f"folder {playlist.parent.parent} does not exist", hint="create it first")
        return Destination(str(playlist), text, "hls", {**_INTERLEAVE, **_HLS})
    container = container_for(text, None).format
    if container not in _FRAGMENTED:
        raise ConfigError(
            f"{text}: a recording that can be played while it is written cannot be {container}",
            hint="name it .mp4, .mkv, .mov, .ts or .flv",
        )
    destination = Destination(
        text, text, container, {**_INTERLEAVE, **_FRAGMENTED[container]}, path=path, rotate_s=rotate_s,
        rotate_bytes=rotate_bytes,
    )  # fmt: skip
    check_writable(recording_path(destination, 1), overwrite=overwrite)
    return destination


def _server(text: str, timeout_s: float) -> Destination:
    scheme = text.partition("://")[0].lower()
    if scheme not in _SERVERS:
        raise ConfigError(
            f"{redacted(text)}: nothing is published over {scheme}", hint=f"{', '.join(_SERVERS)} can be"
        )
    check_host(text)
    options = dict(_INTERLEAVE)
    if scheme in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": "tcp", "timeout": str(round(timeout_s * 1_000_000))}
    elif scheme in ("rtmp", "rtmps"):
        options |= {"flvflags": "no_duration_filesize"}
    url = text
    if scheme == "udp" and "pkt_size=" not in text:
        # Whole packets of MPEG-TS in each datagram. PyAV hands protocols no options.
        url += f"{'&' if '?' in text else '?'}pkt_size=1316"
    bridged = scheme in BRIDGED
    if bridged and shutil.which("ffmpeg") is None:
        raise MissingDependencyError(
            f"{redacted(text)}: needs the system's ffmpeg for {scheme}", hint="sudo apt-get install ffmpeg"
        )
    return Destination(url, redacted(text), _SERVERS[scheme], options, bridged=bridged, timeout_s=timeout_s)


def check_encoder_fits(destination: Destination, encoder: str) -> None:
    """Raise ConfigError where a sink cannot hold what the encoder makes, EncoderUnavailableError where there is none."""
    codec = av.Codec(encoder_named(encoder), "w").canonical_name
    if destination.format in _MPEGTS and codec not in MPEGTS_CODECS:
        raise ConfigError(
            f"{destination.redacted}: MPEG-TS cannot hold {codec}", hint="use the encoder libx264 or libx265"
        )


def recording_path(destination: Destination, number: int) -> Path:
    """The name of a recording's file: numbered where there is more than one."""
    assert destination.path is not None
    path = destination.path
    if number == 1 and destination.rotate_s is None and destination.rotate_bytes is None:
        return path
    return path.with_name(f"{path.stem}-{number:04d}{path.suffix}")


class Output:
    """One connection, or one file, from its header to its end. Every call may block: it belongs on a sink's own thread.

    One of a server begins at once with what needs no program. Raises OutputLostError; EncodeError for what trying again
    does not mend.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.bytes = 0
        self.frames = 0
        self._opened_at = 0.0
        self._connection: Connection | None = None
        self._bridge: Bridge | None = None
        self._files: LiveFiles | None = None
        self._container: OutputContainer | None = None
        self._streams: dict[str, Stream] = {}
        self._began: Fraction | None = None
        # Frames before the last keyframe, and how much was written then: more means that those are written, too.
        self._before_keyframe = (0, 0)
        self._on_disk = 0
        try:
            if destination.is_server and not destination.bridged:
                self._connection = Connection(destination.url)
        except OSError as error:
            raise refused_output(destination.url, error) from error

    def open(self, program: Program, number: int = 1) -> None:
        """Connect, or make the file. number: of a recording's file."""
        destination = self.destination
        self._opened_at = monotonic()
        try:
            if destination.format == NULL:
                return
            if self._connection is not None:
                self._connection.open(destination.format, destination.options, program)
                return
            self._container = self._opened(number)
            for kind, template in (("video", program.video), ("audio", program.audio)):
                if template is not None:
                    self._streams[kind] = template.add_to(self._container)
            self._container.start_encoding()
            self._check_files()
        except ConfigError as error:  # another run writes it
            raise EncodeError(error.message, hint=error.hint) from error
        except (av.FFmpegError, ValueError, OSError) as error:
            raise refused_output(destination.url, self._explained(error)) from error

    def _opened(self, number: int) -> OutputContainer:
        destination = self.destination
        target: Any = destination.url
        if destination.path is not None:
            self._files = LiveFiles(recording_path(destination, number), is_playlist=False)
            target = self._files.recording()
        elif destination.format == "hls":
            # Absolute, it is no URL even with a colon in it; and FFmpeg removes old segments of plain names only.
            path = Path(target).absolute()
            path.parent.mkdir(exist_ok=True)
            self._files, target = LiveFiles(path, is_playlist=True), str(path)
        else:
            self._bridge = Bridge(target, reads=False)
            target = self._bridge.pipe
        return av.open(
            target,
            "w",
            format=destination.format,
            options=destination.options,
            io_open=self._files.open if destination.format == "hls" and self._files else None,
        )

    def abandon(self) -> None:
        """Let whatever waits for the other side fail. From any thread."""
        if self._connection is not None:
            self._connection.kill()
        if self._bridge is not None:
            self._bridge.kill()

    @property
    def connected(self) -> bool:
        """Whether the other side is there, as far as can be told."""
        return self._bridge is None or self._bridge.connected

    @property
    def kept(self) -> int:
        """Frames that are on the disk, or on their way to a side that is there; as far as can be told."""
        if self._files is not None:
            return self._on_disk
        return self.frames if self.connected else 0

    @property
    def seconds(self) -> float:
        """Of video written so far."""
        return self._seconds if self._began is not None else 0.0

    _seconds = 0.0

    def write(self, packet: Encoded) -> None:
        """Write a packet; those before the first keyframe go nowhere."""
        time = packet.pts * packet.time_base
        if self._began is None:
            if packet.kind != "video":
                return
            # A recording begins at zero; on a server time goes on, whatever connection it is.
            self._began = time if self.destination.path is not None else Fraction(0)
        if packet.kind == "video":
            if packet.keyframe and self._files is not None:
                self._before_keyframe = self.frames, self._files.bytes
            self.frames += 1
            self._seconds = float(time - self._began)
        self.bytes += packet.size
        if self._connection is not None:
            self._connection.write(packet)
            return
        stream = self._streams.get(packet.kind)
        if self._container is None or stream is None or time < self._began:
            return
        shift = round(self._began / packet.time_base)
        try:
            self._container.mux_one(packet.shared(stream, -shift))
            self._check_files()
            if not self.connected and monotonic() - self._opened_at > self.destination.timeout_s:
                raise TimeoutError
        except (av.FFmpegError, ValueError, OSError) as error:
            raise refused_output(self.destination.url, self._explained(error)) from error

    def _check_files(self) -> None:
        """Raise OSError where a file was not written; see what is on the disk."""
        if self._files is None:
            return
        if self._files.error is not None:
            raise self._files.error
        frames, num_bytes = self._before_keyframe
        if self._files.bytes > num_bytes:
            self._on_disk = frames

    def _explained(self, error: Exception) -> Exception:
        if self._files is not None and self._files.error is not None:
            return self._files.error
        if self._bridge is not None and self._bridge.said:
            return OSError(0, self._bridge.said)
        return error

    def close(self) -> None:
        """Write the end. Raises OutputLostError where it was not written, EncodeError."""
        container, self._container = self._container, None
        try:
            if self._connection is not None:
                self._connection.close()
            if container is not None:
                container.close()
            self._check_files()
            self._on_disk = self.frames
        except (av.FFmpegError, ValueError, OSError) as error:
            raise refused_output(self.destination.url, self._explained(error)) from error
        finally:
            self._let_go(wait_s=1.0)

    def discard(self) -> None:
        """Close what is open, as it is. A recording of no frame is removed."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(Exception):
                container.close()
        self._let_go()

    def _let_go(self, wait_s: float = 0.0) -> None:
        if self._connection is not None:
            self._connection.let_go()
        if self._bridge is not None:
            self._bridge.close(wait_s=wait_s)
        if self._files is not None:
            self._files.close(remove=self.destination.path is None or not self._on_disk)
