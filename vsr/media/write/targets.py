"""What FFmpeg writes into that is no file: standard output, or nothing."""

from __future__ import annotations

import contextlib
import os

from vsr.files.checks import os_error


class OutputPipe:
    """Standard output as FFmpeg writes to it; errors are kept as in OutputFile."""

    def __init__(self, descriptor: int = 1) -> None:
        self.name = "stdout"
        self.bytes = 0
        self.error: OSError | None = None
        try:
            self._descriptor = os.dup(descriptor)
        except OSError as error:
            raise os_error("standard output", error) from error
        self.closed = False

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self.error = self.error or error
            raise
        self.bytes += len(data)
        return len(data)

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
    error: OSError | None = None

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
