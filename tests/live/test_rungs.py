from __future__ import annotations

import pytest

from tests.support.sessions import config, run_simulated
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import ConfigError, UnknownModelError
from vsr.live.rungs import Rungs

SOURCE = "testsrc:160x120@25"


@pytest.mark.parametrize(
    ("scale", "models"),
    [
        (2, ["quality-x2", "balanced-x2", "fast-x2", "bicubic-x2"]),
        (3, ["bicubic-x3"]),
        (4, ["quality-x4", "balanced-x4", "fast-x2", "bicubic-x4"]),
    ],
)
def test_each_scale_has_its_networks(scale: int, models: list[str]) -> None:
    rungs = Rungs(config(SOURCE, model="auto", scale=scale))
    assert [item.model for item in rungs.measured] == models
    rungs.close()


def test_the_first_is_the_heaviest_that_leaves_room() -> None:
    rungs = Rungs(config(SOURCE, model="auto"))
    (frame,) = synthetic_frames(160, 120, 1)
    rungs.prepare(frame, interval_s=1000.0)
    assert rungs.model == "quality-x2"
    costs = [item.cost_ms for item in rungs.measured]
    assert None not in costs
    rungs.prepare(frame, interval_s=1e-6)
    assert rungs.model == "bicubic-x2"
    assert [item.cost_ms is None for item in rungs.measured] == [True, True, True, False]
    large, model, seconds = rungs.upscale(frame)
    assert (large.width, large.height, model) == (320, 240, "bicubic-x2")
    assert 0 < seconds < 60
    rungs.close()


def test_one_that_is_named_stays() -> None:
    rungs = Rungs(config(SOURCE, model="fast"))
    (frame,) = synthetic_frames(64, 48, 1)
    rungs.prepare(frame, interval_s=1e-6)
    rungs.dropped(100)
    assert rungs.step(1e-6) is None
    assert rungs.model == "fast-x2"
    rungs.close()


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
    rungs = Rungs(config(SOURCE, model="auto", precision="int8"))
    (frame,) = synthetic_frames(160, 120, 1)
    rungs.prepare(frame, interval_s=1000.0)
    found = {upscaler.spec.id: upscaler.precision == "int8" for upscaler in rungs._upscalers}
    assert found == {"quality-x2": False, "balanced-x2": True, "fast-x2": True, "bicubic-x2": False}
    rungs.close()
    with pytest.raises(ConfigError, match="not calibrated"):
        run_simulated(SOURCE, "null", model="quality", precision="int8")
    report = run_simulated(SOURCE, "null", model="fast", precision="fp32", duration_s=0.5)
    assert report.precision == "fp32"
