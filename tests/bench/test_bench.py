"""The harness measures what it says it measures."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from vsr.bench.config import BenchConfig
from vsr.bench.run import bench
from vsr.bench.synthetic import synthetic_frames
from vsr.cli import main
from vsr.machine.doctor import doctor
from vsr.machine.environment import environment
from vsr.upscale.options import NetworkOptions


def test_every_part_is_measured_on_every_frame() -> None:
    said: list[str] = []
    result = bench(
        BenchConfig(NetworkOptions("bicubic"), (96, 64), frames=25, presets=("ultrafast", "ultrafast")),
        said.append,
    )
    assert set(result.alone) == {"decode", "infer", "encode x264 ultrafast"}
    assert set(result.together) == {"null", "x264 ultrafast"}
    for part in (*result.alone.values(), *result.together.values()):
        assert part.frames == 25
        assert part.fps > 0
    assert result.together["x264 ultrafast"].cpu_over_alone > 0
    assert result.size_out == (192, 128)
    assert (result.model, result.config.network.model) == ("bicubic-x2", "bicubic")
    assert result.environment["versions"]["openvino"]
    assert "decode" in said
    told = json.loads(json.dumps(result.as_dict()))
    assert (told["config"]["model"], told["config"]["frames"], told["config"]["batch"]) == (
        "bicubic-x2",
        25,
        1,
    )
    assert told["size_out"] == [192, 128]
    assert told["alone"]["infer"] == asdict(result.alone["infer"])
    assert set(told["alone"]["infer"]) == {"frames", "seconds", "fps", "cpu_s"}
    assert [stage["name"] for stage in told["together"]["null"]["stages"]] == ["decode", "infer", "encode"]


def test_synthetic_frames_are_the_same_each_time_and_move() -> None:
    first, again = (list(synthetic_frames(64, 48, 3)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(np.asarray(a.planes[0]), np.asarray(b.planes[0]))
    assert (np.asarray(first[0].planes[0]) != np.asarray(first[1].planes[0])).mean() > 0.5
    luma = np.asarray(first[0].planes[0])
    assert luma.min() >= 16
    assert luma.max() <= 235
    assert luma.std() > 20


def test_the_doctor_finds_what_is_needed_and_names_what_is_not_there() -> None:
    checks = {check.name: check for check in doctor()}
    assert checks["backend openvino"].ok
    assert checks["PyAV"].ok
    assert checks["models"].ok
    for check in checks.values():
        assert check.ok or check.remedy


def test_a_figure_names_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "gpu" not in environment()
    asked = tmp_path / "nvidia-smi"
    asked.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 580.159.04'\n")
    asked.chmod(0o755)
    assert (environment()["gpu"], environment()["driver"]) == ("NVIDIA H100 80GB HBM3", "580.159.04")


def test_a_report_does_not_replace_the_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mkv"
    clip.write_bytes(b"kept")
    assert main(["bench", "--input", str(clip), "--report", str(clip)]) == 2
    assert "is the input" in capsys.readouterr().err
    assert clip.read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--preset bogus", "x264 has no preset 'bogus'"),
        ("--size 7x4", "size 7x4 cannot be measured"),
        ("--size 100000x100000", "size 100000x100000 cannot be measured"),
        ("--size 4x16384", "size 4x16384 cannot be measured"),  # Once it is enlarged.
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_work(
    options: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *options.split()]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {words}"
    assert hint.startswith(("hint: it has ultrafast, ", "hint: give even sides from 2 to 8192 "))


def test_a_report_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user writes everywhere")
    assert main(["bench", "--report", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.startswith("error: no permission to write in folder")
