"""Files as FFmpeg writes them while others read them: locked, and the first error is kept."""

from __future__ import annotations

import contextlib
import os
import stat
from io import FileIO
from pathlib import Path

from vsr.files.checks import stat_of
from vsr.files.whole import locked_part


class LiveFiles:
    """The files that one output writes. One of them is locked until `close`.

    bytes: written so far. error: the system's first error; nothing is written after it. FFmpeg would report it late or never.
    """

    def __init__(self, path: Path, locked: FileIO) -> None:
        self.bytes = 0
        self.error: OSError | None = None
        self._path = path
        self._locked = locked
        found = os.fstat(locked.fileno())
        # Some file systems do not count a file's names.
        self._is_named = stat.S_ISREG(found.st_mode) and found.st_nlink > 0

    def check_there(self) -> None:
        """Keep an error if the locked file has been removed: everything written to it would be lost."""
        if self.error is None and self._is_named and not os.fstat(self._locked.fileno()).st_nlink:
            self.error = OSError(0, "was removed while it was written")

    def file(self, path: Path, file: FileIO) -> LiveFile:
        """A file, for FFmpeg."""
        return LiveFile(self, path, file)

    def closed(self, path: Path) -> None:
        """FFmpeg has closed one of the files."""

    def close(self, *, remove: bool) -> None:
        """Unlock the file, and remove it if asked to, unless it is a device or a pipe. Repeated calls are allowed."""
        if self._locked.closed:
            return
        with contextlib.suppress(OSError):
            if remove and stat.S_ISREG(self._path.stat().st_mode):
                self._path.unlink()
        with contextlib.suppress(OSError):
            self._locked.close()


class RecordingFile(LiveFiles):
    """A recording. Raises OSError, and ConfigError where another run writes it."""

    def __init__(self, path: Path) -> None:
        found = stat_of(path)
        # A device or a pipe is not locked.
        special = found is not None and not stat.S_ISREG(found.st_mode)
        super().__init__(path, FileIO(path, "w") if special else locked_part(path))

    def target(self) -> LiveFile:
        """The recording's file, for FFmpeg."""
        return self.file(self._path, self._locked)


class LiveFile:
    """One of an output's files. Raises nothing into FFmpeg."""

    def __init__(self, files: LiveFiles, path: Path, file: FileIO) -> None:
        self.name = str(path)
        self._files = files
        self._path = path
        self._file = file
        self.seekable = file.seekable
        self.seek = file.seek
        self.tell = file.tell

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            while view and self._files.error is None:
                written = self._file.write(view)
                self._files.bytes += written
                view = view[written:]
        except OSError as error:
            self._files.error = error
        return len(data)

    def close(self) -> None:
        """Called for files that FFmpeg has opened itself."""
        if self._file.closed:
            return
        try:
            self._file.close()
        except OSError as error:
            self._files.error = self._files.error or error
        self._files.closed(self._path)
