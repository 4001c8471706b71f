"""Under load from other programs, and for long."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from tests.live.test_rtsp import resident_bytes
from tests.support.clock import PretendedClock
from tests.support.sessions import adds_up, at_work, config, running_simulated, simulated
from vsr.core.frame import Frame
from vsr.live.session import Session

# What a frame costs on each network, in pretended seconds.
COSTS = [0.020, 0.010, 0.005, 0.002, 0.001]
SIZE, RATE = "160x90", 10


class Machine:
    """Makes the networks of a session cost pretended time. slowness: what other programs do to the costs."""

    def __init__(self, session: Session, clock: PretendedClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slowness = 1.0
        rungs = session._parts.rungs
        # All pictures are enlarged by the lightest: what they look like is not tested here.
        enlarge = rungs._upscalers[-1].upscale
        for cost, network in zip(COSTS, rungs._shared, strict=True):

            def upscale(frame: Frame, cost: float = cost) -> tuple[Frame, None]:
                clock.advance(cost * self.slowness)
                return enlarge(frame), None

            monkeypatch.setattr(network, "upscale", upscale)


def machine(monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Session, Machine]:
    session = simulated(config(f"testsrc:{SIZE}@{RATE}", "null", **options))
    assert isinstance(session._clock, PretendedClock)
    return session, Machine(session, session._clock, monkeypatch)


def test_the_ladder_steps_down_under_load_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    session, others = machine(monkeypatch, model="auto", temporal="off", max_latency_s=0.3)
    with at_work(session) as stream:
        stream.wait_for_frames(5)
        report = stream.session.report()
        assert report.model == "quality-x2"
        measured = {item.model: item.cost_ms for item in report.measured}
        others.slowness = 30.0
        stream.wait(lambda report: report.model == "bicubic-x2")
        others.slowness = 1.0
        stream.wait(lambda report: any(step.after == "quality-x2" for step in report.steps))
        report = stream.stop()
    assert report.steps[0].before == "quality-x2"
    assert all(step.why for step in report.steps)
    assert adds_up(report)
    assert list(measured) == ["quality-x2", "balanced-x2", "fast-x2", "tiny-x2", "bicubic-x2"]
    assert list(measured.values()) == pytest.approx([1000 * cost for cost in COSTS])


def test_what_does_not_keep_up_drops_counts_and_stays_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    ages: list[float] = []
    session, others = machine(monkeypatch, model="auto", temporal="off", max_latency_s=0.5)
    monkeypatch.setattr(session, "_take", lambda one: ages.append(session._clock.now() - one.captured_at))
    others.slowness = 300.0  # 0.3 s a frame on the lightest, ten frames a second
    with at_work(session) as stream:
        stream.wait_for_frames(10)
        stream.wait(lambda report: report.drops.get("late", 0) > 20)
        report = stream.stop()
    assert adds_up(report)
    assert report.queue_high_water < 30
    assert set(report.drops) <= {"starting", "late", "stopped"}
    # Nothing older than the budget gets to the network, and a tick may pass before it begins.
    assert max(ages) < 0.5 + 0.3 + 0.1


def test_memory_and_latency_stay_flat() -> None:
    with running_simulated("testsrc:320x180@30", "null") as stream:
        stream.wait_for_frames(60)
        gc.collect()
        before, threads = resident_bytes(), threading.active_count()
        stream.wait_for_frames(150)
        gc.collect()
        grown = resident_bytes() - before
        assert threading.active_count() == threads
        report = stream.stop()
    assert grown < 30 << 20
    assert adds_up(report)
