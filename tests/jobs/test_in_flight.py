"""A job with several batches in a network at once, as on a GPU: here in threads of a backend that allows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import clips
from vsr.backends.onnxruntime import BACKEND
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.upscale import UpscaleJob
from vsr.upscale.options import NetworkOptions


def test_a_job_takes_batches_as_the_backend_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(BACKEND), "in_flight", 3)
    monkeypatch.setattr(type(BACKEND), "batch", 4)
    config = UpscaleConfig((str(clips.h264()),), network=NetworkOptions("bicubic", backend="onnxruntime"))
    with UpscaleJob(config) as job:
        report = job.run(str(clips.h264()), str(tmp_path / "out.mkv"))
        upscaler = job._pool.upscaler(config.network)
        assert {luma[0] for luma, *_chroma in upscaler.network.compiled} == {4}
    assert report.frames_in == report.frames_out
