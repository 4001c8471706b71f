"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

from vsr.core.errors import ConfigError
from vsr.files.checks import PART_SUFFIX, check_replaceable, os_error, part_path, place_of
from vsr.files.ordinary import is_alone, open_alone


def locked_part(part: Path, *, wait: bool = False) -> FileIO:
    """The part, open for this run alone, and empty. Raises OSError, and ConfigError where another run writes it.

    wait: until the other run is done.
    """
    try:
        file = open_alone(part, wait=wait)
    except BlockingIOError as error:
        raise _in_use(part) from error
    try:
        # Only now that it is locked: another run may have been writing it. A part left by a killed run is of no use.
        file.truncate()
    except BaseException:
        file.close()
        raise
    return file


def check_unwritten(path: Path) -> None:
    """Raise ConfigError where `OutputFile` would: something lies there that cannot be replaced, or another run writes it."""
    check_replaceable(path)
    part = part_path(path)
    with contextlib.suppress(OSError):
        if is_alone(part):
            raise _in_use(part)


def _in_use(part: Path) -> ConfigError:
    return ConfigError(f"another vsr is writing {part}", hint="wait until it is done, or choose another name")


def kept_part(part: Path) -> Path:
    """Rename a part that somebody is told to keep: to `NAME.1.part`, or the next number that is free. The next run of the same
    job empties `NAME.part`. Raises OSError."""
    for number in itertools.count(1):
        kept = part.with_name(f"{part.name.removesuffix(PART_SUFFIX)}.{number}{PART_SUFFIX}")
        try:
            os.close(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        os.replace(part, kept)
        sync_folder(part.parent)
        return kept
    raise AssertionError("numbers do not end")


class KeepsFirstError(ABC):
    """A file for FFmpeg to write into. `error` keeps the first error of the system, which FFmpeg reports late or never.

    Ctrl-C is kept there too, and not raised: FFmpeg would not pass it on. Whoever writes looks at `error`.
    """

    error: BaseException | None = None

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            while view:
                view = view[self._put(view) :]
        except OSError as error:
            self.error = self.error or error
            raise
        except BaseException as error:
            self.error = self.error or error
        return len(data)

    @abstractmethod
    def _put(self, data: memoryview) -> int:
        """Write and count some of the data; how many bytes that was."""


class OutputFile(KeepsFirstError):
    """A file that FFmpeg writes under its `.part` name. `bytes` is its length so far.

    A symbolic link of that name stays: its target is written.

    `name` is the URL that FFmpeg opens when it moves the index to the front. The file is locked until it ends.
    wait: wait for another run that writes the same file; without it, such a run raises ConfigError. Raises FileError, and
    ConfigError for the name of a device or a pipe.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self.path = path
        self.part = part_path(path)
        self.name = f"file:{self.part.absolute()}"
        self.bytes = 0
        check_replaceable(path)
        try:
            self._file = locked_part(self.part, wait=wait)
        except OSError as error:
            raise os_error(str(self.part), error) from error

    @property
    def closed(self) -> bool:
        return self._file.closed

    def seekable(self) -> bool:
        return True

    def _put(self, data: memoryview) -> int:
        written = self._file.write(data)
        self.bytes = max(self.bytes, self._file.tell())
        return written

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
            # Rename while the lock is held: once it is released, another run may take the part.
            os.replace(self.part, place_of(self.path))
            self._file.close()
            sync_folder(self.part.parent)
        except OSError as error:
            raise os_error(str(self.path), error) from error
        return self.path

    def keep(self) -> Path:
        """Close the file under the name of a part that no run writes to, and return its path."""
        try:
            os.fsync(self._file.fileno())
            kept = kept_part(self.part)
            self._file.close()
        except OSError as error:
            raise os_error(str(self.part), error) from error
        return kept

    def drop(self) -> None:
        """Close and delete it, unless it was closed before: then a part of that name is another run's."""
        if self.closed:
            return
        with contextlib.suppress(OSError):
            self.part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.close()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only once it is complete. Raises FileError, ConfigError.

    Two that write one file at a time do so one after the other: these are small, and shared caches among them.
    """
    file = OutputFile(path, wait=True)
    try:
        file.write(data)
        if file.error is not None:
            raise file.error
        file.commit()
    except OSError as error:
        raise os_error(str(path), error) from error
    finally:
        file.drop()


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
