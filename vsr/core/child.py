"""Processes of ours that end with us, however we end. What is secret goes to them through a pipe: everybody may read a command
line.

child.py WORD...: becomes that command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

BECOMES = "vsr.core.child"
"""The module whose process becomes the command that its words are."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def started(
    module: str, *words: str, stdout: int, stderr: int | None, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """The process of a module that calls `end_with_parent`. It finds what this process finds; Ctrl-C is not for it.
    stderr: None for ours. pass_fds: files it inherits."""
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # noqa: PTH109
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        pass_fds=pass_fds,
    )


def end_with_parent() -> None:
    """FFmpeg may be waiting for the other side for good."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
