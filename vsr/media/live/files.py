"""Files as FFmpeg writes them while others read them: locked, and the first error is kept."""

from __future__ import annotations

import contextlib
import stat
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any

from vsr.files.checks import part_path, stat_of
from vsr.files.whole import locked_part
from vsr.media.write.targets import OutputNull

_AVIO_FLAG_WRITE = 2


class LiveFiles:
    """What one output writes: a recording, or a playlist and its segments. They are locked until `close`.

    bytes: written so far. error: the first that the system gave; nothing is written from then on. FFmpeg would tell of it late
    or never, and go on to a playlist of segments that are not there.
    """

    def __init__(self, path: Path, *, is_playlist: bool) -> None:
        """Raises OSError, and ConfigError where another run writes it."""
        self.bytes = 0
        self.error: OSError | None = None
        # FFmpeg puts one playlist after another in its place, and none of them would stay locked.
        self._path = part_path(path) if is_playlist else path
        self._locked = _opened(self._path)

    def recording(self) -> _LiveFile:
        """The recording, for FFmpeg."""
        return _LiveFile(self, self._path, self._locked)

    def open(self, url: str, flags: int, _options: dict[str, str]) -> Any:
        """A segment or playlist, for FFmpeg: `io_open` of `av.open`. Raises OSError for a playlist it cannot read."""
        path = Path(url)
        if not flags & _AVIO_FLAG_WRITE:
            return BytesIO(path.read_bytes() if path.exists() else b"")
        if self.error is None:
            try:
                return _LiveFile(self, path, FileIO(path, "w"))
            except OSError as error:
                self.error = error
        return OutputNull()

    def close(self, *, remove: bool) -> None:
        """Let go of what is locked, and remove it if asked to, unless it is a device or a pipe. Twice is fine."""
        if self._locked.closed:
            return
        with contextlib.suppress(OSError):
            if remove and stat.S_ISREG(self._path.stat().st_mode):
                self._path.unlink()
        with contextlib.suppress(OSError):
            self._locked.close()


class _LiveFile:
    """One of them. Nothing is raised into FFmpeg."""

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
        """Of segments and playlists: one that is not whole is removed, before a playlist names it or it becomes one."""
        try:
            self._file.close()
        except OSError as error:
            self._files.error = self._files.error or error
        if self._files.error is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()


def _opened(path: Path) -> FileIO:
    found = stat_of(path)
    if found is not None and not stat.S_ISREG(found.st_mode):
        return FileIO(path, "w")  # a device or a pipe, of which there is nothing to lock
    return locked_part(path)
