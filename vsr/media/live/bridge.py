"""For protocols that PyAV's build lacks: a process with the system's libavformat carries the bytes through a pipe."""

from __future__ import annotations

import contextlib
import ctypes.util
import fcntl
import subprocess
import threading
from collections import deque
from io import RawIOBase
from typing import Any

from vsr.core.errors import MissingDependencyError
from vsr.core.secrets import masked, redacted
from vsr.media.live.bridge_process import CONNECTED
from vsr.media.live.child import started

_WAIT_S = 2.0
_PIPE_BYTES = 16 << 10


def check_bridge(url: str) -> None:
    """Raise MissingDependencyError where there is no FFmpeg but PyAV's."""
    if ctypes.util.find_library("avformat") is None:
        raise MissingDependencyError(
            f"{redacted(url)}: needs the system's FFmpeg, 5.0 or later", hint="sudo apt-get install ffmpeg"
        )


class Bridge:
    """A process between an address and a pipe. `pipe`, `descriptor`: our end of it; `connected`: the other side was there."""

    def __init__(self, url: str, *, reads: bool) -> None:
        """reads: from the address into the pipe; else the other way."""
        self._process = started(
            "vsr.media.live.bridge_process",
            "reads" if reads else "writes",
            stdout=subprocess.PIPE if reads else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        stdin: Any = self._process.stdin
        stdin.write(url.encode() + b"\n")
        stdin.flush()
        if reads:
            stdin.close()
        pipe: Any = self._process.stdout if reads else stdin
        if not reads and hasattr(fcntl, "F_SETPIPE_SZ"):
            # What waits in the pipe is not seen by anybody.
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pipe = pipe
        self.pipe: RawIOBase = pipe.raw
        self.descriptor = pipe.fileno()
        self.connected = False
        self._url = url
        self._lines: deque[str] = deque(maxlen=5)
        self._listener = threading.Thread(target=self._listen, name="vsr-bridge", daemon=True)
        self._listener.start()

    @property
    def said(self) -> str:
        """The last thing it complained of."""
        if self._process.poll() is not None:
            self._listener.join(_WAIT_S)
        return self._lines[-1] if self._lines else ""

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError, OSError):
            for line in self._process.stderr:
                text = line.decode(errors="replace").strip().replace(self._url, redacted(self._url))
                if text == CONNECTED:
                    self.connected = True
                elif text:
                    self._lines.append(masked(text))

    def kill(self) -> None:
        """End it at once, and whatever waits for it. From any thread."""
        self._process.kill()

    def close(self, *, wait_s: float = 0.0) -> None:
        """End it, after `wait_s` for what is still in the pipe. From any thread; twice is fine."""
        with contextlib.suppress(OSError):
            self._pipe.close()
        if wait_s:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s)
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        self._listener.join(_WAIT_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
