"""MPEG-4 with packed B-frames, as DivX and Xvid write them into AVI: a B-frame lies in the packet of the picture before it, and
a packet that codes nothing stands in its place."""

from __future__ import annotations

import re
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

# The encoder's mark in the stream; its "p" says that packets are packed.
_PACKED = re.compile(rb"\x00\x00\x01\xb2DivX\d+[Bb]\d+p")
# A packet that contains only the header of a picture has at most this length.
_MAX_UNCODED_BYTES = 8
_UNCODED = b"\x00\x00\x01\xb6\x51\x30"


class Unpacker:
    """Gives every picture a packet of its own, and the packet its time.

    is_packed: B-frames are packed; known from the first keyframe on. Packets then have one time each, in the order in which
    pictures are shown, whatever the container calls it.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._filter = BitStreamFilterContext("mpeg4_unpack_bframes", stream)
        self.is_packed = _PACKED.search(bytes(stream.codec_context.extradata or b"")) is not None
        rate, unit = stream.average_rate, stream.time_base
        self._step = round(1 / (rate * unit)) if rate and unit else 1
        self._first, self._delay = _delay(stream, self._step)
        self._last: int | None = None

    def push(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """The packets of the pictures that are whole."""
        if not self.is_packed and packet.is_keyframe:
            self.is_packed = _PACKED.search(bytes(packet)) is not None
        if not self.is_packed:
            return [packet]
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and time > self._first:
            time -= self._delay
        self._last = time
        return self._filtered(packet, time)

    def flush(self) -> list[Packet[Any]]:
        """The B-frame of the last packet, if nothing came in its place."""
        if self._last is None:
            return []
        packets = self._filtered(Packet(_UNCODED), self._last + self._step)
        return [packet for packet in packets if not codes_nothing(packet)]

    def _filtered(self, packet: Packet[Any], time: int | None) -> list[Packet[Any]]:
        try:
            packets = self._filter.filter(packet)
        except av.FFmpegError:
            return [packet]
        for unpacked in packets:
            unpacked.pts, unpacked.dts = None, time
        return packets


def _delay(stream: VideoStream, step: int) -> tuple[int, int]:
    """(time of the first packet, by how much those after it are late). step: between two pictures.

    Behind the first picture an encoder waits for the B-frames. Muxers fill that time with packets without data, although
    the pictures go on without a gap.
    """
    index = stream.index_entries
    if len(index) < 2:
        return 0, 0
    return index[0].timestamp, max(0, index[1].timestamp - index[0].timestamp - step)


def codes_nothing(packet: Packet[Any]) -> bool:
    """Whether a packet of MPEG-4 stands for a picture that is not coded: the previous picture stays."""
    return packet.size <= _MAX_UNCODED_BYTES
