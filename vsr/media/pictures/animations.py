"""Facts about animations by the bytes of picture files, also of damaged files that Pillow cannot read."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Animation:
    """moves: whether there is more than one picture. damage: in words; empty if none is seen."""

    moves: bool
    damage: str = ""


def animation_in(path: Path) -> Animation | None:
    """The animation in a GIF, APNG or AVIF file; None for other files and for PNG stills. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(16)
        if start.startswith(_PNG):
            return _png(file)
        if start.startswith((b"GIF87a", b"GIF89a")):
            return _gif(file)
        # The brand marks a sequence; its container shows whether it is complete (ISO/IEC 23000-22).
        return Animation(True) if start[4:12] == b"ftypavis" else None


def _png(file: BinaryIO) -> Animation | None:
    """The animation in an APNG, by its chunks (PNG, third edition, 5 and 11.3.6)."""
    stated = found = 0
    damage = ""
    file.seek(len(_PNG))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT" and not stated:
            return None
        sum_found = zlib.crc32(kind)
        at = file.tell()
        data = file.read(min(length, 8)) if kind == b"acTL" else b""
        for block in _blocks(file, length - len(data), data):
            sum_found = zlib.crc32(block, sum_found)
        end = file.read(4)
        if file.tell() < at + length + 4:
            break
        if kind == b"acTL" and len(data) == 8:
            (stated,) = struct.unpack(">I", data[:4])
        found += kind == b"fcTL"
        if int.from_bytes(end, "big") != sum_found:
            damage = damage or f"its chunk {kind.decode('latin-1')} is damaged (picture {found} of {stated})"
        if kind == b"IEND":
            return Animation(stated > 1, damage) if stated else None
    return Animation(stated > 1, damage or f"cut off in picture {found} of {stated}") if stated else None


def _blocks(file: BinaryIO, length: int, first: bytes) -> Iterator[bytes]:
    yield first
    while length > 0 and (block := file.read(min(length, _BLOCK))):
        length -= len(block)
        yield block


def _gif(file: BinaryIO) -> Animation:
    """The animation in a GIF, by its blocks (GIF89a, 17 to 27). A file that lacks only its trailer is whole."""
    size = os.fstat(file.fileno()).st_size
    file.seek(10)
    file.seek(13 + _table(file.read(1)))
    pictures = 0
    while mark := file.read(1):
        if mark == b";":
            break
        if mark == b",":
            pictures += 1
            file.seek(8, os.SEEK_CUR)
            file.seek(_table(file.read(1)) + 1, os.SEEK_CUR)
        elif mark == b"!":
            file.seek(1, os.SEEK_CUR)
        else:
            return Animation(pictures > 1, f"damaged after picture {pictures}")
        while (length := file.read(1)) not in (b"", b"\0"):
            file.seek(length[0], os.SEEK_CUR)
        if not length or file.tell() > size:
            return Animation(pictures > 1, f"cut off in picture {pictures}")
    return Animation(pictures > 1)


def _table(flags: bytes) -> int:
    """Bytes of the colour table that a byte of flags announces."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0
