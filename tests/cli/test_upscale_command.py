"""What the upscale command asks of the api, with an api that only writes down what it is asked."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import vsr
from vsr.cli import main
from vsr.core.control import Control
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.progress import Progress
from vsr.jobs.report import Report

REPORT = Report(
    input="in.mp4",
    output="out.mp4",
    model="bicubic-x2",
    backend="openvino",
    device="cpu",
    precision="fp32",
    size_in=(64, 36),
    size_out=(128, 72),
    frames_in=5,
    frames_out=5,
    seconds=1.0,
    setup_s=0.1,
    cpu_s=1.0,
    fps=5.0,
    stages=(),
    bottleneck="infer",
    warnings=("chapters are lost",),
)


class Api(ModuleType):
    JobControl = Control

    def __init__(self) -> None:
        super().__init__("vsr.api")
        self.config: UpscaleConfig | None = None
        self.report = REPORT
        self.left: list[str] = []

    def upscale_many(
        self,
        config: UpscaleConfig,
        *,
        progress: Any,
        control: Control,
        on_failure: Any,
        on_left: Any,
        on_said: Any,
        on_skip: Any,
        on_begin: Any,
        on_report: Any,
    ) -> list[Report]:
        self.config = config
        assert isinstance(control, Control)
        if progress is not None:
            progress(Progress("in.mp4", 1, 5, 1.0, None, 4.0))
        if self.left:
            on_left(self.left)
        on_report(self.report, 0, 1)
        return [self.report]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    fake = Api()
    monkeypatch.setitem(sys.modules, "vsr.api", fake)
    monkeypatch.setattr(vsr, "api", fake, raising=False)
    return fake


def test_defaults(api: Api) -> None:
    assert main(["upscale", "in.mp4"]) == 0
    assert api.config == UpscaleConfig(inputs=("in.mp4",))


def test_every_option_arrives(api: Api) -> None:
    arguments = (
        "upscale in.mp4 out.nut --size 1920x1080 --model fast-x2 --backend onnxruntime --encoder libx265 --crf 18.5 "
        "--preset slow --pix-fmt yuv420p10le --encoder-option a=1 --encoder-option b=2=3 --start 1:00 --duration 2.5 "
        "--video-stream 1 --deinterlace off --frame-rate 30000/1001 --strict --batch 4 --tile 256 --threads 2 --overwrite "
        "--format nut"
    )
    assert main(arguments.split()) == 0
    config = api.config
    assert config is not None
    assert (config.inputs, config.output, config.size) == (("in.mp4",), "out.nut", (1920, 1080))
    assert (config.network.model, config.network.backend) == ("fast-x2", "onnxruntime")
    assert (config.network.batch, config.network.tile, config.network.threads) == (4, 256, 2)
    assert (config.source.start_s, config.source.duration_s, config.source.video_stream) == (60, 2.5, 1)
    assert (config.source.deinterlace, config.source.strict) == ("off", True)
    assert config.source.frame_rate == Fraction(30000, 1001)
    assert (config.sink.encoder, config.sink.crf, config.sink.preset) == ("libx265", 18.5, "slow")
    assert (config.sink.pix_fmt, config.sink.overwrite) == ("yuv420p10le", True)
    assert config.sink.encoder_options == {"a": "1", "b": "2=3"}
    assert config.sink.container_format == "nut"


@pytest.mark.parametrize("pair", ["--scale 2 --size 10x10", "--crf 20 --bitrate 1M"])
def test_what_excludes_each_other(api: Api, pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "in.mp4", *pair.split()]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert api.config is None


def test_the_report_is_printed_and_written(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    assert main(["upscale", "in.mp4", "--report", str(path)]) == 0
    assert api.config is not None
    assert api.config.report == path
    assert "wrote out.mp4" in capsys.readouterr().out
    assert json.loads(path.read_text())["reports"][0]["frames_out"] == 5


def test_a_report_nowhere_is_refused_before_the_work(api: Api, tmp_path: Path) -> None:
    assert main(["upscale", "in.mp4", "--report", str(tmp_path / "no" / "report.json")]) == 2
    assert api.config is None


def test_quiet_still_warns(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "in.mp4", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "warning: chapters are lost\n"


def test_standard_output_is_left_to_the_video(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "in.mp4", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "5 frames" in captured.err


def test_stopped_is_130(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.report = replace(REPORT, stopped_early=True, output="out.mp4.part")
    assert main(["upscale", "in.mp4"]) == 130
    out = capsys.readouterr().out
    assert "stopped after 5 frames" in out
    assert "wrote out.mp4.part" in out


@pytest.mark.parametrize(
    ("left", "said"), [(["b.png"], "b.png"), (["b.png", "c.png", "d.png"], "b.png and 2 more")]
)
def test_inputs_not_begun_are_told_and_130(
    left: list[str], said: str, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.left = left
    assert main(["upscale", "a.png", *left, "out/", "-q"]) == 130
    assert f"stopped: {said} not begun" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", ["--threads 99999999999", "--bitrate 99999999999999999999", "--start 99999999999999999999"]
)
def test_numbers_out_of_range_are_refused(option: str, api: Api) -> None:
    assert main(["upscale", "in.mp4", *option.split()]) == 2
    assert api.config is None


def test_of_several_inputs_each_has_a_line_and_those_that_failed_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"no picture")
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    assert main(["upscale", *names, f"{tmp_path}/out/", "--model", "bicubic"]) == 4
    said = capsys.readouterr()
    assert [line.partition(":")[0] for line in said.out.splitlines()] == [
        f"[1/3] {names[0]}",
        f"[3/3] {names[2]}",
    ]
    assert said.err.splitlines()[-2] == "1 of 3 inputs failed:"
    assert names[1] in said.err.splitlines()[-1]
