"""The values that pass between sources and sinks."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from vsr.core.frame import Frame
from vsr.core.video import VideoInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

DeinterlaceMode = Literal["auto", "on", "field", "telecine", "off"]
"""auto: deinterlace interlaced frames, one frame for each. field: the same, one frame for each of their fields. on:
deinterlace every frame. telecine: film at 30 frames a second gets its 24 back."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The part of an input to read, and how to read it.

    video_stream: index among the video streams, None for the main one. start_s, duration_s: seconds from the start. strict:
    stop at the first damaged packet instead of skipping it. frame_rate: for sequences and raw streams without a rate. threads:
    decoder threads, 0 for FFmpeg's choice. hwaccel: kind of device that decodes, by FFmpeg's names ("cuda"). If it cannot be
    used, the processor decodes, and a note says why.
    """

    video_stream: int | None = None
    start_s: float | None = None
    duration_s: float | None = None
    deinterlace: DeinterlaceMode = "auto"
    strict: bool = False
    frame_rate: Fraction | None = None
    threads: int = 0
    hwaccel: str | None = None


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """SMPTE ST 2086: chromaticities x, y of red, green, blue and white point, and luminance in cd/m2."""

    primaries: tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction], tuple[Fraction, Fraction]]
    white_point: tuple[Fraction, Fraction]
    min_luminance: Fraction
    max_luminance: Fraction


@dataclass(frozen=True, slots=True)
class ContentLight:
    """CTA-861.3 maximum content and frame-average light levels in cd/m2."""

    max_content: int
    max_average: int


@dataclass(frozen=True, slots=True)
class Immersive:
    """How pictures are laid out for two eyes or around the viewer.

    stereo_mode: of both eyes, as FFmpeg names Matroska's values; "mono" for one. projection: "rectangular" for none; element:
    the content of Matroska's Projection element (RFC 9559, 5.1.4.1.28.41), empty for none.
    """

    stereo_mode: str = "mono"
    projection: str = "rectangular"
    element: bytes = b""

    def __str__(self) -> str:
        around = "" if self.projection == "rectangular" else f"360 degrees ({self.projection})"
        eyes = "" if self.stereo_mode == "mono" else f"stereoscopic ({self.stereo_mode})"
        return " and ".join(filter(None, (around, eyes)))


@dataclass(frozen=True, slots=True)
class PictureTags:
    """The data beside the pixels of a picture file: the raw ICC profile and EXIF blocks (orientation included).

    plays: how often an animation is shown, 0 for endlessly; None if the file does not say it. dpi: dots an inch, across and
    down.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    plays: int | None = None
    dpi: tuple[float, float] | None = None


class PacketShelf:
    """Packets of copied streams, on their way from the demuxing thread to the muxing one."""

    def __init__(self) -> None:
        self._packets: deque[Packet[Stream]] = deque()
        self._lock = threading.Lock()

    def put(self, packet: Packet[Stream]) -> None:
        with self._lock:
            self._packets.append(packet)

    def take_all(self) -> list[Packet[Stream]]:
        """All packets that came since the last call, in demuxing order."""
        with self._lock:
            packets = list(self._packets)
            self._packets.clear()
        return packets


