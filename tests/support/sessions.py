"""What tests of streams share: a session on a thread of its own, one in simulated time, and patience."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import fields
from typing import Any

from tests.support.clock import PretendedClock
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


def simulated(config: StreamConfig, **options: Any) -> Session:
    """A session on a clock that passes when all there is to do at a time is done: not later, however slow the machine is.

    For sources that are paced here (files and testsrc), and sinks that never hang. options: of Session.
    """
    before = frozenset(threading.enumerate())
    clock = PretendedClock()
    session = Session(config, **options, clock=clock)
    clock.settled = lambda: settled(session, clock, before)
    return session


def settled(session: Session, clock: PretendedClock, before: frozenset[threading.Thread]) -> bool:
    """Whether nothing happens in that session until its clock moves on. before: threads that are not the session's."""
    # Whoever waits brings no new frames: where none was under way before and after asking, none is.
    was = session.report()
    waits = clock.all_wait("vsr-capture", "vsr-decode", "vsr-infer", "vsr-sink", but=before)
    names = {thread.name for thread in threading.enumerate() if thread not in before}
    if not waits or not {"vsr-infer", "vsr-encode"} <= names:
        return waits
    now = session.report()
    return not was.in_flight and not now.in_flight and was.frames_in == now.frames_in


def run_simulated(source: str, *sinks: str, **options: Any) -> StreamReport:
    """A stream from its start to its end, in simulated time."""
    return simulated(config(source, *sinks, **options)).run()


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
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def wait(self, reached: Callable[[StreamReport], bool], timeout_s: float = 90.0) -> float:
        """Seconds until the report fulfils that."""
        started = time.monotonic()
        while not reached(self.session.report()):
            if self.error is not None:
                raise self.error
            assert time.monotonic() - started < timeout_s, self.session.report()
            time.sleep(0.02)
        return time.monotonic() - started

    def wait_for_frames(self, more: int = 5, timeout_s: float = 90.0) -> float:
        """Seconds until so many more frames have gone out."""
        wanted = self.session.report().frames_out + more
        return self.wait(lambda report: report.frames_out >= wanted, timeout_s)


@contextlib.contextmanager
def running(
    source: str, *sinks: str, take: Callable[[StreamFrame], None] | None = None, **options: Any
) -> Generator[Running]:
    with at_work(Session(config(source, *sinks, **options), take=take)) as stream:
        yield stream


@contextlib.contextmanager
def running_simulated(source: str, *sinks: str, **options: Any) -> Generator[Running]:
    """As `running`, in simulated time."""
    with at_work(simulated(config(source, *sinks, **options))) as stream:
        yield stream


@contextlib.contextmanager
def at_work(session: Session) -> Generator[Running]:
    """A session that runs until the block ends."""
    stream = Running(session)
    try:
        yield stream
    finally:
        session.stop()
        stream._thread.join(60)


def adds_up(report: StreamReport) -> bool:
    """Whether every frame that came went out or was counted as dropped."""
    return report.in_flight == 0 and report.frames_in == report.frames_out + sum(report.drops.values())


def until(reached: Callable[[], bool], timeout_s: float = 60.0, *, every_s: float = 0.05) -> None:
    """Wait for it. A file that is not there yet is waited for, too."""
    end = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(FileNotFoundError):
            if reached():
                return
        assert time.monotonic() < end
        time.sleep(every_s)
