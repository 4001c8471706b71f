"""Results beside each other, from their files, by the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bench_results import HERE, around, cell, result
from vsr.bench.compare import compare_results
from vsr.bench.result import BenchResult, Start
from vsr.cli import main
from vsr.machine.load import Load


def test_each_figure_is_compared_once() -> None:
    before = result(cell(15.0), cell(12.0, "libx264"))
    after = result(cell(18.0, infer=25.0), cell(11.0, "libx264", infer=25.0))
    found = compare_results(before, after)
    assert {change.what: (round(change.ratio, 2), change.verdict) for change in found.changes} == {
        "fast-x2 fp32, 960x540, openvino into null": (1.2, "better"),
        "fast-x2 fp32, 960x540, openvino into libx264": (0.92, "worse"),
        "decode alone, synthetic, 960x540": (1.0, "same"),
        "infer alone, fast-x2 fp32, 960x540, openvino": (1.25, "better"),
        "encode alone, libx264, 1920x1080": (1.0, "same"),
    }
    assert found.regressed
    assert not compare_results(before, before).regressed


def test_a_start_that_takes_longer_is_a_regression() -> None:
    def started(total: float) -> BenchResult:
        others = [around(0.1)] * 4
        return result(replace(cell(15.0), start=Start(*others, total=around(total))))

    found = compare_results(started(1.0), started(1.25))
    change = next(change for change in found.changes if change.unit == "s")
    assert (change.ratio, change.verdict) == (pytest.approx(0.8), "worse")


def test_what_only_one_has_is_named() -> None:
    found = compare_results(result(cell(15.0)), result(cell(15.0, "libx265")))
    assert "fast-x2 fp32, 960x540, openvino into null, fps" in found.only_before
    assert "fast-x2 fp32, 960x540, openvino into libx265, fps" in found.only_after
    assert not found.regressed


def test_other_machines_versions_packages_and_busy_ones_are_said() -> None:
    xeon = replace(HERE, cpu="Xeon", versions={"openvino": "2", "av": None})
    after = replace(
        result(replace(cell(15.0), package="cd"), environment=xeon), load=Load(10.0, 1.2, 0.0, 3.0)
    )
    machines, versions, busy, packages = compare_results(result(cell(15.0)), after).differences
    assert machines.startswith("these are two machines")
    assert "EPYC, 2 cores" in machines
    assert "Xeon, 2 cores" in machines
    assert versions == "versions differ: openvino 1 and 2"
    assert (
        busy == "the machine was busy during the second: others used 1.2 cores meanwhile, and 0.0 were stolen"
    )
    assert packages == "the packages differ: fast-x2"
    assert compare_results(result(cell(15.0)), result(cell(15.0))).differences == ()


def test_the_command_says_it_and_exits_with_1_for_a_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for name, fps in (("old", 15.0), ("same", 15.1), ("slow", 12.0)):
        paths.append(str(tmp_path / f"{name}.json"))
        Path(paths[-1]).write_text(json.dumps(result(cell(fps)).as_dict()))
    old, same, slow = paths
    assert main(["bench", "compare", old, same]) == 0
    assert main(["bench", "compare", old, same, slow]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5].split() == [slow, "beside", old]
    row = "fast-x2 fp32, 960x540, openvino into null".split()
    assert [line.split() for line in lines[-3:] if "into null" in line] == [
        [*row, "15.0", "12.0", "fps", "0.80", "slower"]
    ]
    assert main(["bench", "compare", old]) == 2
    assert "give at least two results" in capsys.readouterr().err
