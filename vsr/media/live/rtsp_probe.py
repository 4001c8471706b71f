"""Whether an RTSP server answers, asked before FFmpeg is: PyAV stops every thread of the program while it connects a sink."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

_PORTS = {"rtsp": 554, "rtsps": 322}
_QUESTION = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def check_rtsp_answers(url: str, timeout_s: float) -> None:
    """Raise OSError where nobody is there, or says anything in time."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), timeout_s) as plain:
        server = _encrypted(plain) if parts.scheme == "rtsps" else plain
        with server:
            server.sendall(_QUESTION)
            if not server.recv(1):
                raise ConnectionResetError("the server hung up")


def _encrypted(plain: socket.socket) -> ssl.SSLSocket:
    # Whose certificate it is does not matter here, nor to FFmpeg unless it is told to look.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)