@dataclass(slots=True)
class SourceCounters:
    """Counts of the decoder. damaged_packets were skipped; first_error says what the first one said.

    damaged_frames came out with damage concealed. repaired_timestamps: frames whose pts was missing or ran backwards.
    rescaled_frames: those brought back to the size and format the stream began with.
    """

    frames: int = 0
    damaged_packets: int = 0
    damaged_frames: int = 0
    repaired_timestamps: int = 0
    rescaled_frames: int = 0
    first_error: str | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """The data that goes from a source to a sink past the network.

    name: the input as messages name it, without credentials. container, stream: FFmpeg's input and its video stream; None where
    Pillow reads, and once the source is closed. copied: the streams whose packets are put on `shelf` while frames are read.
    start_offset: seconds every output timestamp is moved back by, so that what begins in the middle (`start_s`) begins at 0; 0
    otherwise. origin: when the input begins, in seconds, by a clock that counted before, as that of a broadcast; 0 otherwise.
    end: the input's time, in seconds, at which what is wanted ends; None for its own end. strict: damage is an error, that of
    copied packets too. languages: tags of BCP 47 (zh-Hant), by index of the stream, where the input has them. warnings:
    sentences about what of the input is missing or not read, complete once the source is through. What a source has to say of
    its video is in `Source.notes`.
    """

    name: str
    container: InputContainer | None = None
    stream: Stream | None = None
    copied: Sequence[Stream] = ()
    shelf: PacketShelf = field(default_factory=PacketShelf)
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    immersive: Immersive | None = None
    languages: Mapping[int, str] = field(default_factory=dict)
    picture_tags: PictureTags | None = None
    start_offset: Fraction = Fraction(0)
    origin: Fraction = Fraction(0)
    end: Fraction | None = None
    strict: bool = False
    warnings: tuple[str, ...] = ()


class Source(Protocol):
    """An input opened: iterate once for its frames, in presentation order. A context manager.

    Iterating and closing may happen on different threads, one after the other. Frames, and packets on the shelf of `carried`,
    keep the input's time. `notes`: sentences for the user about the video (deinterlaced, tags guessed, layers lost), complete
    once iterated.
    """

    info: VideoInfo
    counters: SourceCounters
    notes: list[str]
    carried: Carried

    def __enter__(self) -> Source: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def __iter__(self) -> Iterator[Frame]: ...
    def peek(self) -> Frame | None:
        """The first frame, which iterating gives again; None where there is none. Raises as iterating does."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How to write an output.

    size: (width, height) of the written frames in coded samples, if it differs from that of the given frames; they are then
    resized by Lanczos. encoder: an FFmpeg encoder name, None for the container's default. crf, bitrate (bits/s), preset,
    pix_fmt: None for vsr's defaults. encoder_options: passed to FFmpeg unchanged. threads: 0 for FFmpeg's choice.
    convert_streams: whether to convert sound and text that the container cannot hold, instead of leaving them out.
    """

    size: tuple[int, int] | None = None
    encoder: str | None = None
    crf: float | None = None
    bitrate: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    encoder_options: dict[str, str] = field(default_factory=dict)
    threads: int = 0
    overwrite: bool = False
    container_format: str | None = None
    convert_streams: bool = False


@dataclass(slots=True)
class SinkCounters:
    """frames: given to the encoder. packets: of the video, that came out of it. bytes: of the whole output so far, video_bytes
    of its video."""

    frames: int = 0
    packets: int = 0
    video_bytes: int = 0
    bytes: int = 0


class Sink(Protocol):
    """An output being written, under a `.part` name until `finish` renames it.

    Exactly one of `finish`, `keep_part` and `abandon` ends it; calling another afterwards does nothing. `warnings` names what
    of the input the output cannot hold, `notes` what is otherwise different there; both are complete once the sink has ended.
    `encoder`: its name, pixel format and options, as in "libx264 yuv420p crf=16 preset=veryfast", or the picture format; None
    where nothing is encoded. on_whole: gets the state of an output that is one file and whole, just before it gets its name.
    """

    name: str
    encoder: str | None
    warnings: list[str]
    notes: list[str]
    counters: SinkCounters
    on_whole: Callable[[os.stat_result], None]

    def write(self, frame: Frame) -> None:
        """Encode one frame of `Sink.info`'s format. Raises EncodeError or FileError."""

    def finish(self) -> Path | None:
        """Drain the encoder and the shelf, write the trailer, fsync, rename. Returns the path (None for stdout and null)."""

    def keep_part(self) -> Path | None:
        """Drain and write the trailer, so that it plays, and leave it as `NAME.1.part` or with the next number; its path."""

    def abandon(self) -> None:
        """Close and delete the `.part` file."""
