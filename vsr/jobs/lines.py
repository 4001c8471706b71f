"""Lines that survive a power cut, in a file that only grows.

A line is a CRC-32 in hexadecimal, a space and JSON: an object of one item. It is written at once, and synced before anything
relies on it. A line is trusted if its checksum fits and all before it are.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from vsr.files.checks import os_error
from vsr.files.ordinary import open_ordinary


@dataclass(frozen=True, slots=True)
class Trusted:
    """The trusted part of such a file. length: bytes up to the end of the last trusted line. damage: a sentence about untrusted
    lines before it, "" for none."""

    length: int = 0
    damage: str = ""


def bytes_of(path: Path) -> bytes:
    """All of such a file; nothing where there is none. Raises FileError."""
    try:
        with open(open_ordinary(path, os.O_RDONLY), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise os_error(str(path), error) from error


def read_lines(data: bytes, path: Path, take: Callable[[str, Any], None]) -> Trusted:
    """Give `take` the items of lines as long as they are trusted. path: what messages call the file.

    A line that `take` refuses with ValueError, KeyError or TypeError is not trusted either; what else it raises goes on.
    """
    lines, length = BytesIO(data).readlines(), 0
    for number, line in enumerate(lines, 1):
        try:
            take(*_item(line))
        except (ValueError, KeyError, TypeError):
            damage = f"line {number} of {len(lines)} of {path} is damaged" if number < len(lines) else ""
            return Trusted(length, damage)
        length += len(line)
    return Trusted(length)


def _item(line: bytes) -> tuple[str, Any]:
    checksum, _, payload = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(payload):
        raise ValueError(line)
    ((kind, entry),) = json.loads(payload).items()
    return kind, entry


class Lines:
    """Such a file that is written to; a context manager that closes it. No other writer is allowed meanwhile."""

    def __init__(self, path: Path, length: int) -> None:
        """Open or create the file. length: the trusted bytes; the rest is cut off. Raises FileError."""
        self._path = path
        self._length = length
        try:
            self._file = open_ordinary(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            os.ftruncate(self._file, length)
        except OSError as error:
            raise os_error(str(path), error) from error

    def append(self, kind: str, entry: Mapping[str, Any]) -> None:
        """Write a line, and wait until the disk has it. Raises FileError."""
        payload = json.dumps({kind: entry}, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(payload), payload)
        try:
            # A line that was cut off by a full disk must not stay before the next one.
            os.ftruncate(self._file, self._length)
            left = memoryview(line)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError as error:
            raise os_error(str(self._path), error) from error
        self._length += len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._file)
