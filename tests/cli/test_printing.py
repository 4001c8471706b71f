"""Every command: --json prints one document on standard output, --quiet prints nothing, errors go to standard error.

The table in docs/reference.md names what each document holds.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.cli.test_agrees import COMMANDS
from tests.support import bench_results, clips
from tests.support.job_parts import begun, report_of
from tests.support.recipes import recipe
from vsr import api
from vsr.backends.guarded import Parity
from vsr.backends.tensorrt.build import BuiltEngine
from vsr.backends.tensorrt.store import EngineStore, Identity, Manifest
from vsr.bench.tune import TuneResult
from vsr.cli.app import run
from vsr.convert.onnx_file import OnnxFile
from vsr.evaluation.demo import DemoResult
from vsr.evaluation.trial import Trial
from vsr.evaluation.trial_page import Tried
from vsr.jobs.tasks import Joined
from vsr.machine.tuned import Tuned
from vsr.training import trainer
from vsr.training.config import TrainResult

WORDS = {
    "upscale": "clip.mp4 out.mp4 --model bicubic --preset ultrafast --overwrite",
    "jobs list": ".",
    "jobs show": "job.mp4",
    "jobs export": "job.mp4 made.mp4",
    "jobs clean": "--yes",
    "stream": "clip.mp4 null: --realtime --model bicubic --max-latency 30000 --duration 0.1",
    "demo": "folder",
    "try": "clip.mp4 --output page.html --overwrite",
    "probe": "clip.mp4",
    "doctor": "",
    "model list": "",
    "model show": "bicubic-x2",
    "model export": "weights.safetensors mine-x2",
    "model import": "network.onnx mine-x2",
    "engine build": "fast-x2 --for 8.9",
    "engine list": "",
    "engine show": "KEY",
    "engine verify": "KEY",
    "engine remove": "KEY",
    "evaluate": "--model bicubic-x2 --data clips --frames 1",
    "compare": "clip.mp4 clip.mp4 --output page.html --overwrite",
    "bench": "",
    "bench tune": "",
    "bench compare": "a.json a.json",
    "train": "fast-x2 --data clips --out run",
}
PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with what the commands take; work that takes long is left out. The key of its engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VSR_ENGINES", str(tmp_path / "engines"))
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    shutil.copy(clip, "clip.mp4")
    Path("clips").mkdir()
    shutil.copy(clip, "clips")
    begun(Path("job.mp4"), 2)
    Path("a.json").write_text(json.dumps(bench_results.result(bench_results.cell(10.0)).as_dict()))
    (store := EngineStore()).folder.mkdir(mode=0o755)
    identity = Identity(recipe().as_dict(), "a", "b", "tensorrt_rtx", "1", "8.9", "")
    manifest = Manifest(identity, "", (), "2026", 1.0, 4, "c", Parity(61.5, 2, 0, 8))
    folder = store.add(manifest, b"plan", "")
    results: dict[str, Any] = {
        "export_job": Joined("made.mp4", 40, 1000, (), ()),
        "export_model": (bicubic := api.find_model("bicubic-x2")),
        "import_model": bicubic,
        "build_engine": BuiltEngine(manifest, folder, was_there=False),
        "verify_engine": manifest,
        "benchmark": bench_results.result(bench_results.cell(10.0)),
        "demo": DemoResult(report_of(25), Path("folder/demo.mp4"), Path("folder/demo.png")),
        "try_out": Trial((0.0,), (Tried("fast-x2", "vsr upscale clip.mp4", "why"),), (), Path("page.html")),
        "tune": TuneResult("fast-x2", Tuned(threads=2), "tuned.json", {"2 threads": 12.0}, ()),
    }
    for name, result in results.items():
        monkeypatch.setattr(api, name, lambda *_, result=result, **__: result)
    trained = TrainResult(Path("run/weights.safetensors"), 10, 1.0, finished=True, psnr={"Set5": 37.0})
    monkeypatch.setattr(trainer, "train", lambda _: trained)
    return identity.key


def words_of(command: str, key: str) -> list[str]:
    return [*command.split(), *WORDS[command].replace("KEY", key).split()]


def not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def documented() -> dict[str, set[str]]:
    """The names in the document of each command, or in each element of it, as the page has them."""
    section = PAGE.read_text().partition("\n## JSON\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|[^|]*\| (.*) \|$", section, re.MULTILINE)
    return {
        command: set(re.findall(r"`(\w+)`", names))
        for commands, names in rows
        for command in re.findall(r"`([a-z ]+)`", commands)
    }


def test_every_command_is_tried_and_documented() -> None:
    assert WORDS.keys() == COMMANDS.keys() == documented().keys()


@pytest.mark.parametrize("command", WORDS)
def test_json_is_one_document_as_the_page_has_it(
    command: str, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*words_of(command, key), "--json"]) == 0
    document = json.loads(capfd.readouterr().out, parse_constant=not_json)
    assert isinstance(document, list) == command.endswith(
        ("list", "clean", "remove", "doctor", "bench compare")
    )
    if command == "engine remove":
        assert document == [key]
    else:
        more = (
            {"folder", "was_there"} if command.startswith("engine") and command != "engine build" else set()
        )
        assert (
            documented()[command] - more == (document[0] if isinstance(document, list) else document).keys()
        )


@pytest.mark.parametrize("command", WORDS)
def test_quiet_prints_nothing(command: str, key: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*words_of(command, key), "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_an_onnx_file_has_a_document_of_its_own(
    key: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = OnnxFile(Path("mine.onnx"), 2, "fp16", 0.5)
    file.path.write_bytes(b"onnx")
    monkeypatch.setattr(api, "export_onnx", lambda *_, **__: file)
    assert run(["model", "export", "weights.safetensors", "mine.onnx", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {
        "path": "mine.onnx",
        "scale": 2,
        "precision": "fp16",
        "largest_difference": 0.5,
    }


def test_errors_are_no_part_of_it(key: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["probe", "nowhere.mp4", "--json"]) == 4
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: nowhere.mp4")


def test_inputs_that_failed_are_named_in_it(key: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("broken.mp4").write_bytes(b"no video")
    words = (
        "upscale broken.mp4 clip.mp4 larger/ --model bicubic --preset ultrafast --json --report report.json"
    )
    assert run(words.split()) == 4
    printed = capfd.readouterr()
    document = json.loads(printed.out)
    assert [report["input"] for report in document["reports"]] == ["clip.mp4"]
    (failed,) = document["failed"]
    assert (failed["input"], failed["exit_code"]) == ("broken.mp4", 4)
    assert failed["error"] in printed.err
    assert document == json.loads(Path("report.json").read_text())


def test_a_dry_run_has_previews(key: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("upscale clip.mp4 out.mp4 --model bicubic --dry-run --json".split()) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["reports"] == []
    assert document["previews"][0]["output"] == "out.mp4"


def test_standard_output_takes_one_thing(key: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["upscale", "clip.mp4", "-", "--format", "nut", "--json"]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "--report FILE" in printed.err
