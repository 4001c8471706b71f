"""An opened input: the video stream that is read, its decoder, and the streams that are copied."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vsr.core.secrets import redacted
from vsr.media.address import is_read_once, is_sequence, is_url
from vsr.media.closing import close_input
from vsr.media.frames.hwaccel import decoding_device
from vsr.media.frames.side_data import StreamDetails, stream_details
from vsr.media.rational import fraction
from vsr.media.read.opening import open_container
from vsr.media.read.streams import (
    choose_copied,
    choose_stream,
    decoder_context,
    frame_rate,
    refuse_dolby_vision,
    refuse_encrypted,
)
from vsr.media.read.time_range import TimeRange, check_range, wanted_range
from vsr.media.types import SourceOptions

_FORMAT_HAS_NO_TIMES = 0x0080  # AVFMT_NOTIMESTAMPS: raw streams


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened input; nothing of it is decoded yet.

    url: the address as given, credentials included. name: the same for messages, without them. stream: the video that is read,
    which `context` decodes, on `device` if there is one. details: facts that PyAV has no attribute for. copied: the streams
    whose packets are collected. wanted: what of the input is read, in its own time. rate: frames a second, None where nobody
    says. made_times: the container has no timestamps. live: packets come when they are made, and not again. has_tiles: the file
    is a grid of pictures that FFmpeg gives one by one. notes: sentences for the user.
    """

    url: str
    name: str
    container: InputContainer
    stream: VideoStream
    context: VideoCodecContext
    device: HWAccel | None
    details: StreamDetails
    copied: tuple[Stream, ...]
    wanted: TimeRange
    rate: Fraction | None
    made_times: bool
    live: bool
    is_picture: bool
    is_sequence: bool
    has_tiles: bool
    notes: tuple[str, ...]

    @property
    def time_base(self) -> Fraction:
        """The unit of the stream's timestamps, in seconds."""
        return fraction(self.stream.time_base) or Fraction(1, 90000)

    def close(self) -> None:
        """Close the container. The last reference to this frees the decoder and its threads, which are idle then."""
        close_input(self.container, self.context)


def open_video(url: str, options: SourceOptions, *, is_picture: bool = False) -> Opened:
    """Open what FFmpeg reads and choose its streams. is_picture: it is a still picture.

    Raises SourceOpenError, SourceTimeoutError or ConfigError; nothing is open then.
    """
    check_range(options)
    device, why_not = decoding_device(options.hwaccel)
    container = open_container(url, frame_rate=options.frame_rate, hwaccel=device)
    try:
        return _opened(url, options, container, device, [why_not] if why_not else [], is_picture)
    except BaseException:
        close_input(container)
        raise


def _opened(
    url: str,
    options: SourceOptions,
    container: InputContainer,
    device: HWAccel | None,
    notes: list[str],
    is_picture: bool,
) -> Opened:
    name, sequence = redacted(url), is_sequence(url)
    stream = choose_stream(container, options.video_stream, name)
    details = stream_details(stream)
    refuse_encrypted(stream, name)
    refuse_dolby_vision(details.dolby_vision, name)
    made_times = bool(container.format.flags & _FORMAT_HAS_NO_TIMES) and not sequence
    wants_rate = options.frame_rate is not None and (made_times or sequence)
    chosen = choose_copied(container, stream, nothing=sequence or is_picture)
    context = decoder_context(stream)
    # With frame threads, damage in the last packets costs more frames, without an error: see `Decoder` for files that can be
    # read again.
    exact = options.strict or made_times or is_read_once(url)
    context.thread_type = "SLICE" if exact else "AUTO"
    # Otherwise pictures cropped at the left by less than a SIMD register would come too wide.
    context.flags |= int(Flags.unaligned)
    context.thread_count = options.threads
    return Opened(
        url=url,
        name=name,
        container=container,
        stream=stream,
        context=context,
        device=device,
        details=details,
        copied=tuple(chosen.streams),
        wanted=wanted_range(container, options, made_times=made_times),
        rate=options.frame_rate if wants_rate else frame_rate(stream),
        made_times=made_times,
        live=is_url(url) and not url.lower().startswith(("http://", "https://", "ftp://")),
        is_picture=is_picture,
        is_sequence=sequence,
        has_tiles=chosen.tiles,
        notes=(*notes, *chosen.notes),
    )
