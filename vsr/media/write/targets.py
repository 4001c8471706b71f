"""Targets for FFmpeg: a file that appears when it is complete (`OutputFile`), standard output, or nothing."""

from __future__ import annotations

import builtins
import contextlib
import os
from pathlib import Path
from typing import Protocol

from vsr.files.checks import os_error
from vsr.files.whole import KeepsFirstError


class Target(Protocol):
    """The target of a container, with the methods that PyAV expects of a file. Exactly one of `commit`, `keep` and `drop` ends
    it.

    name: the place of the output, for FFmpeg and messages. bytes: its length so far. error: the system's first error, because
    FFmpeg's buffers report it late or never.
    """

    name: str
    bytes: int
    error: BaseException | None

    @property
    def closed(self) -> bool: ...
    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def write(self, data: builtins.bytes) -> int: ...

    def commit(self) -> Path | None:
        """End it whole, under its name; its path, None where there is none. Raises FileError."""

    def keep(self) -> Path | None:
        """End the output unfinished, and keep it as a part. Return its path, or None if there is no file. Raises FileError."""

    def drop(self) -> None:
        """End it and delete the written bytes, unless it has ended before."""


class OutputPipe(KeepsFirstError):
    """Standard output as FFmpeg writes to it; errors are kept as in OutputFile."""

    def __init__(self, descriptor: int = 1) -> None:
        self.name = "stdout"
        self.bytes = 0
        try:
            self._descriptor = os.dup(descriptor)
        except OSError as error:
            raise os_error("standard output", error) from error
        self.closed = False

    def seekable(self) -> bool:
        return False

    def _put(self, data: memoryview) -> int:
        written = os.write(self._descriptor, data)
        self.bytes += written
        return written

    def commit(self) -> None:
        self.drop()

    def keep(self) -> None:
        self.drop()

    def drop(self) -> None:
        if not self.closed:
            self.closed = True
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


class OutputNull:
    """Takes everything and keeps nothing but the count."""

    name = "null"
    error: BaseException | None = None

    def __init__(self) -> None:
        self.bytes = 0
        self.closed = False
        self._position = 0

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self._position += len(data)
        self.bytes = max(self.bytes, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, self.bytes)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def commit(self) -> None:
        self.closed = True

    def keep(self) -> None:
        self.closed = True

    def drop(self) -> None:
        self.closed = True
