"""Several frames in a network at once, as on a GPU: here in threads of a backend that allows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vsr.backends.onnxruntime import BACKEND
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import InferenceError
from vsr.core.frame import Frame
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.upscale import UpscaleJob
from vsr.media.samples import CLIP
from vsr.upscale import Upscaler
from vsr.upscale.sequence import batched, inferred


def batches(count: int, size: int = 1) -> Iterator[list[Frame]]:
    return batched(synthetic_frames(64, 48, count), size)


def planes(frames: Iterator[Frame]) -> list[np.ndarray]:
    return [np.concatenate([np.asarray(plane).ravel() for plane in frame.planes]) for frame in frames]


def test_frames_come_out_in_order_and_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        wanted = planes(inferred(batches(9), upscaler))
    monkeypatch.setattr(type(BACKEND), "in_flight", 3)
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        found = planes(inferred(batches(9), upscaler))
        assert len(upscaler._engines.compiled) == 1, "compiled once, whoever came first"
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_are_as_large_as_the_backend_wants_and_the_last_is_filled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        assert upscaler.batch(64, 48) == 1
        wanted = planes(inferred(batches(9), upscaler))
    monkeypatch.setattr(type(BACKEND), "in_flight", 3)
    monkeypatch.setattr(type(BACKEND), "batch", 4)
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        sizes = [upscaler.batch(*size) for size in ((64, 48), (1280, 720), (1920, 1080), (7680, 4320))]
        assert sizes == [4, 4, 1, 1]
        found = planes(inferred(batches(9, 4), upscaler))
        assert len(upscaler._engines.compiled) == 1, "for four frames alone"
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(one, other)
    config = UpscaleConfig((str(CLIP),), model="bicubic", backend="onnxruntime")
    with UpscaleJob(config) as job:
        report = job.run(str(CLIP), str(tmp_path / "out.mkv"))
        (upscaler,) = job._upscalers.values()
        assert {luma[0] for luma, *_chroma in upscaler._engines.compiled} == {4}
    assert report.frames_in == report.frames_out


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
