"""A stream goes through a network with memory where the machine is fast enough, and a step begins its memory again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.clock import PretendedClock
from tests.support.own_models import own_memory_network
from tests.support.sessions import config, run_simulated
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import ConfigError
from vsr.core.frame import Reset
from vsr.live.choices import choices
from vsr.live.rungs import Rungs
from vsr.models.registry import find_model
from vsr.models.spec import load_spec
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

SOURCE = "testsrc:64x48@25"


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    own_memory_network(monkeypatch, tmp_path_factory)


def names(**options: str) -> list[str]:
    found = []
    for each in choices(NetworkOptions(**options)):  # type: ignore[arg-type]
        with Upscaler(each) as upscaler:
            found.append(upscaler.spec.id)
    return found


def test_each_network_with_memory_comes_before_the_one_without() -> None:
    assert names(model="bicubic") == ["memory-x2", "bicubic-x2"]
    assert names(model="bicubic", temporal="on") == ["memory-x2"]
    assert names(model="bicubic", temporal="off") == ["bicubic-x2"]
    assert names(model="memory-x2") == names(model="memory-x2", temporal="on") == ["memory-x2"]
    assert names(model="memory-x2", temporal="off") == ["bicubic-x2"]
    assert names(temporal="off") == ["quality-x2", "balanced-x2", "fast-x2", "tiny-x2", "bicubic-x2"]
    families = names()
    assert families[-2:] == ["memory-x2", "bicubic-x2"]
    assert names(temporal="on")[-1] == "memory-x2"
    assert "bicubic-x2" not in names(temporal="on")
    assert "memory-x2" not in names(model="quality")
    with pytest.raises(ConfigError, match="restore-x2 has no network with memory"):
        names(model="restore", temporal="on")


def test_one_that_is_heavier_than_the_next_family_comes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = dataclasses.replace(find_model("memory-x2"), macs_per_pixel=10**5, single="fast-x2")
    monkeypatch.setattr("vsr.models.registry.all_models", lambda: [heavy])
    monkeypatch.setattr(
        "vsr.models.registry.load_spec",
        lambda folder: heavy if folder.name == heavy.id else load_spec(folder),
    )
    assert names()[:4] == ["quality-x2", "memory-x2", "balanced-x2", "fast-x2"]


class TickingClock(PretendedClock):
    """A thousandth of a second passes whenever somebody looks."""

    def now(self) -> float:
        self.advance(0.001)
        return super().now()


def test_a_step_to_it_begins_its_memory_again() -> None:
    clock = TickingClock()
    rungs = Rungs(config(SOURCE, model="bicubic"), clock=clock)
    given = list(synthetic_frames(64, 48, 8))
    with Upscaler("memory-x2") as alone, alone.sequence() as sequence:
        wanted = list(sequence.stream(given[:3]))
        sequence.reset(Reset.START)
        wanted += sequence.stream(given[5:])
    rungs.prepare(given[0], interval_s=1000.0)
    assert rungs.model == "memory-x2"
    found = [rungs.upscale(frame)[0] for frame in given[:3]]
    rungs.dropped(100)
    assert (rungs.step(0.04) or ())[:2] == ("memory-x2", "bicubic-x2")
    for _ in range(200):
        assert rungs.upscale(given[3])[1] == "bicubic-x2"
        clock.advance(0.04)
        step = rungs.step(0.04)
        if rungs._measurer is not None:
            rungs._measurer.join()
        if step:
            break
    assert (step or ())[:2] == ("bicubic-x2", "memory-x2")
    found += [rungs.upscale(frame)[0] for frame in given[5:]]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(one.planes[0]), np.asarray(other.planes[0]))
    assert [frame.starts for frame in found] == [Reset.START, None, None, Reset.NETWORK, None, None]
    assert dict(rungs.resets) == {"start": 1, "network": 1}
    rungs.close()


def test_a_stream_counts_why_the_memory_began_again() -> None:
    report = run_simulated(SOURCE, "null", model="bicubic", temporal="on", duration_s=0.5)
    assert (report.model, report.resets) == ("memory-x2", {"start": 1})
    assert report.frames_out > 5
    report = run_simulated(SOURCE, "null", model="bicubic", temporal="off", duration_s=0.2)
    assert (report.model, report.resets) == ("bicubic-x2", {})
