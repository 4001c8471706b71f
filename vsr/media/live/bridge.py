"""The system's ffmpeg, for protocols that PyAV's build lacks: it carries the bytes, untouched, through a pipe."""

from __future__ import annotations

import contextlib
import fcntl
import re
import subprocess
import threading
from collections import deque
from io import RawIOBase
from typing import Any

from vsr.core.errors import MissingDependencyError
from vsr.media.address import redacted

_WAIT_S = 2.0
# What it reports of its progress, which begins once the other side is there.
_PROGRESS = re.compile(r"\w+=.*")
_PROGRESS_S = 0.5
# Seven packets of MPEG-TS, what a datagram holds.
_PACKET_BYTES = 7 * 188
_PIPE_BYTES = 16 << 10


class Bridge:
    """An ffmpeg that copies between an address and a pipe. `pipe`, `descriptor`: our end of it; `connected`: the other side
    was there."""

    def __init__(self, url: str, *, reads: bool) -> None:
        """reads: from the address into the pipe; else the other way. Raises MissingDependencyError."""
        try:
            import ffmpeg
        except ImportError:
            raise MissingDependencyError(
                f"{redacted(url)}: needs ffmpeg-python", hint='pip install "vsr[live]"'
            ) from None
        # As data, it neither waits for pictures nor looks at them.
        there, here = (url, "pipe:1") if reads else ("pipe:0", url)
        graph = (
            ffmpeg.input(there, format="data", raw_packet_size=_PACKET_BYTES)
            .output(here, format="data", codec="copy", map=0, flush_packets=1)
            .global_args("-nostdin", "-hide_banner", "-loglevel", "error")
            .global_args("-progress", "pipe:2", "-stats_period", str(_PROGRESS_S))
        )
        try:
            self._process: subprocess.Popen[bytes] = graph.run_async(
                pipe_stdin=not reads, pipe_stdout=reads, pipe_stderr=True
            )
        except OSError as error:
            raise MissingDependencyError(
                f"{redacted(url)}: needs the system's ffmpeg", hint="sudo apt-get install ffmpeg"
            ) from error
        pipe: Any = self._process.stdout if reads else self._process.stdin
        if not reads and hasattr(fcntl, "F_SETPIPE_SZ"):
            # What waits in the pipe is not seen by anybody.
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pipe = pipe
        self.pipe: RawIOBase = pipe.raw
        self.descriptor = pipe.fileno()
        self.connected = False
        self._secret = url
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
                text = line.decode(errors="replace").strip().removeprefix(f"{self._secret}: ")
                text = text.replace(self._secret, redacted(self._secret))
                if _PROGRESS.fullmatch(text):
                    self.connected = True
                elif text:
                    self._lines.append(text)

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
