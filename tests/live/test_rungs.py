from __future__ import annotations

import threading

import pytest

from tests.support.clock import PretendedClock
from tests.support.sessions import config, run_simulated, until
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import ConfigError, DeviceMemoryError, UnknownModelError
from vsr.live.choices import choices
from vsr.live.networks import Networks
from vsr.live.rungs import Rungs
from vsr.upscale.options import NetworkOptions

SOURCE = "testsrc:160x120@25"


@pytest.mark.parametrize(
    ("scale", "models"),
    [
        (2, ["quality-x2", "balanced-x2", "fast-x2", "tiny-x2", "bicubic-x2"]),
        (3, ["bicubic-x3"]),
        (4, ["quality-x4", "balanced-x4", "fast-x2", "tiny-x2", "bicubic-x4"]),
    ],
)
def test_each_scale_has_its_networks(scale: int, models: list[str]) -> None:
    rungs = Rungs(config(SOURCE, model="auto", scale=scale, temporal="off"))
    assert [item.model for item in rungs.measured] == models
    rungs.close()


def test_the_first_is_the_heaviest_that_leaves_room() -> None:
    rungs = Rungs(config(SOURCE, model="auto", temporal="off"))
    (frame,) = synthetic_frames(160, 120, 1)
    rungs.prepare(frame, interval_s=1000.0)
    assert rungs.model == "quality-x2"
    costs = [item.cost_ms for item in rungs.measured]
    assert None not in costs
    rungs.prepare(frame, interval_s=1e-6)
    assert rungs.model == "bicubic-x2"
    assert [item.cost_ms is None for item in rungs.measured] == [True, True, True, True, False]
    large, model, seconds = rungs.upscale(frame)
    assert (large.width, large.height, model) == (320, 240, "bicubic-x2")
    assert 0 < seconds < 60
    rungs.close()


