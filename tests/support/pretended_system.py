"""Linux, pretending to be another system to vsr: `python -m tests.support.pretended_system win32|darwin WORDS`.

WORDS: commands of vsr, as JSON. Prints the exit code of each and what it said on standard error, as JSON.

What the other system lacks is taken away from what vsr finds; what Windows has instead is made of what is here. The standard
library and other packages were imported before that and go on as on Linux.
"""

from __future__ import annotations

import asyncio  # noqa: F401
import concurrent.futures  # noqa: F401
import contextlib
import ctypes
import fcntl
import io
import json
import multiprocessing.connection  # noqa: F401
import os
import platform
import shutil  # noqa: F401
import signal
import stat
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
from pathlib import Path
from types import ModuleType

import av  # noqa: F401
import click.testing  # noqa: F401
import numpy  # noqa: F401
import openvino  # noqa: F401
import PIL.Image  # noqa: F401
import rich.console  # noqa: F401

# Windows lacks these.
_MODULES = ("fcntl", "resource", "termios", "pwd", "grp", "pty", "tty", "syslog")
# Neither has these.
_OF_LINUX = "sched_getaffinity sched_setaffinity pidfd_open memfd_create copy_file_range posix_fadvise sendfile".split()
_OF_OS = """O_NOFOLLOW O_NONBLOCK O_DIRECTORY O_CLOEXEC fork forkpty killpg setsid getpgid getuid geteuid getgid uname sysconf
    set_blocking mkfifo wait4 openpty getloadavg nice fchmod chown pread""".split()
_SIGNALS = "SIGHUP SIGKILL SIGQUIT SIGPIPE SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGSTOP SIGCONT SIGTTIN".split()


def pretend(system: str) -> None:
    platform.uname()  # is asked once
    for name in _OF_LINUX:
        delattr(os, name)
    if system == "win32":
        _pretend_files()
        _pretend_wakeup()
        for module in _MODULES:
            sys.modules[module] = None  # type: ignore[assignment]
        signal.SIGBREAK = signal.SIGTTIN  # type: ignore[attr-defined]
        for owner, names in ((os, _OF_OS), (signal, _SIGNALS)):
            for name in names:
                delattr(owner, name)
    sys.platform = system
    _pretend_folders()


def _pretend_folders() -> None:
    """Where there is no ctypes, platformdirs goes by the environment, as it can do here."""
    sys.modules["ctypes"] = None  # type: ignore[assignment]
    import platformdirs

    platformdirs.user_data_path()
    sys.modules["ctypes"] = ctypes


def _pretend_wakeup() -> None:
    """Windows takes a pipe that makes the writer wait, too."""
    real, set_blocking = signal.set_wakeup_fd, os.set_blocking

    def set_wakeup_fd(descriptor: int, *, warn_on_full_buffer: bool = True) -> int:
        if descriptor >= 0:
            set_blocking(descriptor, False)
        return real(descriptor, warn_on_full_buffer=warn_on_full_buffer)

    signal.set_wakeup_fd = set_wakeup_fd  # type: ignore[assignment]


def _pretend_files() -> None:
    """`_winapi` and `msvcrt` as far as vsr wants them: files are opened, and shared with others or not."""
    winapi, msvcrt = ModuleType("_winapi"), ModuleType("msvcrt")
    no_follow, control, lock = os.O_NOFOLLOW, fcntl.fcntl, fcntl.flock

    def create_file(
        name: str, access: int, share: int, _security: int, how: int, _flags: int, _template: int
    ) -> int:
        writes = access & winapi.GENERIC_WRITE
        flags = (os.O_RDWR if writes else os.O_RDONLY) | (os.O_CREAT if how == 4 else 0) | no_follow
        if Path(name).exists() and not stat.S_ISREG(Path(name).stat().st_mode):
            raise PermissionError(13, "Access is denied", name)
        try:
            handle = os.open(name, flags, 0o666)
        except OSError as error:
            error.winerror = None  # type: ignore[attr-defined]
            raise
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, handle)
            alone = not share & 2
            if alone or writes:
                try:
                    lock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                except BlockingIOError:
                    error = PermissionError(13, "The process cannot access the file", name)
                    error.winerror = 32  # type: ignore[attr-defined]
                    raise error from None
            stack.pop_all()
        return handle

    def open_osfhandle(handle: int, flags: int) -> int:
        if flags:
            control(handle, fcntl.F_SETFL, flags)
        return handle

    winapi.GENERIC_READ, winapi.GENERIC_WRITE, winapi.OPEN_EXISTING = 1 << 31, 1 << 30, 3
    winapi.CreateFile, msvcrt.open_osfhandle = create_file, open_osfhandle
    sys.modules.update({"_winapi": winapi, "msvcrt": msvcrt})


def main() -> None:
    pretend(sys.argv[1])
    from vsr.cli import main as vsr

    results = []
    for words in json.loads(sys.argv[2]):
        with (
            contextlib.redirect_stderr(io.StringIO()) as said,
            contextlib.redirect_stdout(io.StringIO()) as out,
        ):
            code = vsr(words)
        results.append([code, said.getvalue(), out.getvalue()])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
