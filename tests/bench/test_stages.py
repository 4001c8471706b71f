"""Stages and steps, each timed alone."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import cast

from tests.support.clock import PretendedClock
from vsr.bench.recorder import Recorder, WarmUp
from vsr.bench.stages import steps_alone
from vsr.bench.synthetic import synthetic_frames
from vsr.upscale.upscaler import Upscaler


def test_the_time_of_a_gpu_is_kept_apart_and_its_warm_up_does_not_count() -> None:
    clock = PretendedClock()
    gpu_ms: list[float] = []

    def compute() -> float:
        clock.advance(0.1)
        gpu_ms.append(2.0 if len(gpu_ms) >= 2 else 9.0)
        return gpu_ms[-1]

    steps = {"compute": compute, "copy out": lambda: clock.advance(0.3)}
    network = SimpleNamespace(steps=lambda _planes, _kind: nullcontext(steps))
    (frame,) = synthetic_frames(32, 16, 1)
    parts = steps_alone(
        cast(Upscaler, SimpleNamespace(passes=1, network=network)),
        frame,
        lambda: Recorder(WarmUp(least=2, most=2), clock.now() + 3.0, clock, cpu=lambda: 0.0),
    )
    measured = parts["compute"].gpu_ms
    assert measured is not None
    assert (measured.median, measured.low, measured.high) == (2.0, 2.0, 2.0)
    assert measured.repeats == parts["compute"].frame_ms.frames == len(gpu_ms) - 2
    assert round(parts["compute"].fps.median, 6) == 10.0
    assert parts["copy out"].gpu_ms is None
