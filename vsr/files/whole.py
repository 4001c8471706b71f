"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from vsr.core.errors import ConfigError, EncodeError

PART_SUFFIX = ".part"

_HINTS = {
    errno.ENOSPC: "free some space on that disk or choose another one",
    errno.EDQUOT: "free some of your quota or choose another disk",
    errno.EPIPE: "the program reading the pipe has gone",
    errno.EACCES: "check the permissions",
    errno.EROFS: "the disk is read-only; choose another one",
    errno.EFBIG: "the file system cannot hold a file that large",
    errno.ELOOP: "it or its .part is a symbolic link that is not followed; delete that",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def part_path(path: Path) -> Path:
    """Where a file lies while it is being written: beside its final name, so that renaming is atomic."""
    return path.with_name(path.name + PART_SUFFIX)


def stat_of(path: Path) -> os.stat_result | None:
    """What lies there, None for nothing. Raises ConfigError where the system cannot tell, as of a name that is too long."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{str(path)!r}: {reason}", hint=_HINTS.get(error.errno or 0)) from error


def is_folder(path: Path) -> bool:
    """Whether a folder lies there. Raises ConfigError as `stat_of` does."""
    found = stat_of(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_special(path: Path) -> bool:
    """Whether a device or a named pipe lies there, which may give bytes without end. Raises ConfigError as `stat_of` does."""
    found = stat_of(path)
    return found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))


def check_replaceable(path: Path) -> None:
    """Raise ConfigError for a device or a named pipe: renaming onto its name would put a file in its place."""
    if is_special(path):
        raise ConfigError(
            f"output {str(path)!r} is no ordinary file, and would be replaced by one",
            hint="name a file; of videos - writes to standard output and null: nowhere",
        )


def check_writable(path: Path, *, overwrite: bool, made_folder: bool = False) -> None:
    """Raise ConfigError unless a file can be made there; nothing is created.

    made_folder: the folder will be made when it is missing.
    """
    folder = path.parent
    if is_folder(path):
        raise ConfigError(f"output {str(path)!r} is a folder", hint="give the name of a file in it")
    if stat_of(path) is not None and not overwrite:
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
    reason = error.strerror or str(error)
    return EncodeError(f"cannot write {what}: {reason}", hint=_HINTS.get(error.errno or 0))


def locked_part(part: Path, *, wait: bool = False) -> FileIO:
    """The part, open for this run alone, and empty. Raises OSError, and ConfigError where another run writes it.

    wait: until the other run is done.
    """
    while True:
        # Not truncated before it is locked: another run may be writing it.
        # Unbuffered: FFmpeg buffers already, and reads the file back through a descriptor of its own.
        file = open(part, "r+b", buffering=0, opener=_created)  # noqa: SIM115
        try:
            lock(file, part, wait=wait)
            if _is_at(file, part):
                # A part left by a killed run is of no use to anyone.
                file.truncate()
                return file
        except BaseException:
            file.close()
            raise
        # Another run renamed or deleted it before it was locked here.
        file.close()


def _created(name: str, flags: int) -> int:
    # Through a link another file would be emptied.
    return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def lock(file: IO[Any] | int, path: Path, *, wait: bool, doing: str = "writing") -> None:
    """Lock an open file or folder until it is closed. Raises OSError, and ConfigError, which says what another run is `doing`
    with it, where one has locked it and is not waited for."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise ConfigError(
            f"another vsr is {doing} {path}", hint="wait until it is done, or choose another name"
        ) from error
    except OSError as error:
        # Some network disks know no locks: there two runs are not told apart.
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class OutputFile:
    """What FFmpeg writes into: a file under its `.part` name, or a pipe.

    It keeps the first error the system gave, since FFmpeg's buffers would tell of it late or never, and counts bytes.
    `name` is what FFmpeg opens when it moves the index to the front. It is locked until it ends.
    wait: until another run that writes the same file is done. Raises EncodeError, and ConfigError for such a run where it is
    not waited for, and for the name of a device or a pipe.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self.part = part_path(path)
        self.name = f"file:{self.part.absolute()}"
        self.bytes = 0
        self.error: OSError | None = None
        check_replaceable(path)
        try:
            self._file = locked_part(self.part, wait=wait)
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
            # Renamed while it is locked: another run may take the part the moment it is not.
            os.replace(self.part, self.path)
            self._file.close()
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
        """Close and delete it, unless it was closed before: then a part of that name is another run's."""
        if self.closed:
            return
        with contextlib.suppress(OSError):
            self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.close()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only once it is complete. Raises EncodeError, ConfigError.

    Two that write one file at a time do so one after the other: these are small, and shared caches among them.
    """
    file = OutputFile(path, wait=True)
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
