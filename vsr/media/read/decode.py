"""From packets to decoded frames: damage is stepped over, copied packets go on the shelf."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vsr.core.errors import ConfigError, DecodeError, reason
from vsr.media.address import is_read_once, redacted
from vsr.media.pictures.packets import holds_pictures, is_cut_jpeg
from vsr.media.read.opening import open_container
from vsr.media.read.refusals import is_lost, read_error
from vsr.media.read.streams import encrypted
from vsr.media.read.timestamps import Discontinuities
from vsr.media.types import PacketShelf, SourceCounters, SourceOptions

# Errors of av_read_frame in a row, after which the rest of a file counts as lost.
_MAX_READ_ERRORS = 32
# Packets, and bytes of them, without one frame, after which a stream counts as undecodable.
MAX_DUMB_PACKETS = 2000
MAX_DUMB_BYTES = 256 << 20
_FORMAT_HAS_DISCONTINUITIES = 0x0200  # AVFMT_TS_DISCONT


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What is wanted of an input, in seconds of its own clock; None is open."""

    start: Fraction | None = None
    end: Fraction | None = None

    def holds(self, time: Fraction) -> bool:
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def check_range(options: SourceOptions) -> None:
    """Raise ConfigError for a start or a duration that no input has."""
    if options.start_s is not None and options.start_s < 0:
        raise ConfigError(f"start is {options.start_s:g} s", hint="give a time from the beginning, 0 or more")
    if options.duration_s is not None and options.duration_s <= 0:
        raise ConfigError(f"duration is {options.duration_s:g} s", hint="give a time above 0")


def wanted_range(container: InputContainer, options: SourceOptions, *, made_times: bool) -> TimeRange:
    """What `start_s` and `duration_s` choose. made_times: the container has none, and those made begin at 0."""
    start, duration = options.start_s, options.duration_s
    if start is None and duration is None:
        return TimeRange()
    origin = Fraction(0)
    if not made_times and container.start_time is not None:
        origin = Fraction(container.start_time, 1_000_000)
    begin = origin + Fraction(start or 0).limit_denominator(1_000_000)
    end = begin + Fraction(duration).limit_denominator(1_000_000) if duration is not None else None
    return TimeRange(begin if start else None, end)


def stated_end(container: InputContainer, wanted: TimeRange) -> Fraction | None:
    """Where the container says that it ends, in seconds; None where it does not say, or all that is wanted ends earlier."""
    length, start = container.duration, container.start_time or 0
    return Fraction(start + length, 1_000_000) if length and wanted.end is None else None


