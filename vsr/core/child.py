"""Child processes of vsr that end with it, however it ends. They get secrets through a pipe: everybody may read a command
line.

child.py WORD...: becomes that command.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

BECOMES = "vsr.core.child"
"""The module whose process becomes the command that its words are."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def started(
    module: str, *words: str, stdout: int, stderr: int | None, passed: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """The process of a module that calls `end_with_parent`. It finds what this process finds; Ctrl-C is not for it.
    stderr: None for ours. passed: descriptors that it has, too, under the same numbers; on Windows, handles."""
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # noqa: PTH109
    apart: dict[str, Any]
    if sys.platform == "win32":
        for handle in passed:
            os.set_handle_inheritable(handle, True)
        given = subprocess.STARTUPINFO(lpAttributeList={"handle_list": list(passed)})
        apart = {"startupinfo": given, "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    else:
        apart = {"pass_fds": passed, "start_new_session": True}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": path},
        **apart,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that `started` made at once, with all that it has started; Windows leaves those to their pipes. From any
    thread; twice is fine."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def end_at_once() -> None:
    """End this process, which `started` made, in the same way."""
    if sys.platform == "win32":
        os._exit(1)
    else:
        os.killpg(0, signal.SIGKILL)


def end_with_parent() -> None:
    """FFmpeg may be waiting for the other side for good."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
