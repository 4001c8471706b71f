"""Several frames in a network at once, as on a GPU: here in threads of a backend that allows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from vsr.backends.onnxruntime import BACKEND
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import InferenceError
from vsr.core.frame import Frame
from vsr.jobs.upscale import inferred
from vsr.upscale import Upscaler


def batches(count: int) -> Iterator[list[Frame]]:
    for frame in synthetic_frames(64, 48, count):
        yield [frame]


def planes(frames: Iterator[Frame]) -> list[np.ndarray]:
    return [np.concatenate([np.asarray(plane).ravel() for plane in frame.planes]) for frame in frames]


def test_frames_come_out_in_order_and_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        wanted = planes(inferred(batches(9), upscaler))
    monkeypatch.setattr(type(BACKEND), "in_flight", 3)
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        found = planes(inferred(batches(9), upscaler))
        assert len(upscaler._engines) == 1, "compiled once, whoever came first"
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_error_in_one_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(BACKEND), "in_flight", 3)
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        whole, calls = upscaler.upscale_batch, []

        def failing(frames: list[Frame]) -> list[Frame]:
            calls.append(frames)
            if len(calls) == 4:
                raise InferenceError("out of luck")
            return whole(frames)

        monkeypatch.setattr(upscaler, "upscale_batch", failing)
        with pytest.raises(InferenceError, match="out of luck"):
            list(inferred(batches(9), upscaler))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("infer")]
