"""The commands that print what the api tells, with an api that tells little."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import vsr
from vsr.bench.config import BenchConfig
from vsr.bench.result import BenchResult, Case, Cell, LeftOut, Part, read_result
from vsr.bench.statistics import FrameTimes, Spread
from vsr.cli import main
from vsr.core.control import Control
from vsr.machine.doctor import Check
from vsr.machine.environment import Environment
from vsr.machine.load import Load


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    fake: Any = ModuleType("vsr.api")
    fake.BenchConfig, fake.JobControl = BenchConfig, Control
    monkeypatch.setitem(sys.modules, "vsr.api", fake)
    monkeypatch.setattr(vsr, "api", fake, raising=False)
    return fake


def test_doctor(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [
        Check("PyAV", True, "18.1", needed=True),
        Check("torch", False, "not installed", "pip install it"),
    ]
    api.doctor = lambda: checks
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok  PyAV   18.1",
        "--  torch  not installed",
        "           to get it: pip install it",
    ]
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1]["remedy"] == "pip install it"
    checks.append(Check("models", False, "none", "reinstall vsr", needed=True))
    assert main(["doctor"]) == 1
    assert "!!  models" in capsys.readouterr().out


def test_probe(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    api.probe = lambda url, video_stream: SimpleNamespace(as_dict=lambda: {"input": url, "size": [640, 360]})
    api.preview = lambda url, video_stream: SimpleNamespace(as_dict=lambda: {"output": f"{url}_x2"})
    assert main(["probe", "in.mp4"]) == 0
    assert capsys.readouterr().out == ("input: in.mp4\nsize: 640 x 360\nvsr upscale:\n  output: in.mp4_x2\n")
    assert main(["probe", "in.mp4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "input": "in.mp4",
        "size": [640, 360],
        "vsr_upscale": {"output": "in.mp4_x2"},
    }


def test_probe_opens_standard_input_once(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    api.probe = lambda url, video_stream: SimpleNamespace(as_dict=lambda: {"input": url})
    assert main(["probe", "-"]) == 0  # there is no api.preview here
    out = capsys.readouterr().out
    assert out.startswith("input: -\nvsr upscale:\n")
    assert "read only once" in out


def test_bench(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[BenchConfig] = []
    part = Part(Spread(10.0, 9.0, 11.0, 5), Spread(1.5, 1.4, 1.6, 5), FrameTimes(100.0, 120.0, 130.0, 40))
    case = Case("bicubic-x2", 2, (64, 36), (128, 72), "openvino", "fp32")
    result = BenchResult(
        created="2026-01-01T00:00:00+00:00",
        command="",
        environment=Environment("a processor", 2, 8.0, "Linux x86_64", "3.11"),
        cells=(Cell(case, part, {"decode": part}, bottleneck="infer"),),
        left_out=(LeftOut("quality", "the time was over"),),
        load=Load(10.0, 1.5, 0.0, 3.0),
    )

    def bench(config: BenchConfig, say: Any) -> BenchResult:
        asked.append(config)
        say("decode")
        return result

    api.benchmark = bench
    report = tmp_path / "bench.json"
    words = f"bench --model bicubic --size 64x36 --frames 10 --preset ultrafast --report {report}"
    assert main(words.split()) == 0
    assert asked == [BenchConfig(models=("bicubic",), sizes=((64, 36),), frames=10, presets=("ultrafast",))]
    captured = capsys.readouterr()
    assert captured.err == "decode\n"
    head, row, *_ = captured.out.splitlines()
    assert head.startswith("network")
    assert row.startswith("bicubic-x2 fp32, 64x36, openvino  null   10    9 to 11   120.0")
    assert "busy machine: others used 1.5 cores meanwhile" in captured.out
    assert "left out: quality: the time was over" in captured.out
    assert read_result(report) == result


def test_models_as_they_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "list"]) == 0
    listed = capsys.readouterr().out
    assert "bicubic-x2" in listed
    assert main(["model", "show", "bicubic-x2"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("name: bicubic-x2\n")
    assert "scale: 2\n" in shown


def test_a_model_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "bicubik"]) == 5
    assert "did you mean" in capsys.readouterr().err
