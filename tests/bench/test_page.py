"""A result as people see it."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.support.bench_results import around, cell, part, result
from vsr.bench.config import BenchConfig
from vsr.bench.page import markdown, notes, picture
from vsr.bench.result import LeftOut, Start
from vsr.bench.run import command_of
from vsr.bench.statistics import Spread
from vsr.cli import main
from vsr.machine.load import Load


def test_markdown_has_a_row_for_each_cell_and_names_a_busy_machine() -> None:
    found = replace(
        result(replace(cell(15.0), of_rate=0.4), cell(12.0, "libx264")),
        load=Load(60.0, 0.7, 0.1, 2.0),
        left_out=(LeftOut("a|b", "the time was over"),),
    )
    table = markdown(found).splitlines()
    assert table[0].startswith("| network | into | fps |")
    assert {line.count("|") for line in table[:4]} == {11}
    assert (
        table[2]
        == "| fast-x2 fp32, 960x540, openvino | null | 15 | 14.8 to 15.2 | 2.0 | 66.7 | 20 |  |  | 40% |"
    )
    assert "| 12 |" in table[3]
    assert "| 80 |" in table[3]
    assert any(line.startswith("- busy machine: others used 0.7 cores") for line in table)
    assert "- left out: a\\|b: the time was over" in table


def test_what_inferring_comes_to_is_told_once_for_a_network() -> None:
    steps = {"copy in": part(5000.0), "chroma": part(400.0), "compute": part(25.0)}
    cells = [replace(one, alone={**one.alone, **steps}) for one in (cell(15.0), cell(12.0, "libx264"))]
    told = [line for line in notes(result(*cells, cell(9.0))) if line.startswith("one frame")]
    assert told == [
        "one frame alone in fast-x2 fp32, 960x540, openvino: copy in 0.2 ms, compute 40 ms, chroma 2.5 ms"
    ]


def test_what_a_gpu_took_of_a_step_stands_beside_it() -> None:
    compute = replace(part(25.0), gpu_ms=around(39.0))
    (told,) = (
        line for line in notes(result(replace(cell(15.0), alone={"compute": compute}))) if "alone" in line
    )
    assert told.endswith("compute 40 ms (39 of the GPU)")


def test_a_start_and_the_memory_are_told() -> None:
    each = [Spread(seconds, seconds, seconds, 9) for seconds in (0.3, 0.2, 0.25, 0.05, 0.8)]
    told = notes(result(replace(cell(15.0), start=Start(*each), memory_mb=321.4)))
    assert (
        "from the command to the first frame, fast-x2 fp32, 960x540, openvino into null: 0.80 s (imports 0.30, opening and "
        "model 0.20, compiling 0.25, first frame 0.05; of 9), 321 MB at most"
    ) in told


def test_a_plot_is_a_picture() -> None:
    pytest.importorskip("matplotlib")
    with Image.open(io.BytesIO(picture(result(cell(15.0), cell(12.0, "libx264"))))) as image:
        assert (image.format, image.size[0] > 500) == ("PNG", True)


def test_a_plot_without_matplotlib_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "matplotlib" else find(name, *more)
    )
    assert main(["bench", "--plot", str(tmp_path / "x.png")]) != 0
    assert capsys.readouterr().err.splitlines() == [
        "error: a plot needs Matplotlib, and that is not installed",
        "hint: pip install matplotlib",
    ]


def test_two_outputs_are_not_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "x")
    assert main(["bench", "--report", path, "--markdown", path]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_command_measures_the_same_again() -> None:
    config = BenchConfig(
        suite="default",
        models=("fast", "my net"),
        sizes=((64, 48),),
        in_flights=(2,),
        budget_s=90.0,
        threads=2,
        build=False,
    )
    assert command_of(config) == (
        "vsr bench --no-build --model fast --model 'my net' --size 64x48 --in-flight 2 --suite default --budget 1.5 --threads 2"
    )
    assert command_of(BenchConfig()) == "vsr bench"