@pytest.mark.parametrize(("model", "remedy"), [("fast-x2", "lighter --model"), ("auto", "--max-latency")])
def test_a_network_that_makes_every_frame_too_old_is_refused_at_the_start(
    model: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rungs = Rungs(config(SOURCE, model=model, max_latency_s=0.2))
    (frame,) = synthetic_frames(160, 120, 1)
    monkeypatch.setattr(rungs, "_times", lambda *_: [0.5, 0.3, 0.4])
    with pytest.raises(ConfigError, match=r"needs 300 ms for a frame here, .* older than 200 ms") as caught:
        rungs.prepare(frame, interval_s=0.04)
    assert remedy in str(caught.value.hint)
    # A frame that was quick enough, once, shows that it can be done.
    monkeypatch.setattr(rungs, "_times", lambda *_: [0.5, 0.1, 0.4])
    rungs.prepare(frame, interval_s=0.04)
    # What is already running goes on.
    monkeypatch.setattr(rungs, "_times", lambda *_: [0.5, 0.3, 0.4])
    rungs.prepare(frame, interval_s=0.04)
    rungs.close()


class TickingClock(PretendedClock):
    """A thousandth of a second passes whenever somebody looks."""

    def now(self) -> float:
        self.advance(0.001)
        return super().now()


def test_after_calm_heavier_networks_are_tried_that_had_not_been() -> None:
    """On a machine that was busy at the start, nothing seemed to fit."""
    clock = TickingClock()
    rungs = Rungs(config(SOURCE, model="auto", temporal="off"), clock=clock)
    (frame,) = synthetic_frames(48, 32, 1)
    rungs.prepare(frame, interval_s=-1.0)
    assert rungs.model == "bicubic-x2"
    assert rungs.measured[0].cost_ms is None
    steps = []
    for _ in range(150):
        rungs.upscale(frame)
        clock.advance(0.04)
        steps.append(rungs.step(0.04))
        if rungs._measurer is not None:
            rungs._measurer.join()
    assert [step[:2] for step in steps if step] == [("bicubic-x2", "quality-x2")]
    assert rungs.measured[0].cost_ms == 1.0
    assert rungs.upscale(frame)[1] == "quality-x2"
    rungs.close()


def test_a_heavier_network_that_cannot_be_made_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = TickingClock()
    rungs = Rungs(config(SOURCE, model="auto", temporal="off"), clock=clock)
    (frame,) = synthetic_frames(48, 32, 1)
    rungs.prepare(frame, interval_s=-1.0)

    def fails(_frame: object) -> None:
        raise DeviceMemoryError("out of memory", hint="a smaller tile")

    monkeypatch.setattr(rungs._shared[2], "upscale", fails)
    for _ in range(300):
        rungs.upscale(frame)
        clock.advance(0.04)
        assert rungs.step(0.04) is None
        if rungs._measurer is not None:
            rungs._measurer.join()
    assert "no heavier network than bicubic-x2: out of memory" in rungs.notes
    rungs.close()


def test_a_stream_that_ends_while_a_network_is_compiled_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vsr.live.rungs._END_S", 0.05)
    clock = TickingClock()
    networks = Networks((1.0, 1.0), clock)
    rungs = Rungs(config(SOURCE, model="auto", temporal="off"), networks, clock)
    other = networks.turns(rungs._shared[0]).join()
    (frame,) = synthetic_frames(48, 32, 1)
    rungs.prepare(frame, interval_s=-1.0)
    compiling, compiled = threading.Event(), threading.Event()

    def compiles(_frame: object) -> None:
        compiling.set()
        compiled.wait(60)
        raise DeviceMemoryError("out of memory")

    monkeypatch.setattr(rungs._shared[-2], "upscale", compiles)
    while not compiling.is_set():
        rungs.upscale(frame)
        clock.advance(0.04)
        rungs.step(0.04)
    rungs.share.needs = 1.0
    rungs.close()
    assert not compiled.is_set()
    assert other.part == 1.0, "it has no share any more"
    compiled.set()
    until(lambda: not networks._shared)


def test_one_that_is_named_stays() -> None:
    rungs = Rungs(config(SOURCE, model="fast"))
    (frame,) = synthetic_frames(64, 48, 1)
    rungs.prepare(frame, interval_s=1e-6)
    rungs.dropped(100)
    assert rungs.step(1e-6) is None
    assert rungs.model == "fast-x2"
    rungs.close()


def test_a_strength_is_for_the_network_that_is_named() -> None:
    (only,) = choices(NetworkOptions("restore", strength=0.5))
    assert (only.model, only.strength) == ("restore", 0.5)
    with pytest.raises(ConfigError, match="no network that auto takes for streams has a strength"):
        choices(NetworkOptions("auto", strength=0.5))


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(UnknownModelError, match="no model 'nosuch'"):
        Rungs(config(SOURCE, model="nosuch"))
    with pytest.raises(ConfigError, match="balanced enlarges by 4, not by 3"):
        Rungs(config(SOURCE, model="balanced", scale=3))


def test_a_stream_three_times_as_large() -> None:
    report = run_simulated(SOURCE, "null", model="auto", scale=3, duration_s=0.5)
    assert report.size_out == (480, 360)
    assert report.model == "bicubic-x3"


def test_a_precision_is_for_the_networks_that_have_it() -> None:
    """bicubic is float32 only, and quality is not calibrated."""
    rungs = Rungs(config(SOURCE, model="auto", precision="int8", temporal="off"))
    (frame,) = synthetic_frames(160, 120, 1)
    rungs.prepare(frame, interval_s=1000.0)
    found = {upscaler.spec.id: upscaler.precision == "int8" for upscaler in rungs._upscalers}
    assert found == {
        "quality-x2": False,
        "balanced-x2": True,
        "fast-x2": True,
        "tiny-x2": False,
        "bicubic-x2": False,
    }
    rungs.close()
    with pytest.raises(ConfigError, match="not calibrated"):
        run_simulated(SOURCE, "null", model="quality", precision="int8")
    report = run_simulated(SOURCE, "null", model="fast", precision="fp32", duration_s=0.5)
    assert report.precision == "fp32"
