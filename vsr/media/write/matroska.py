"""Elements that Matroska's muxer cannot write through PyAV: how far a track's audio begins early, the shape of a sample, the
layout of pictures around the viewer, languages without a three-letter code.

All are small elements of a track's header. Room for them is made by padding the track's name; once the file is written, the
padding is taken out and they are put in, so that the header keeps its length.
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from vsr.core.errors import EncodeError
from vsr.media.ebml import LANGUAGE_BCP47, element, elements, find_tracks, uint

WEBM_STEREO_MODES = frozenset({"left_right", "bottom_top", "top_bottom", "right_left"})
"""Matroska's layouts of pictures for two eyes that WebM allows, too."""

_PAD = "\x7e" * 48
_PADDED = re.compile(rb"(?:~{48})+\Z")
_TRACK, _NUMBER, _NAME, _VIDEO, _DELAY, _CRC, _VOID = 0xAE, 0xD7, 0x536E, 0xE0, 0x56AA, 0xBF, 0xEC
_WIDTH, _HEIGHT, _UNIT, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0x54B0, 0x54BA, 0x54B2, 0xB0, 0xBA
_STEREO_MODE, _PROJECTION = 0x53B8, 0x7670
# By stereo mode: the shape of one eye's picture divided by that of both. The display size is one eye's, as FFmpeg reads it.
_EYE = dict.fromkeys((1, 11, 8, 9), Fraction(1, 2)) | dict.fromkeys((2, 3, 6, 7), Fraction(2))


@dataclass(frozen=True, slots=True)
class TrackElements:
    """The elements of one track. delay_s: how late its timestamps in the file are; sar: shape of a sample, 1 for none;
    projection: content of its Projection element; language: a tag of BCP 47; both empty for none."""

    delay_s: Fraction = Fraction(0)
    sar: Fraction = Fraction(1)
    projection: bytes = b""
    language: str = ""

    @property
    def padding(self) -> str:
        """The padding of the track's name, which makes room for the elements."""
        return _PAD * (1 + (len(self.projection) + len(self.language)) // 24)


def amend_tracks(file: BinaryIO, tracks: dict[int, TrackElements]) -> None:
    """Rewrite the tracks' header of a finished file in place. tracks: by number, from 1. Raises EncodeError or OSError."""
    place = find_tracks(file)
    if place is None:
        raise EncodeError("the Matroska file just written has no tracks", hint="write an .mp4 file instead")
    start, size = place
    file.seek(start)
    payload = file.read(size)
    entries = b""
    for identifier, data in elements(payload):
        if identifier in (_CRC, _VOID):
            continue
        entries += element(identifier, _amended(data, tracks) if identifier == _TRACK else data)
    has_crc = payload[:1] == b"\xbf"
    room = size - len(entries) - (6 if has_crc else 0)
    if room == 1 or room < 0:
        raise EncodeError("no room in the Matroska header", hint="write an .mp4 file instead")
    entries += _void(room)
    if has_crc:
        entries = element(_CRC, zlib.crc32(entries).to_bytes(4, "little")) + entries
    file.seek(start)
    _write_all(file, entries)
    file.seek(0, os.SEEK_END)


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _amended(entry: bytes, tracks: dict[int, TrackElements]) -> bytes:
    parts = list(elements(entry))
    number = next((int.from_bytes(data, "big") for identifier, data in parts if identifier == _NUMBER), 0)
    wanted = tracks.get(number, TrackElements())
    out = b""
    for identifier, data in parts:
        if identifier == _NAME:
            name = _PADDED.sub(b"", data)
            out += element(_NAME, name) if name else b""
        elif identifier == _VIDEO:
            video = _with_display(data, wanted.sar) if wanted.sar != 1 else data
            out += element(
                _VIDEO, video + (element(_PROJECTION, wanted.projection) if wanted.projection else b"")
            )
        elif identifier != _DELAY or not wanted.delay_s:
            out += element(identifier, data)
    if wanted.delay_s:
        out += element(_DELAY, uint(round(wanted.delay_s * 10**9)))
    if wanted.language:
        out += element(LANGUAGE_BCP47, wanted.language.encode())
    return out


def _with_display(video: bytes, sar: Fraction) -> bytes:
    """The size at which the picture is shown; it widens or heightens, as Matroska players expect."""
    parts = [(i, d) for i, d in elements(video) if i not in (_WIDTH, _HEIGHT, _UNIT)]
    pixels = {identifier: int.from_bytes(data, "big") for identifier, data in parts}
    width, height = pixels.get(_PIXEL_WIDTH, 1), pixels.get(_PIXEL_HEIGHT, 1)
    shape = Fraction(width, height) * sar * _EYE.get(pixels.get(_STEREO_MODE, 0), 1)
    # Exact if whole numbers allow it; FFmpeg reads the shape back from the quotient.
    width = round(height * shape)
    if Fraction(width, height) != shape and max(shape.numerator, shape.denominator) < 1 << 16:
        scale = max(1, height // shape.denominator)
        width, height = shape.numerator * scale, shape.denominator * scale
    parts += [(_WIDTH, uint(width)), (_HEIGHT, uint(height))]
    return b"".join(element(identifier, data) for identifier, data in parts)


def _void(room: int) -> bytes:
    if room == 0:
        return b""
    if room < 9:
        return bytes([_VOID, 0x80 | (room - 2)]) + b"\x00" * (room - 2)
    # The size has eight bytes, so that it fits any room.
    return bytes([_VOID]) + (room - 9 | 1 << 56).to_bytes(8, "big") + b"\x00" * (room - 9)
