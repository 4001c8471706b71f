"""A server that is published to, from a process of its own: PyAV holds the interpreter's lock while it connects and closes."""

from __future__ import annotations

import contextlib
import json
import subprocess
from io import BytesIO
from typing import Any

import av

from vsr.core import errors
from vsr.core.child import kill, started
from vsr.core.errors import MediaError, OutputLostError
from vsr.core.secrets import redacted
from vsr.media.live.program import Program
from vsr.media.write.encoded import Encoded

_WAIT_S = 2.0
# The format of the header with the parameters of the encoded streams, sent before any packet.
PARAMETERS_FORMAT = "mp4"
_PARAMETERS = {"movflags": "+empty_moov"}


class Connection:
    """One connection, from its header to its end. Every call but `kill` may wait; none holds the interpreter's lock meanwhile.

    A packet counts as written once it has left this machine's queues, where the system tells (Linux; TCP).
    Raises MediaError.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._process = started(
            "vsr.media.live.connection_process", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._hear()  # From here on the process waits only for the server.

    def open(self, format: str, options: dict[str, str], program: Program) -> None:
        """Connect, and write the header."""
        templates = [template for template in (program.video, program.audio) if template is not None]
        container = av.open(parameters := BytesIO(), "w", format=PARAMETERS_FORMAT, options=_PARAMETERS)
        for template in templates:
            template.add_to(container)
        container.start_encoding()
        # MP4 has the parameter sets in another form than the packets have.
        extradata = [(template.stream.codec_context.extradata or b"").hex() for template in templates]
        self._ask(
            parameters.getvalue(),
            do="open",
            url=self._url,
            format=format,
            options=options,
            extradata=extradata,
        )

    def write(self, packet: Encoded) -> None:
        """Write a packet."""
        self._ask(
            memoryview(packet.packet),
            do="write",
            stream=int(packet.kind == "audio"),
            keyframe=packet.keyframe,
            times=(packet.pts, packet.dts, packet.duration),
            time_base=packet.time_base.as_integer_ratio(),
        )

    def close(self) -> None:
        """Write the end, and hang up."""
        self._ask(b"", do="close")

    def kill(self) -> None:
        """Break the connection; data that has not left this machine is discarded. From any thread; repeated calls are
        allowed."""
        kill(self._process)

    def let_go(self) -> None:
        """End the process. From the thread that made it; twice is fine."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _ask(self, data: bytes | memoryview, **message: Any) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):  # The process has ended: there is no answer.
            stdin.write(json.dumps({**message, "size": len(data)}).encode() + b"\n")
            stdin.write(data)
            stdin.flush()
        self._hear()

    def _hear(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        answer = json.loads(stdout.readline() or "null")
        if answer is None:
            raise OutputLostError(
                f"{redacted(self._url)}: broken off", hint="check that the server is running"
            )
        if "bug" in answer:
            raise RuntimeError(answer["bug"])
        if "error" in answer:
            kind: type[MediaError] = getattr(errors, answer["error"])
            raise kind(answer["message"], hint=answer["hint"])
