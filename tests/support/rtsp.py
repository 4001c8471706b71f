"""GStreamer's RTSP server as the tests use it: an ordinary camera, and a place to publish to."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

from tests.support.children import Child, free_port

_PYTHON = Path("/usr/bin/python3")
_SCRIPT = Path(__file__).with_name("rtsp_server.py")
_ELEMENTS = (
    "x264enc x265enc jpegenc h264parse rtph264pay rtph265pay rtpjpegpay rtppcmapay rtppcmupay rtpmp4gpay voaacenc aacparse "
    "matroskamux avdec_h264 appsrc"
)


@functools.cache
def _missing() -> str:
    """Why the server cannot run here; empty where it can."""
    if not _PYTHON.exists():
        return f"no {_PYTHON}"
    check = (
        "import gi, numpy; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
        "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
        f"lacking = [name for name in '{_ELEMENTS}'.split() if Gst.ElementFactory.find(name) is None]; "
        "assert not lacking, lacking"
    )
    done = subprocess.run(
        [str(_PYTHON), "-c", check], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


needs_rtsp_server = pytest.mark.skipif(
    bool(_missing()),
    reason="needs Debian's gir1.2-gst-rtsp-server-1.0, python3-gi, python3-numpy, gstreamer1.0-libav "
    f"and gstreamer1.0-plugins-{{base,good,bad,ugly}}: {_missing()}",
)


class RtspServer(Child):
    """`arguments` as rtsp_server.py takes them; `tell` it what the camera is to do."""

    def __init__(self, *arguments: str) -> None:
        port = free_port()
        super().__init__([str(_PYTHON), str(_SCRIPT), str(port), *arguments], port)

    def url(self, path: str = "live", login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"


def rtsp_server(*arguments: str) -> RtspServer:
    """A context manager."""
    return RtspServer(*arguments)
