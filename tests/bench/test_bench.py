"""The harness measures what it says it measures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from vsr.bench.clips import Clips
from vsr.bench.config import BenchConfig
from vsr.bench.result import read_result
from vsr.bench.run import bench
from vsr.bench.synthetic import synthetic_frames
from vsr.cli import main
from vsr.core.errors import ConfigError
from vsr.machine.doctor import doctor
from vsr.machine.environment import environment


def test_every_stage_is_measured_alone_and_together(tmp_path: Path) -> None:
    said: list[str] = []
    config = BenchConfig(
        models=("bicubic",), sizes=((96, 64),), frames=30, presets=("ultrafast", "ultrafast"), budget_s=2.0
    )
    result = bench(config, said.append)
    null, x264 = result.cells
    assert (null.case.sink, x264.case.sink) == ("null", "libx264 ultrafast")
    steps = {"copy in", "compute"} | ({"chroma"} if null.case.device == "cpu" else {"copy out"})
    assert set(null.alone) == {"decode", "infer", *steps}
    assert set(x264.alone) == {"decode", "infer", "encode", *steps}
    for cell in result.cells:
        for part in (cell.together, *cell.alone.values()):
            assert part.fps.low <= part.fps.median <= part.fps.high
            assert part.cpu_ms.median > 0
        assert [stage.name for stage in cell.stages] == ["decode", "infer", "encode"]
        assert (cell.case.model, cell.case.size_out, cell.case.batch) == ("bicubic-x2", (192, 128), 1)
        assert len(cell.package) == 16
    assert result.environment.versions["openvino"]
    assert any("decode" in line for line in said)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result.as_dict()))
    assert read_result(path) == result
    path.write_bytes(b"\0\0\0\x20ftypisom")
    with pytest.raises(ConfigError, match="is not JSON, nor text"):
        read_result(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "is not JSON"),
        ("[1, 2]", "is not a result of `vsr bench`: it has no schema"),
        ('{"alone": {}}', "is not a result of `vsr bench`: it has no schema"),
        ('{"schema": 99}', "is of schema 99, and this vsr reads schema 1"),
        ('{"schema": true}', "is of schema True"),
        ('{"schema": 1}', "is not a complete result of `vsr bench`: created is missing"),
        ('{"schema": 1, "cells": [{"case": 3}]}', "cells: each: case must be a table, got 3"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_garbage_is_no_result(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert main(["bench", "compare", str(path), str(path)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {path} ")
    assert words in error
    assert hint.startswith("hint: ")


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
    assert environment().gpu == ""
    asked = tmp_path / "nvidia-smi"
    asked.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 580.159.04'\n")
    asked.chmod(0o755)
    assert (environment().gpu, environment().driver) == ("NVIDIA H100 80GB HBM3", "580.159.04")


def test_a_report_does_not_replace_the_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mkv"
    clip.write_bytes(b"kept")
    assert main(["bench", "--input", str(clip), "--report", str(clip)]) == 2
    assert "is the input" in capsys.readouterr().err
    assert clip.read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--preset bogus", "no encoder given has a preset 'bogus'"),
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
    assert hint.startswith(("hint: libx264 has ultrafast, ", "hint: give even sides from 2 to 8192 "))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--device npu", "npu cannot be used here"),
        ("--model bicubic --scale 1", "x1 cannot be reached by bicubic-x2"),
    ],
)
def test_what_cannot_run_is_refused_before_a_clip_is_made(
    options: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Clips, "clip", lambda *_: pytest.fail("a clip was made"))
    assert main(["bench", *options.split()]) != 0
    assert words in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user writes everywhere")
    assert main(["bench", "--report", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.startswith("error: no permission to write in folder")
