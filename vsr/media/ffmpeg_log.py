"""FFmpeg's log, read in a process of its own.

FFmpeg has one log for the whole process. PyAV hands it to Python by taking the interpreter's lock on whichever of FFmpeg's
threads has something to say, and holds that lock while it waits for such threads to end: together they hang for good. So the
log of this process is never listened to.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable

import av.logging

_TIMEOUT_S = 30.0
# The sender of a message: "[libx264 @ 0x55d0c8c3ea80] "
_SPEAKER = re.compile(r"^(\[[^\]]* @ \w+\] )+")


def said_during(function: Callable[..., object], *arguments: object) -> list[str]:
    """The lines FFmpeg logs, from warnings up, while another process calls `function(*arguments)`; it may raise there.

    function: of a module, as pickle wants it. Empty where no such process can run. It takes a good half second, so it is
    for what has failed here, and for what FFmpeg tells in no other way.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-m", __name__],
            input=pickle.dumps((function, arguments)),
            capture_output=True,
            env=environment,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    lines = (_SPEAKER.sub("", line).strip() for line in done.stderr.decode(errors="replace").splitlines())
    return [line for line in lines if line and "[info]" not in line]


def _call() -> None:
    """Do what `said_during` asks, with FFmpeg's log on standard error, where FFmpeg itself writes it."""
    function, arguments = pickle.load(sys.stdin.buffer)
    av.logging.set_libav_level(av.logging.WARNING)
    av.logging.restore_default_callback()
    with contextlib.suppress(Exception):
        function(*arguments)


if __name__ == "__main__":
    _call()