class Decoder:
    """Decodes one video stream of a container packet by packet, and shelves the packets of `copied`.

    A packet that doesn't decode is skipped and counted, or raises DecodeError where `strict`. Frames come in presentation
    order with FFmpeg's own pts.
    """

    def __init__(
        self,
        url: str,
        container: InputContainer,
        stream: VideoStream,
        copied: Sequence[Stream],
        *,
        context: VideoCodecContext,
        shelf: PacketShelf,
        counters: SourceCounters,
        strict: bool = False,
        live: bool = False,
        wanted: TimeRange = TimeRange(),
    ) -> None:
        self.url = url
        self.container = container
        self.stream = stream
        self.copied = list(copied)
        self.context = context
        self.shelf = shelf
        self.counters = counters
        self.strict = strict
        self.live = live
        self.wanted = wanted
        self.done = False
        """Set by the reader of frames once it wants no more: only copied packets are still collected."""
        discontinuous = container.format.flags & _FORMAT_HAS_DISCONTINUITIES
        self.discontinuities = Discontinuities() if discontinuous else None
        self._holds_pictures = holds_pictures(container.format.name)
        # Of a file that ends too early FFmpeg's decoder makes up the rest, and only logs it.
        self._is_jpeg = self._holds_pictures and context.name == "mjpeg"
        self._packets = 0
        self.picture: bytes | None = None
        """The first packet where packets are whole picture files, tags and all."""
        self._dumb_packets = self._dumb_bytes = 0
        # AVI knows no presentation times; what FFmpeg makes up for B-frames isn't in order.
        self._times_are_of_packets = container.format.name == "avi"
        self._unordered_times: list[int] = []
        self._keyframe_pts: int | None = None
        self._last_packet_pts: int | None = None
        self._last_frame_pts: int | None = None

    def __iter__(self) -> Iterator[VideoFrame]:
        for packet in self._read():
            if packet.stream_index != self.stream.index:
                self._shelve(packet)
                continue
            if self.done:
                if self._far_beyond(packet):
                    return
                continue
            if packet.has_sidedata("encryption_info"):  # Noise to a decoder, which may make pictures of it.
                raise encrypted(redacted(self.url))
            if not self._packets and self._holds_pictures:
                self.picture = bytes(packet)
            self._packets += 1
            self._note_packet(packet)
            yield from self._frames(packet)
            if self._dumb_packets > MAX_DUMB_PACKETS or self._dumb_bytes > MAX_DUMB_BYTES:
                return
        if self.done:
            return
        yield from self._frames(None)
        yield from self._lost_tail()

    def _read(self) -> Iterator[Packet[Stream]]:
        """Packets in file order, without FFmpeg's empty ones: sent to a decoder they would end it."""
        errors = 0
        while True:
            try:
                for packet in self.container.demux(self.stream, *self.copied):
                    errors = 0
                    if packet.size == 0:
                        continue
                    if self.discontinuities is not None:
                        self.discontinuities.shift(packet)
                    yield packet
                return
            except IndexError:
                return  # PyAV at the end of an input in which streams turned up on the way
            except (av.FFmpegError, OSError, MemoryError) as error:
                if self.live or isinstance(error, av.ExitError) or is_lost(self.url, error):
                    raise read_error(self.url, error) from error
                errors += 1
                if errors == 1:
                    self._damage(error, "reading", None)
                if errors > _MAX_READ_ERRORS:
                    return

    def _frames(self, packet: Packet[Stream] | None) -> Iterator[VideoFrame]:
        try:
            frames = self._decode(packet)
        except (av.FFmpegError, MemoryError, ValueError, RuntimeError, AssertionError) as error:
            if packet is not None:
                self._dumb_packets += 1
                self._dumb_bytes += packet.size
                if packet.pts is None and packet.dts in self._unordered_times:
                    self._unordered_times.remove(packet.dts)
                    heapq.heapify(self._unordered_times)
            if not isinstance(error, av.EOFError):
                self._damage(error, f"packet {self._packets - 1}", packet)
            return
        cut = bool(frames) and packet is not None and self._is_jpeg and is_cut_jpeg(bytes(packet))
        for frame in frames:
            if frame.pts is None and self._unordered_times:
                frame.pts = heapq.heappop(self._unordered_times)
            if frame.pts is not None:
                self._last_frame_pts = max(frame.pts, self._last_frame_pts or frame.pts)
            if (frame.is_corrupt or cut) and self.strict:
                raise DecodeError(
                    f"{redacted(self.url)}: damaged frame{self._at(frame.pts)}",
                    hint="leave out --strict to go on",
                )
            self.counters.damaged_frames += cut
            yield frame
        if frames:
            self._dumb_packets = self._dumb_bytes = 0
        elif packet is not None:
            self._dumb_packets += 1
            self._dumb_bytes += packet.size

    def _decode(self, packet: Packet[Stream] | None) -> list[VideoFrame]:
        try:
            return self.context.decode(packet)
        except av.BlockingIOError:
            # The decoder is stuck on what it holds: it starts anew with this packet.
            self.context.flush_buffers()
            return self.context.decode(packet)

    def _damage(self, error: BaseException, where: str, packet: Packet[Stream] | None) -> None:
        message = f"{reason(error)} ({where}{self._at(packet.pts if packet else None)})"
        if self.strict:
            raise DecodeError(
                f"{redacted(self.url)}: {message}", hint="leave out --strict to skip what is damaged"
            ) from error
        self.counters.damaged_packets += 1
        if self.counters.first_error is None:
            self.counters.first_error = message

    def _at(self, pts: int | None) -> str:
        if pts is None or not self.stream.time_base:
            return ""
        return f" at {float(pts * self.stream.time_base):.3f} s"

    def _shelve(self, packet: Packet[Stream]) -> None:
        cover = packet.stream.disposition & Disposition.attached_pic
        stamp = packet.pts if packet.pts is not None else packet.dts
        if cover or stamp is None or self.wanted.holds(stamp * packet.time_base):
            self.shelf.put(packet)

    def _far_beyond(self, packet: Packet[Stream]) -> bool:
        """Whether the file is so far past the wanted end that no copied packet before it is still to come."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if not self.copied or self.wanted.end is None or stamp is None:
            return True
        return stamp * packet.time_base > self.wanted.end + 2

    def _note_packet(self, packet: Packet[Stream]) -> None:
        if self._times_are_of_packets:
            packet.pts = None
        if packet.pts is None and packet.dts is not None and not packet.is_discard:
            # No presentation times, but pictures are shown at the times of the packets, in order.
            heapq.heappush(self._unordered_times, packet.dts)
        if packet.pts is None or packet.is_discard:
            return
        if packet.is_keyframe:
            self._keyframe_pts = packet.pts
        self._last_packet_pts = max(packet.pts, self._last_packet_pts or packet.pts)

    def _lost_tail(self) -> Iterator[VideoFrame]:
        """Frames PyAV leaves in the decoder when a damaged packet is among the last: draining stops at the first error.

        The last group of pictures is decoded again from a second handle, with errors coming out at their own packet.
        """
        last, key = self._last_frame_pts, self._keyframe_pts
        if (
            last is None
            or key is None
            or (self._last_packet_pts or last) <= last
            or self.live
            or is_read_once(self.url)
        ):
            return
        if self.context is not self.stream.codec_context:
            return
        if self.discontinuities is not None and self.discontinuities.count:
            return
        with open_container(self.url) as container:
            stream = container.streams[self.stream.index]
            if not isinstance(stream, VideoStream) or not stream.codec_context:
                return
            stream.codec_context.thread_type = "SLICE"
            try:
                container.seek(key, stream=stream)
                for packet in container.demux(stream):
                    try:
                        frames = packet.decode()
                    except av.FFmpegError:
                        continue
                    for frame in frames:
                        if frame.pts is not None and frame.pts > last:
                            yield frame
            except (av.FFmpegError, OSError):
                return
