"""The facts of an animation beside its pictures, in GIF, APNG and WebP: how often it plays, and how long the last picture
stays."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

GUESSES_LAST = frozenset({"apng", "webp"})
"""Containers whose last picture gets the duration of another (by APNG's muxer and WebP's encoder) unless its packet has one."""

_MOST_PLAYS = 65535
_LONGEST_WEBP_MS = (1 << 24) - 1


def muxer_options(container_format: str, plays: int) -> dict[str, str] | None:
    """The muxer's options for the number of plays of an animation, 0 for endless; None if it has none."""
    plays = min(plays, _MOST_PLAYS)
    match container_format:
        case "gif":
            return {"loop": str(plays and (plays - 1 or -1))}
        case "apng":
            return {"plays": str(plays)}
        case "webp":
            return {"loop": str(plays)}
    return None


def with_last_duration(packet: bytes, container_format: str, last: Fraction, whole: Fraction) -> bytes:
    """The last packet for a container of `GUESSES_LAST`, its last picture shown for `last` seconds of the `whole`."""
    data = bytearray(packet)
    if container_format == "apng" and (at := data.find(b"fcTL")) >= 0:
        delay = last.limit_denominator(1000)
        struct.pack_into(">HH", data, at + 24, min(delay.numerator, 0xFFFF), delay.denominator)
        struct.pack_into(">I", data, at + 30, zlib.crc32(data[at : at + 30]))
    if container_format == "webp" and (places := _webp_durations(data)):
        # The encoder joins equal pictures into one, so the last one stays until the end.
        earlier = sum(int.from_bytes(data[at : at + 3], "little") for at in places[:-1])
        left = min(max(0, round(whole * 1000) - earlier), _LONGEST_WEBP_MS)
        data[places[-1] : places[-1] + 3] = left.to_bytes(3, "little")
    return bytes(data)


def _webp_durations(data: bytearray) -> list[int]:
    """The offset of each picture's duration (milliseconds) in an animated WebP file, in bytes."""
    places, at = [], len("RIFFsizeWEBP")
    while at + 8 <= len(data):
        if data[at : at + 4] == b"ANMF":
            places.append(at + 20)
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return places
