"""Decodes packets into frames: damage is stepped over, copied packets go on the shelf."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vsr.core.errors import DecodeError, reason
from vsr.core.frame import Reset
from vsr.media.address import is_read_once
from vsr.media.closing import close_input
from vsr.media.pictures.packets import holds_pictures, is_cut_jpeg
from vsr.media.read.cut_off import Read
from vsr.media.read.opened import Opened
from vsr.media.read.opening import open_container
from vsr.media.read.packed import Unpacker, codes_nothing
from vsr.media.read.refusals import is_lost, read_error
from vsr.media.read.streams import encrypted
from vsr.media.read.time_range import FORMAT_HAS_DISCONTINUITIES
from vsr.media.read.timestamps import Discontinuities, PacketTimes, Starts
from vsr.media.types import PacketShelf, SourceCounters

# After this number of errors of av_read_frame in a row, the rest of a file counts as lost.
_MAX_READ_ERRORS = 32
# After this number of packets and of bytes without a frame, a stream counts as undecodable.
MAX_DUMB_PACKETS = 2000
MAX_DUMB_BYTES = 256 << 20


class Decoder:
    """Decodes the video of an opened input packet by packet, and shelves the packets of the streams that are copied.

    A packet that doesn't decode is skipped and counted, or raises DecodeError where `strict`. Frames come in presentation
    order with FFmpeg's own pts. Where the container's clock jumps, a gap is noted in `starts`.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        shelf: PacketShelf,
        counters: SourceCounters,
        starts: Starts,
        strict: bool,
    ) -> None:
        self._opened = opened
        self._context = opened.context
        self._stream = opened.stream
        self._shelf = shelf
        self._counters = counters
        self._starts = starts
        self._strict = strict
        self.done = False
        """Set by the reader of frames once it wants no more: only copied packets are still collected."""
        discontinuous = opened.container.format.flags & FORMAT_HAS_DISCONTINUITIES
        self.discontinuities = Discontinuities() if discontinuous else None
        self.read = Read()
        self._holds_pictures = holds_pictures(opened.container.format.name)
        # If a JPEG file ends too early, FFmpeg's decoder makes up the rest, and only logs it.
        self._is_jpeg = self._holds_pictures and opened.context.name == "mjpeg"
        self._packets = 0
        self.picture: bytes | None = None
        """The first packet where packets are whole picture files, tags and all."""
        self._dumb_packets = self._dumb_bytes = 0
        # AVI has no presentation times, and FFmpeg's times for B-frames are not in order.
        self._times_are_of_packets = opened.container.format.name == "avi"
        self._times = PacketTimes()
        self._unpacker = Unpacker(opened.stream) if opened.context.name == "mpeg4" else None
        self._keyframe: int | None = None
        self._keyframe_damage = 0
        self._last_packet: int | None = None
        self._last_frame: int | None = None

    def __iter__(self) -> Iterator[VideoFrame]:
        for packet in self.packets():
            if packet.stream_index != self._stream.index:
                self._shelve(packet)
                continue
            if self.done:
                if self._far_beyond(packet):
                    return
                continue
            if packet.has_sidedata("encryption_info"):  # Noise to a decoder, which may make pictures of it.
                raise encrypted(self._opened.name)
            if not self._packets and self._holds_pictures:
                self.picture = bytes(packet)
            self._packets += 1
            if self._times_are_of_packets:
                packet.pts = None
            for single in self._unpacker.push(packet) if self._unpacker else [packet]:
                self._note_packet(single)
                yield from self._frames(single)
            if self._dumb_packets > MAX_DUMB_PACKETS or self._dumb_bytes > MAX_DUMB_BYTES:
                return
        if self.done:
            return
        for single in self._unpacker.flush() if self._unpacker else []:
            self._note_packet(single)
            yield from self._frames(single)
        yield from self._frames(None)
        yield from self._lost_tail()

    def shelved(self) -> Iterator[Fraction]:
        """Only put copied packets on the shelf, from the input's current place on; yields how far it has come, in seconds.

        It comes as far as the times of the video's packets tell. Raises what iterating raises.
        """
        for packet in self.packets():
            if packet.stream_index != self._stream.index:
                self._shelve(packet)
            elif self._opened.wanted.end is not None and self._far_beyond(packet):
                return
            elif (stamp := packet.dts if packet.dts is not None else packet.pts) is not None:
                yield stamp * self._opened.time_base

    def packets(self) -> Iterator[Packet[Stream]]:
        """Packets in file order, without FFmpeg's empty ones: sent to a decoder they would end it."""
        errors = 0
        while True:
            try:
                for packet in self._opened.container.demux(self._stream, *self._opened.copied):
                    errors = 0
                    if packet.size == 0:
                        continue
                    self.read.note(packet, is_video=packet.stream_index == self._stream.index)
                    if self.discontinuities is not None:
                        self._note_jump(packet, jumps=self.discontinuities.shift(packet))
                    yield packet
                return
            except IndexError:
                return  # PyAV raises it at the end of an input in which streams turned up on the way
            except (av.FFmpegError, OSError, MemoryError) as error:
                if self._opened.live or isinstance(error, av.ExitError) or is_lost(self._opened.url, error):
                    raise read_error(self._opened.url, error) from error
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
                self._times.drop(packet)
            if not isinstance(error, av.EOFError):
                self._damage(error, f"packet {self._packets - 1}", packet)
            return
        cut = bool(frames) and packet is not None and self._is_jpeg and is_cut_jpeg(bytes(packet))
        for frame in frames:
            self._times.give(frame)
            if frame.pts is not None:
                self._last_frame = max(frame.pts, self._last_frame or frame.pts)
            if (frame.is_corrupt or cut) and self._strict:
                raise DecodeError(
                    f"{self._opened.name}: damaged frame{self._at(frame.pts)}",
                    hint="leave out --strict to continue",
                )
            self._counters.damaged_frames += cut
            yield frame
        if frames:
            self._dumb_packets = self._dumb_bytes = 0
        elif packet is not None:
            self._dumb_packets += 1
            self._dumb_bytes += packet.size

    def _decode(self, packet: Packet[Stream] | None) -> list[VideoFrame]:
        try:
            return self._context.decode(packet)
        except av.BlockingIOError:
            # The decoder is stuck on its packets: start again with this packet.
            self._context.flush_buffers()
            return self._context.decode(packet)

    def _damage(self, error: BaseException, where: str, packet: Packet[Any] | None) -> None:
        message = f"{reason(error)} ({where}{self._at(packet.pts if packet else None)})"
        if self._strict:
            raise DecodeError(
                f"{self._opened.name}: {message}", hint="leave out --strict to skip damaged packets"
            ) from error
        self._counters.damaged_packets += 1
        if self._counters.first_error is None:
            self._counters.first_error = message

    def _at(self, pts: int | None) -> str:
        if pts is None or not self._stream.time_base:
            return ""
        return f" at {float(pts * self._stream.time_base):.3f} s"

    def _shelve(self, packet: Packet[Stream]) -> None:
        cover = packet.stream.disposition & Disposition.attached_pic
        stamp = packet.pts if packet.pts is not None else packet.dts
        if cover or stamp is None or self._opened.wanted.holds(stamp * packet.time_base):
            self._shelf.put(packet)

    def _far_beyond(self, packet: Packet[Stream]) -> bool:
        """Whether the file is so far past the wanted end that no copied packet before it is still to come."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if not self._opened.copied or self._opened.wanted.end is None or stamp is None:
            return True
        return stamp * packet.time_base > self._opened.wanted.end + 2

    def _note_packet(self, packet: Packet[Stream]) -> None:
        if not (self._unpacker and codes_nothing(packet)):
            self._times.note(packet)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.is_discard:
            return
        if packet.is_keyframe:
            self._keyframe, self._keyframe_damage = stamp, self._counters.damaged_packets
        self._last_packet = max(stamp, self._last_packet or stamp)

    def _note_jump(self, packet: Packet[Stream], *, jumps: bool) -> None:
        if jumps and packet.stream_index == self._stream.index and packet.pts is not None:
            self._starts.note(packet.pts, Reset.GAP)

    def _lost_tail(self) -> Iterator[VideoFrame]:
        """Frames that stay in the decoder when a damaged packet is among the last: draining stops at the first error, which
        frame threads do not report.

        The last group of pictures is decoded again from a second handle, with errors coming out at their own packet.
        """
        last, key = self._last_frame, self._keyframe
        if (
            last is None
            or key is None
            or (self._last_packet or last) <= last
            or self._opened.live
            or is_read_once(self._opened.url)
        ):
            return
        if self._context is not self._stream.codec_context:
            return
        if self.discontinuities is not None and self.discontinuities.count:
            return
        known = self._counters.damaged_packets - self._keyframe_damage
        container = open_container(self._opened.url)
        try:
            stream = container.streams[self._stream.index]
            if not isinstance(stream, VideoStream) or not stream.codec_context:
                return
            stream.codec_context.thread_type = "SLICE"
            container.seek(key, stream=stream)
            context, times = stream.codec_context, PacketTimes()
            for packet in container.demux(stream):
                if self._times_are_of_packets:
                    packet.pts = None
                times.note(packet)
                try:
                    frames = context.decode(packet)
                except av.FFmpegError as error:
                    times.drop(packet)
                    if known <= 0:
                        self._damage(error, "among the last packets", packet)
                    known -= 1
                    continue
                for frame in frames:
                    times.give(frame)
                    if frame.pts is not None and frame.pts > last:
                        yield frame
        except (av.FFmpegError, OSError):
            return
        finally:
            close_input(container)
