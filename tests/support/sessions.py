"""What tests of streams share: a session on a thread of its own, and patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from vsr.live.config import StreamConfig
from vsr.live.frame import StreamFrame
from vsr.live.report import StreamReport
from vsr.live.session import Session
from vsr.upscale.options import NetworkOptions

# Nothing is late: what is tested is not how fast this machine is just now.
PATIENT_S = 30.0
QUICK = {"model": "bicubic", "max_latency_s": PATIENT_S}
_OF_NETWORK = [field.name for field in fields(NetworkOptions)]


def config(source: str, *sinks: str, **options: Any) -> StreamConfig:
    """options: fields of StreamConfig, and of its network."""
    given = {**QUICK, **options}
    network = NetworkOptions(**{name: given.pop(name) for name in _OF_NETWORK if name in given})
    return StreamConfig(source=source, sinks=sinks, network=network, **given)


def run(source: str, *sinks: str, **options: Any) -> StreamReport:
    """A stream from its start to its end."""
    return Session(config(source, *sinks, **options)).run()


class Running:
    """A session at work."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.error: BaseException | None = None
        self.result: StreamReport | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self.session.run()
        except BaseException as error:
            self.error = error

    def stop(self) -> StreamReport:
        self.session.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def wait(self, reached: Callable[[StreamReport], bool], timeout_s: float = 30.0) -> float:
        """Seconds until the report fulfils that."""
        started = time.monotonic()
        while not reached(self.session.report()):
            if self.error is not None:
                raise self.error
            assert time.monotonic() - started < timeout_s, self.session.report()
            time.sleep(0.02)
        return time.monotonic() - started

    def wait_for_frames(self, more: int = 5, timeout_s: float = 30.0) -> float:
        """Seconds until so many more frames have gone out."""
        wanted = self.session.report().frames_out + more
        return self.wait(lambda report: report.frames_out >= wanted, timeout_s)


@contextmanager
def running(
    source: str, *sinks: str, take: Callable[[StreamFrame], None] | None = None, **options: Any
) -> Generator[Running]:
    stream = Running(Session(config(source, *sinks, **options), take=take))
    try:
        yield stream
    finally:
        stream.session.stop()
        stream._thread.join(30)


def adds_up(report: StreamReport) -> bool:
    """Whether every frame that came went out or was counted as dropped."""
    return report.in_flight == 0 and report.frames_in == report.frames_out + sum(report.drops.values())


def until(reached: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for it."""
    end = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)
