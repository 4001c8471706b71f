"""Opens protocols that PyAV's build lacks: the system's ffmpeg carries the bytes through a pipe."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections import deque
from io import RawIOBase
from typing import Any

from vsr.core.child import BECOMES, started
from vsr.core.secrets import HIDDEN, masked, redacted
from vsr.media.live.bridge_command import parted, reading, writing

if sys.platform == "linux":
    import fcntl

_WAIT_S = 2.0
_PIPE_BYTES = 16 << 10
# A line of ffmpeg's progress reports, which begin once the other side is connected.
_PROGRESS = re.compile(r"\w+=.*")
# The part of FFmpeg that sends a message, at the beginning of its line.
_SPEAKER = re.compile(r"^\[[^\]]* @ 0x[0-9a-f]+\] ")


class Bridge:
    """An ffmpeg between an address and a pipe. `pipe`, `descriptor`: this process's end of the pipe; `connected`: whether
    the server it writes to was reached."""

    def __init__(self, url: str, *, reads: bool) -> None:
        """reads: from the address into the pipe; else the other way."""
        its, ours = os.pipe()
        with open(its, "rb"), open(ours, "wb") as preset:
            words, given = reading(url) if reads else writing(url, f"/dev/fd/{its}")
            if not reads:
                preset.write(os.fsencode(given))
            preset.close()
            self._process = started(
                BECOMES,
                *words,
                stdout=subprocess.PIPE if reads else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                passed=[its],
            )
        stdin: Any = self._process.stdin
        if reads:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg has ended; `said` has the reason
                stdin.write(os.fsencode(given))
                stdin.close()
        pipe: Any = self._process.stdout if reads else stdin
        if not reads and sys.platform == "linux":
            # A short pipe, because nobody sees the data that waits in it.
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
                text = line.decode(errors="replace").strip()
                if _PROGRESS.fullmatch(text):
                    self.connected = True
                elif text:
                    self._lines.append(self._without_secrets(_SPEAKER.sub("", text)))

    def _without_secrets(self, text: str) -> str:
        seen, options = parted(self._url)
        for address in (self._url, seen):
            text = text.removeprefix(f"{address}: ").replace(address, redacted(self._url))
        for secret in filter(None, options.values()):
            text = text.replace(secret, HIDDEN)
        return masked(text)

    def kill(self) -> None:
        """End it at once, and whatever waits for it. From any thread."""
        self._process.kill()

    def close(self, *, wait_s: float = 0.0) -> None:
        """End it, after `wait_s` for the rest of the pipe. From any thread; repeated calls are allowed."""
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
