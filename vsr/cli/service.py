"""Reports the state of `vsr stream` to systemd by the protocol of sd_notify(3): datagrams to the socket systemd names."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from vsr.live.report import StreamReport

_INTERVAL_S = 1.0


class Service:
    """A context manager. Called now and then, it reports that the stream has begun, what it does, and that it is alive. Nothing
    happens if no service manager asked for it.

    A stream is alive unless the source gives pictures and none goes out any more. A lost source or sink is connected again, and
    a restart would not help. Of several streams, one that is alive is enough: a restart would end it.
    """

    def __init__(
        self,
        reports: Callable[[], Sequence[StreamReport]],
        describe: Callable[[Sequence[StreamReport]], str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """reports: how the streams are. describe: makes one line of that. now: seconds of a clock."""
        self._reports = reports
        self._describe = describe
        self._now = now
        self._socket = _connected()
        watchdog_s = _watchdog_s()
        self._watched = watchdog_s is not None
        self._interval_s = min(_INTERVAL_S, (watchdog_s or math.inf) / 3)
        self._next_at = self._now()
        self._ready = False
        # Frames that each stream had sent.
        self._frames: list[int] = []

    def __call__(self) -> None:
        if self._socket is None or self._now() < self._next_at:
            return
        self._next_at = self._now() + self._interval_s
        if not self._ready:
            self._ready = self._send("READY=1")
        reports = self._reports()
        self._send(f"STATUS={' '.join(self._describe(reports).split())}")
        frames = [report.frames_out for report in reports]
        before = self._frames if len(self._frames) == len(frames) else [0] * len(frames)
        stuck = [
            report.state == "streaming" and 0 < report.frames_out <= sent
            for report, sent in zip(reports, before, strict=True)
        ]
        self._frames = frames
        if self._watched and not (stuck and all(stuck)):
            self._send("WATCHDOG=1")

    def ends(self) -> None:
        """Say that the stream is about to end."""
        self._send("STOPPING=1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def _send(self, text: str) -> bool:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # nobody listens, or the socket's buffer is full
                self._socket.send(text.encode())
                return True
        return False


def _watchdog_s() -> float | None:
    """The longest interval, in seconds, at which systemd expects a sign of life; None if it expects none."""
    ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    asked = os.environ.get("WATCHDOG_USEC", "")
    return int(asked) / 1e6 if ours and asked.isdecimal() and int(asked) else None


def _connected() -> socket.socket | None:
    # Taken out of the environment, so that processes vsr starts do not use it.
    place = os.environ.pop("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return None
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        found.connect(place.replace("@", "\0", 1) if place.startswith("@") else place)
    except OSError:
        found.close()
        return None
    return found
