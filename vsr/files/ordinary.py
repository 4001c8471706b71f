"""Ordinary files, opened alike on every system, and for one run alone where that is asked for.

No link is followed, and an open file can be renamed and deleted. A file that one run has open alone stays so until it is
closed, also under another name, whatever ends the run; nothing is left beside it. Linux and macOS do that by flock, which goes
by the open file. Windows lets nobody else open the file for writing; its locks would keep readers out, too, FFmpeg among them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Generator
from io import FileIO
from pathlib import Path

if sys.platform == "win32":
    import _winapi
    import msvcrt

    # Constants from winnt.h, fileapi.h and winerror.h.
    _SHARE_READ, _SHARE_WRITE, _SHARE_DELETE = 1, 2, 4
    _OPEN_ALWAYS = 4
    _SHARING_VIOLATION = 32
    _LOOK_S = 0.05
else:
    import fcntl

    _NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS})


def open_ordinary(path: Path, flags: int) -> int:
    """The descriptor of an ordinary file, to be opened with flags of `os.open`. Raises OSError, also for a link, a device or a
    named pipe, which may lead elsewhere or keep whoever opens it waiting."""
    descriptor = _opened(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_ordinary(path: Path) -> bytes:
    """The bytes of an ordinary file. Raises OSError as `open_ordinary` does."""
    with open(open_ordinary(path, os.O_RDONLY), "rb") as file:
        return file.read()


def open_alone(path: Path, *, wait: bool = False) -> FileIO:
    """An ordinary file, made unless it is there, open for reading and writing by this run alone.

    wait: until another run has closed it. Raises OSError: BlockingIOError where another run has it open and is not waited for.
    Some network disks know no locks: there two runs are not told apart.
    """
    # Unbuffered: FFmpeg buffers already, and reads the file back through a descriptor of its own.
    return open(path, "r+b", buffering=0, opener=lambda *_: _alone(path, os.O_RDWR | os.O_CREAT, wait=wait))


def is_alone(path: Path) -> bool:
    """Whether a run holds the lock of a file. Raises OSError, also if the file does not exist."""
    try:
        os.close(_alone(path, os.O_RDONLY, wait=False))
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def folder_alone(folder: Path) -> Generator[None]:
    """While inside, another run that wants the folder so gets BlockingIOError. Raises OSError.

    It is the folder itself: a file for it would stay behind. Windows and some network disks lock no folders: there two runs are
    not told apart.
    """
    if sys.platform == "win32":
        yield
    else:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError:
                pass
            yield
        finally:
            os.close(descriptor)


if sys.platform == "win32":

    def _opened(path: Path, flags: int, share: int = _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE) -> int:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        handle = _winapi.CreateFile(
            str(path),
            _winapi.GENERIC_READ | (_winapi.GENERIC_WRITE if writes else 0),
            share,
            0,
            _OPEN_ALWAYS if flags & os.O_CREAT else _winapi.OPEN_EXISTING,
            0,
            0,
        )
        return msvcrt.open_osfhandle(handle, flags & os.O_APPEND)

    def _alone(path: Path, flags: int, *, wait: bool) -> int:
        while True:
            try:
                return _opened(path, flags, _SHARE_READ | _SHARE_DELETE)
            except OSError as error:
                if error.winerror != _SHARING_VIOLATION:
                    raise
                if not wait:
                    raise BlockingIOError(errno.EAGAIN, "in use", str(path)) from error
            time.sleep(_LOOK_S)

else:

    def _opened(path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    def _alone(path: Path, flags: int, *, wait: bool) -> int:
        # A reader needs only a shared lock, which NFS grants for a file that is open for reading.
        how = fcntl.LOCK_EX if flags & os.O_RDWR else fcntl.LOCK_SH
        while True:
            descriptor = open_ordinary(path, flags)
            try:
                _lock(descriptor, how if wait else how | fcntl.LOCK_NB)
                # False if another run has renamed or deleted the file before it was locked here.
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _lock(descriptor: int, how: int) -> None:
        try:
            fcntl.flock(descriptor, how)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
