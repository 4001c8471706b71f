"""Edits RTP (RFC 3550) that is interleaved in RTSP's TCP connection (RFC 2326, 10.12): what odd clocks of cameras send."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_VIDEO_HZ = 90_000
_VIDEO, _VIDEO_REPORTS, _AUDIO, _AUDIO_REPORTS = range(4)
_SENDER_REPORT = 200


@dataclass
class Edits:
    """May change while packets pass.

    video, audio: seconds added to the timestamps. scale: how much faster the picture's timestamps run. report: seconds added to
    the RTP time in the picture's sender reports, against which sound is aligned. no_video: 1 leaves the picture out.
    audio_hz: the rate of the sound's clock.
    """

    video: float = 0.0
    audio: float = 0.0
    scale: float = 1.0
    report: float = 0.0
    no_video: float = 0.0
    audio_hz: float = 48_000.0


class Interleaved:
    """The bytes of one connection, from the server to the client."""

    def __init__(self, edits: Edits) -> None:
        self._edits = edits
        self._kept = b""
        self._first: int | None = None

    def edited(self, data: bytes) -> bytes:
        """What is whole of all that came, edited; the rest is kept for the next call."""
        self._kept += data
        done = bytearray()
        while (length := self._length()) and len(self._kept) >= length:
            part, self._kept = self._kept[:length], self._kept[length:]
            done += self._packet(part) if part[:1] == b"$" else part
        return bytes(done)

    def _length(self) -> int:
        """Of the packet or answer at the beginning; 0 where it is not known yet."""
        if self._kept[:1] == b"$":
            return 4 + int.from_bytes(self._kept[2:4], "big") if len(self._kept) >= 4 else 0
        head, blank, _ = self._kept.partition(b"\r\n\r\n")
        if not blank:
            return 0
        fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
        return len(head) + 4 + next((int(value) for name, _, value in fields if name == b"content-length"), 0)

    def _packet(self, part: bytes) -> bytes:
        channel, packet, edits = part[1], bytearray(part[4:]), self._edits
        if channel == _VIDEO and edits.no_video:
            return b""
        if channel in (_VIDEO, _AUDIO) and len(packet) >= 12:
            self._stamp(packet, 4, channel)
        elif (
            channel in (_VIDEO_REPORTS, _AUDIO_REPORTS) and len(packet) >= 28 and packet[1] == _SENDER_REPORT
        ):
            self._stamp(packet, 16, channel - 1)
            if channel == _VIDEO_REPORTS:
                _add(packet, 16, edits.report * _VIDEO_HZ)
        return part[:4] + bytes(packet)

    def _stamp(self, packet: bytearray, at: int, channel: int) -> None:
        edits = self._edits
        if channel == _AUDIO:
            _add(packet, at, edits.audio * edits.audio_hz)
            return
        (stamp,) = struct.unpack_from(">I", packet, at)
        self._first = stamp if self._first is None else self._first
        since = (stamp - self._first + 2**31) % 2**32 - 2**31
        _add(packet, at, since * (edits.scale - 1) + edits.video * _VIDEO_HZ)


def _add(packet: bytearray, at: int, ticks: float) -> None:
    (stamp,) = struct.unpack_from(">I", packet, at)
    struct.pack_into(">I", packet, at, (stamp + round(ticks)) % 2**32)
