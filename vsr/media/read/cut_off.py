"""Whether a file breaks off: FFmpeg reads as far as there is something, and only logs that more was to come."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from av.packet import Packet

from vsr.media.address import file_name, is_read_once, is_url
from vsr.media.ebml import identifier_of, size_of
from vsr.media.read.opened import Opened

_SEGMENT = 0x18538067
# The elements at the beginning of a Matroska file and in its segment (RFC 9559, 5.1).
_ELEMENTS = frozenset({
    0x1A45DFA3, _SEGMENT, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1F43B675, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367,
    0xEC, 0xBF,
})  # fmt: skip
_BOXES = frozenset(
    b"ftyp moov mdat moof free skip wide uuid meta udta mfra sidx ssix styp emsg prft pdin".split()
)
_MAX_OGG_PAGE = 27 + 255 + 255 * 255
_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# Packet sizes of MPEG-TS, and the place of the sync byte 0x47: plain, with times (M2TS), with parity.
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
# Containers whose header states the length, so that FFmpeg does not guess it from the bytes.
_STATE_DURATION = frozenset({"mp4", "matroska", "avi", "asf", "flv", "mxf"})
_MAX_MISSING_S = Fraction(1, 2)


@dataclass(slots=True)
class Read:
    """Counts of an input that was read. packet_bytes: size of the first packet of its video."""

    packet_bytes: int = 0
    _ends: dict[int, Fraction] = field(default_factory=dict)
    _short: dict[int, bool] = field(default_factory=dict)

    def note(self, packet: Packet[Any], *, is_video: bool) -> None:
        """A packet, in the order of the file."""
        self._short[packet.stream_index] = packet.is_corrupt
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            end = (stamp + (packet.duration or 0)) * packet.time_base
            self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))
        if is_video and not self.packet_bytes:
            self.packet_bytes = packet.size

    @property
    def end(self) -> Fraction | None:
        """When the last packet ends, in seconds."""
        return max(self._ends.values(), default=None)

    @property
    def is_short(self) -> bool:
        """Whether the last packet of a stream has not all of its data."""
        return any(self._short.values())


def cut_off(opened: Opened, read: Read, frames: int) -> str | None:
    """A sentence on what is missing from an input that was read to its end; None if nothing is known to be missing.

    frames: the number of frames that came, if all of the input was read; 0 otherwise.
    """
    names = opened.container.format.name.split(",")
    missing = _missing_bytes(opened, names, read.packet_bytes) or (
        "its last packet is cut short" if read.is_short else None
    )
    stated = opened.container.duration if _STATE_DURATION.intersection(names) else 0
    begin, end = opened.container.start_time or 0, read.end
    lasts = None
    if stated and end is not None:
        there, all_of_it = end - Fraction(begin, 1_000_000), Fraction(stated, 1_000_000)
        if all_of_it - there > _MAX_MISSING_S:
            lasts = f"{float(there):.3f} of {float(all_of_it):.3f} s"
    walked = _is_file(opened) and any(name in _WALKS for name in names)
    if missing is None and (lasts is None or walked):
        return None
    total = opened.stream.frames
    counted = f"{frames} of {total} frames" if 0 < frames < total else None
    return f"the input is cut off: {', '.join(part for part in (missing, counted, lasts) if part)}"


def _is_file(opened: Opened) -> bool:
    return not is_read_once(opened.url) and not is_url(opened.url) and Path(file_name(opened.url)).is_file()


def _missing_bytes(opened: Opened, names: list[str], packet_bytes: int) -> str | None:
    """The stated length of a file, if it has fewer bytes."""
    if not _is_file(opened):
        return None
    walk = next((_WALKS[name] for name in names if name in _WALKS), None)
    try:
        with Path(file_name(opened.url)).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            stated = walk(file, end) if walk else None
            if "yuv4mpegpipe" in names and packet_bytes:
                stated = _y4m(file, end, packet_bytes)
    except OSError:
        return None
    if stated is None or stated <= end:
        return None
    if "nut" in names:
        return "its index is missing"
    if "ogg" in names:
        return "it ends in the middle of a page"
    if {"mpegts", "yuv4mpegpipe"}.intersection(names):
        return "it ends in the middle of a packet"
    return f"{end:,} of {stated:,} bytes"


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _mov(file: BinaryIO, end: int) -> int | None:
    """Boxes of ISO/IEC 14496-12, 4.2."""
    at = 0
    while at + 8 <= end:
        head = _read(file, at, 16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size < 8 or head[4:8] not in _BOXES:  # size 0 means up to the end; other boxes are foreign
            return None
        at += size
    return at


def _avi(file: BinaryIO, end: int) -> int | None:
    """RIFF chunks, of which large files have several."""
    at = 0
    while at + 12 <= end:
        head = _read(file, at, 8)
        size = int.from_bytes(head[4:], "little")
        if not head.startswith(b"RIFF") or size in (0, 0xFFFFFFFF):
            return None
        at += 8 + size
        if at > end:
            return at
        at += size & 1
    return None


def _matroska(file: BinaryIO, end: int) -> int | None:
    """The segment, or its parts where a live writer did not know how long it would be."""
    at = 0
    while at + 2 <= end:
        head = _read(file, at, 12)
        identifier, used = identifier_of(head)
        size, more = size_of(head[used:])
        at += used + more
        if identifier not in _ELEMENTS:
            return None
        unknown = size == (1 << 7 * more) - 1
        if identifier == _SEGMENT and not unknown:
            return at + size
        if identifier != _SEGMENT:
            if unknown:
                return None
            at += size
    return at


def _mpegts(file: BinaryIO, end: int) -> int | None:
    begin = _read(file, 0, 5 * 204)
    for size, sync in _TS_PACKETS:
        if len(begin) >= 5 * size and all(begin[sync + size * number] == 0x47 for number in range(5)):
            return -(-end // size) * size
    return None


def _nut(file: BinaryIO, end: int) -> int | None:
    """An index is its last packet, which says how long it is."""
    length = int.from_bytes(_read(file, max(0, end - 12), 8), "big")
    whole = length <= end and _read(file, end - length, 8) == _NUT_INDEX
    return None if whole else end + 1


def _ogg(file: BinaryIO, end: int) -> int | None:
    """Pages of RFC 3533, 6: the last one begins within the length of the longest, and says how long it is."""
    tail = _read(file, begin := max(0, end - _MAX_OGG_PAGE), _MAX_OGG_PAGE)
    at = tail.rfind(b"OggS")
    if at < 0:
        return None
    sizes = tail[at + 27 : at + 27 + tail[at + 26]] if at + 27 <= len(tail) else b""
    lacks_sizes = at + 27 > len(tail) or len(sizes) < tail[at + 26]
    return end + 1 if lacks_sizes else begin + at + 27 + len(sizes) + sum(sizes)


def _asf(file: BinaryIO, _end: int) -> int | None:
    begin = _read(file, 0, 1 << 16)
    at = begin.find(_ASF_PROPERTIES)
    return int.from_bytes(begin[at + 40 : at + 48], "little") if at >= 0 else None


def _y4m(file: BinaryIO, end: int, packet_bytes: int) -> int | None:
    begin = _read(file, 0, 1 << 12)
    header = begin.find(b"\n") + 1
    each = begin.find(b"\n", header) + 1 - header + packet_bytes
    return header + -(-(end - header) // each) * each


_WALKS: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "mp4": _mov,
    "matroska": _matroska,
    "avi": _avi,
    "mpegts": _mpegts,
    "nut": _nut,
    "ogg": _ogg,
    "asf": _asf,
}
