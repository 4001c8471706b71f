"""The folder of a job, `OUTPUT.vsr`: its journal, its finished segments, and who works on it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import re
import stat
import zlib
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from vsr.core.errors import ConfigError
from vsr.files.checks import os_error, place_of
from vsr.files.ordinary import is_alone, open_alone, open_ordinary, read_ordinary
from vsr.files.whole import sync_folder

SUFFIX = ".vsr"
JOURNAL = "journal"
RUNNING = "running"
_JOINED = "joined"
_SEGMENT = re.compile(r"\d{6,}\.segment")
_LEFTOVER = re.compile(r"\d{6,}\.\d+\.\d+(\.part)?|joined\..*")
_READ_BYTES = 1 << 20


class Sealed(NamedTuple):
    """The content of a segment's file."""

    bytes: int
    crc32: int


def job_folder(output: Path) -> Path:
    """Beside the place of the output, so that renaming is atomic."""
    place = place_of(output)
    return place.with_name(place.name + SUFFIX)


def segment_name(number: int) -> str:
    """The name of a finished segment's file."""
    return f"{number:06d}.segment"


class JobFolder:
    """A job's folder that this process alone works in; a context manager that lets go of it.

    path: the folder. Segments are made under another name and get theirs by `seal`.
    """

    def __init__(self, path: Path) -> None:
        """Make it unless it is there, and lock it. Raises FileError, and ConfigError that names who works in it."""
        self.path = path
        self.journal = path / JOURNAL
        try:
            self._running = _locked(path)
        except OSError as error:
            raise os_error(str(path), error) from error

    def attempt(self, number: int, attempt: int) -> Path:
        """The path at which a segment is made. Two runners may make the same segment at once, each in its own file; so may a
        worker that outlives a killed run for a moment."""
        return self.path / f"{number:06d}.{os.getpid()}.{attempt}"

    def segment(self, number: int) -> Path:
        """The path of a finished segment."""
        return self.path / segment_name(number)

    def joined(self, output: Path) -> Path:
        """The path where the output is written, with its ending, which names the container."""
        return self.path / f"{_JOINED}{output.suffix or '.'}"

    def seal(self, number: int, made: Path) -> Sealed:
        """Give a segment that is made its name, once the disk has every byte. Raises FileError."""
        path = self.segment(number)
        try:
            with open(open_ordinary(made, os.O_RDWR), "r+b") as file:
                sealed = _sealed(file)
                os.fsync(file.fileno())
            os.replace(made, path)
        except OSError as error:
            raise os_error(str(path), error) from error
        sync_folder(self.path)
        return sealed

    def holds(self, number: int, sealed: Sealed) -> bool:
        """Whether a finished segment's file exists and is unchanged. Reads the file, unless its length differs."""
        try:
            with open(open_ordinary(self.segment(number), os.O_RDONLY), "rb") as file:
                return os.fstat(file.fileno()).st_size == sealed.bytes and _sealed(file) == sealed
        except OSError:
            return False

    def clear(self, keep: Collection[int] = ()) -> None:
        """Remove the remains of a killed run, and segments that are not needed. Raises FileError."""
        kept = {segment_name(number) for number in keep}
        try:
            for entry in list(self.path.iterdir()):
                is_segment = _SEGMENT.fullmatch(entry.name) and entry.name not in kept
                if is_segment or _LEFTOVER.fullmatch(entry.name):
                    entry.unlink(missing_ok=True)
        except OSError as error:
            raise os_error(str(self.path), error) from error

    def remove(self) -> None:
        """Remove all files of the job, the journal last, and the folder unless it contains other files. Raises FileError."""
        self.clear()
        try:
            for name in (RUNNING, JOURNAL):
                (self.path / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another program's file, or another run has just begun
                self.path.rmdir()
        except OSError as error:
            raise os_error(str(self.path), error) from error
        sync_folder(self.path.parent)

    def __enter__(self) -> JobFolder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._running.close()


def _sealed(file: IO[bytes]) -> Sealed:
    length = checksum = 0
    while data := file.read(_READ_BYTES):
        length += len(data)
        checksum = zlib.crc32(data, checksum)
    return Sealed(length, checksum)


def _locked(path: Path) -> IO[bytes]:
    """The file that says who works there, open for us alone. Raises OSError, ConfigError."""
    while True:
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            sync_folder(path.parent)
        # If the file is not found, its job has just ended and removed the folder.
        with contextlib.suppress(FileNotFoundError):
            _check_folder(path)
            try:
                file = open_alone(path / RUNNING)
            except BlockingIOError as error:
                raise _in_use(path, _signed(read_ordinary(path / RUNNING))) from error
            try:
                _sign(file)
            except BaseException:
                file.close()
                raise
            return file


def _in_use(path: Path, by: str) -> ConfigError:
    return ConfigError(
        f"another vsr works on {path.with_suffix('')}: {by}",
        hint="wait until it is done, stop it with Ctrl-C, or choose another output",
    )


def _check_folder(path: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise ConfigError(f"{path} is not a folder", hint="rename it, or choose another output")


def check_usable(path: Path) -> None:
    """Raise what `JobFolder` would raise for a folder that is there. Looks, and changes nothing."""
    try:
        _check_folder(path)
        if by := worked_on(path):
            raise _in_use(path, by)
        with contextlib.suppress(FileNotFoundError):
            os.close(open_ordinary(path / RUNNING, os.O_RDWR))
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileNotFoundError:
        return
    except OSError as error:
        raise os_error(str(path), error) from error


def _sign(file: IO[bytes]) -> None:
    since = datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    signed = {"pid": os.getpid(), "host": platform.node(), "since": since}
    file.truncate(0)
    file.seek(0)
    file.write(json.dumps(signed).encode() + b"\n")


def _signed(data: bytes) -> str:
    """Who it is, in words."""
    try:
        signed: dict[str, Any] = json.loads(data)
        return f"process {signed['pid']} on {signed['host']}, since {signed['since']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has only just begun"


def worked_on(path: Path) -> str:
    """The run that works on the job of a folder, in words; "" for none. Changes nothing."""
    with contextlib.suppress(OSError):
        if is_alone(path / RUNNING):
            return _signed(read_ordinary(path / RUNNING))
    return ""
