"""EBML, the format of Matroska files: elements of an identifier, a length and data (RFC 8794)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

LANGUAGE_BCP47 = 0x22B59D
"""A track's language as a tag of BCP 47 (RFC 9559, 5.1.4.1.20)."""
_SEGMENT, _TRACKS, _CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(identifier, data) of the elements in a parent's data. One of unknown length goes on to the end."""
    position = 0
    while position < len(data):
        number, used = identifier_of(data[position : position + 4])
        length, more = size_of(data[position + used : position + used + 8])
        start = position + used + more
        yield number, data[start : start + length]
        position = start + length


def found(data: bytes, *path: int) -> Iterator[bytes]:
    """The data of each element that a path of identifiers leads to, from `data` on."""
    for number, inner in elements(data):
        if number == path[0]:
            yield from found(inner, *path[1:]) if path[1:] else (inner,)


def identifier_of(data: bytes) -> tuple[int, int]:
    """(the identifier `data` begins with, its length in bytes)."""
    length = _length(data)
    return int.from_bytes(data[:length], "big"), length


def size_of(data: bytes) -> tuple[int, int]:
    """(the element size `data` begins with, its length in bytes)."""
    length = _length(data)
    return int.from_bytes(data[:length], "big") & ((1 << 7 * length) - 1), length


def _length(data: bytes) -> int:
    return 9 - data[0].bit_length() if data and data[0] else 1


def uint(value: int) -> bytes:
    """A number, as the data of an element."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def element(number: int, data: bytes) -> bytes:
    """An element with that identifier."""
    length = 1
    while len(data) >= (1 << 7 * length) - 1:
        length += 1
    return uint(number) + (len(data) | 1 << 7 * length).to_bytes(length, "big") + data


def find_tracks(file: BinaryIO) -> tuple[int, int] | None:
    """(where the payload of a Matroska file's tracks begins, its length); None where none come before the first packets."""
    end = file.seek(0, os.SEEK_END)
    position = 0
    while position < end:
        file.seek(position)
        head = file.read(12)
        identifier, used = identifier_of(head)
        size, more = size_of(head[used:])
        start = position + used + more
        if identifier == _TRACKS:
            return start, size
        if identifier == _CLUSTER:
            return None
        position = start if identifier == _SEGMENT else start + size
    return None
