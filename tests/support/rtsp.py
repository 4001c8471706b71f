"""GStreamer's RTSP server as the tests use it: started, killed, stopped in its tracks."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PYTHON = Path("/usr/bin/python3")
_SCRIPT = Path(__file__).with_name("rtsp_server.py")


@functools.cache
def _missing() -> str:
    """Why the server cannot run here; empty where it can."""
    if not _PYTHON.exists():
        return f"no {_PYTHON}"
    check = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; Gst.init(None); "
        "wanted = 'x264enc x265enc h264parse rtph264pay rtph265pay rtppcmapay matroskamux videotestsrc'.split(); "
        "lacking = [name for name in wanted if Gst.ElementFactory.find(name) is None]; assert not lacking, lacking"
    )
    done = subprocess.run(
        [str(_PYTHON), "-c", check], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


needs_rtsp_server = pytest.mark.skipif(
    bool(_missing()),
    reason="needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi and gstreamer1.0-plugins-{base,good,bad,ugly}",
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class RtspServer:
    """One server on one port, running or not. `arguments` as rtsp_server.py takes them."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        self.arguments = list(arguments)
        self._process: subprocess.Popen[str] | None = None

    def url(self, path: str = "live", login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [str(_PYTHON), str(_SCRIPT), str(self.port), *self.arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        """It stays connected and says nothing more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def rtsp_server(*arguments: str) -> Generator[RtspServer]:
    server = RtspServer(*arguments)
    server.start()
    try:
        yield server
    finally:
        server.kill()
