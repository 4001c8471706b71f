"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from vsr.core.errors import ConfigError, EncodeError

PART_SUFFIX = ".part"


def part_path(path: Path) -> Path:
    """Where a file lies while it is being written: beside its final name, so that renaming is atomic."""
    return path.with_name(path.name + PART_SUFFIX)


def check_writable(path: Path, *, overwrite: bool, made_folder: bool = False) -> None:
    """Raise ConfigError unless a file can be made there; nothing is created.

    made_folder: the folder will be made when it is missing.
    """
    folder = path.parent
    if path.is_dir():
        raise ConfigError(f"output {str(path)!r} is a folder", hint="give the name of a file in it")
    if path.exists() and not overwrite:
        raise ConfigError(f"output {str(path)!r} exists", hint="choose another name, or --overwrite")
    if not folder.is_dir():
        if made_folder and folder.parent.is_dir():
            return
        raise ConfigError(f"folder {str(folder)!r} of the output does not exist", hint="create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"no permission to write in folder {str(folder)!r}", hint="choose another output folder"
        )


def make_folder(folder: Path) -> None:
    """Make it unless it is there. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {folder}: {error.strerror}", hint="name another"
        ) from error


def os_error(what: str, error: OSError) -> EncodeError:
    """The user's words for what the operating system refused."""
    hints = {
        errno.ENOSPC: "free some space on that disk or choose another one",
        errno.EDQUOT: "free some of your quota or choose another disk",
        errno.EPIPE: "the program reading the pipe has gone",
        errno.EACCES: "check the permissions",
        errno.EROFS: "the disk is read-only; choose another one",
        errno.EFBIG: "the file system cannot hold a file that large",
        errno.ENAMETOOLONG: "choose a shorter name",
    }
    reason = error.strerror or str(error)
    return EncodeError(f"cannot write {what}: {reason}", hint=hints.get(error.errno or 0))


class OutputFile:
    """What FFmpeg writes into: a file under its `.part` name, or a pipe.

    It keeps the first error the system gave, since FFmpeg's buffers would tell of it late or never, and counts bytes.
    `name` is what FFmpeg opens when it moves the index to the front.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = part_path(path)
        self.name = f"file:{self.part.absolute()}"
        self.bytes = 0
        self.error: OSError | None = None
        try:
            # A part left by a killed run is of no use to anyone.
            # Unbuffered: FFmpeg buffers already, and reads the file back through a descriptor of its own.
            self._file = open(self.part, "w+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise os_error(str(self.part), error) from error

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.error = self.error or error
            raise
        self.bytes = max(self.bytes, self._file.tell())
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def amend(self, change: Callable[[BinaryIO], None]) -> None:
        """Let `change` rewrite parts of the file."""
        try:
            change(cast(BinaryIO, self._file))
        except OSError as error:
            raise os_error(str(self.part), error) from error

    def commit(self) -> Path:
        """Make sure of every byte on the disk, then give the file its name."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.part, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise os_error(str(self.path), error) from error
        return self.path

    def keep(self) -> Path:
        """Close it under its `.part` name."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise os_error(str(self.part), error) from error
        return self.part

    def drop(self) -> None:
        """Close and delete it."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self.part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only once it is complete. Raises EncodeError."""
    file = OutputFile(path)
    try:
        file.write(data)
        file.commit()
    except OSError as error:
        raise os_error(str(path), error) from error
    finally:
        file.drop()


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


def sync_folder(folder: Path) -> None:
    """Make a renaming in that folder last through a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
