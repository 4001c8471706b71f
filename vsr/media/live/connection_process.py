"""The process that publishes to one server. `Connection` starts it and talks to it: a line of JSON, then as many bytes as it
says. It answers each by a line of JSON, and says once that it is there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from vsr.core.child import end_with_parent
from vsr.core.errors import OutputLostError
from vsr.media.live.connection import PARAMETERS_FORMAT
from vsr.media.live.refusals import refused_output

if sys.platform == "linux":
    import fcntl

_SIOCOUTQNSD = 0x894B  # linux/sockios.h: bytes of a socket that have not been sent yet
_LEAST_WAIT_S, _MOST_WAIT_S = 0.0005, 0.01
# FFmpeg's log says more than errors with these numbers.
_VAGUE = frozenset({errno.EIO, errno.EPERM, errno.EINVAL})


def main() -> None:
    """Answer until the pipe is closed."""
    end_with_parent()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    said = _Said()
    server: _Server | None = None
    url = ""
    _write(answers, {})
    while line := requests.readline():
        message = json.loads(line)
        data = requests.read(message["size"])
        answer: dict[str, Any] = {}
        try:
            if message["do"] == "open":
                url = message["url"]
                server = _Server(message, data)
            elif server is not None and message["do"] == "write":
                server.write(message, data)
            elif server is not None:
                server.close()
        except (av.FFmpegError, ValueError, OSError) as error:
            refused = refused_output(url, error)
            text = said.last()
            if text and isinstance(refused, OutputLostError) and getattr(error, "errno", None) in _VAGUE:
                refused = refused_output(url, OSError(0, text))
            answer = {"error": type(refused).__name__, "message": refused.message, "hint": refused.hint}
        except Exception as error:
            answer = {"bug": f"{type(error).__name__}: {error}"}
        _write(answers, answer)


def _write(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


class _Server:
    """The connection, by FFmpeg."""

    def __init__(self, message: dict[str, Any], parameters: bytes) -> None:
        self._container: OutputContainer = av.open(
            message["url"], "w", format=message["format"], options=message["options"]
        )
        self._streams = list(_added(self._container, parameters, message["extradata"]))
        self._container.start_encoding()
        self._sockets = list(_tcp_sockets())
        for one in self._sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._linger(False)

    def write(self, message: dict[str, Any], data: bytes) -> None:
        packet: Packet[Any] = Packet(data)
        packet.is_keyframe = message["keyframe"]
        packet.time_base = Fraction(*message["time_base"])
        packet.pts, packet.dts, packet.duration = message["times"]
        packet.stream = self._streams[message["stream"]]
        self._container.mux_one(packet)
        wait_s = _LEAST_WAIT_S
        # Data that waits in the sockets may become too old to send. It should wait in the queue, which can drop it.
        while any(map(_unsent, self._sockets)):
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _MOST_WAIT_S)

    def close(self) -> None:
        self._linger(True)
        self._container.close()

    def _linger(self, lingers: bool) -> None:
        """Whether the system still sends what waits once the connection is closed, or this process killed."""
        for one in self._sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", not lingers, 0))


def _added(container: OutputContainer, parameters: bytes, extradata: list[str]) -> Iterator[Stream]:
    with av.open(BytesIO(parameters), format=PARAMETERS_FORMAT) as header:
        for template, data in zip(header.streams, extradata, strict=True):
            stream = container.add_stream_from_template(template, opaque=True)
            stream.codec_context.extradata = bytes.fromhex(data) or None
            stream.codec_context.codec_tag = "\0\0\0\0"
            yield stream


def _tcp_sockets() -> Iterator[socket.socket]:
    """Duplicates of the TCP sockets that FFmpeg has opened, if the system lists them, as Linux does."""
    with contextlib.suppress(OSError):
        for descriptor in sorted(map(int, os.listdir("/proc/self/fd"))):  # noqa: PTH208 - one of them lists them
            with contextlib.suppress(OSError):
                if Path(f"/proc/self/fd/{descriptor}").readlink().name.startswith("socket:"):
                    found = socket.socket(fileno=os.dup(descriptor))
                    if found.type == socket.SOCK_STREAM and found.family in (socket.AF_INET, socket.AF_INET6):
                        yield found


if sys.platform == "linux":

    def _unsent(one: socket.socket) -> int:
        return int.from_bytes(fcntl.ioctl(one, _SIOCOUTQNSD, bytes(4)), sys.byteorder)

else:

    def _unsent(one: socket.socket) -> int:
        return 0


class _Said:
    """FFmpeg's messages on standard error, read by a pipe that never blocks it. On Windows nothing is kept."""

    def __init__(self) -> None:
        self._reads: int | None = None
        if sys.platform != "win32":
            av.logging.set_libav_level(av.logging.ERROR)
            av.logging.restore_default_callback()
            self._reads, writes = os.pipe()
            for end in (self._reads, writes):
                os.set_blocking(end, False)
            os.dup2(writes, sys.stderr.fileno())

    def last(self) -> str:
        """The last line, unless it holds an address; and forget all."""
        if self._reads is None:
            return ""
        with contextlib.suppress(BlockingIOError):
            lines = os.read(self._reads, 1 << 20).decode(errors="replace").strip().splitlines()
            text = re.sub(r"^(\[[^]]*\] *)*", "", lines[-1]) if lines else ""
            return "" if "://" in text else text
        return ""


if __name__ == "__main__":
    main()
