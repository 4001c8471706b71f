"""What `vsr bench tune` keeps: only what is faster, within its time, where commands find it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support import clips
from tests.support.clock import PretendedClock
from tests.support.pretend_openvino import pretend
from tests.support.workers import workers_of
from vsr import api
from vsr.bench.plan import Output
from vsr.bench.recorder import Recorder, WarmUp
from vsr.bench.stages import side_by_side
from vsr.bench.tune import Change, TuneConfig, groups, search
from vsr.cli.app import vsr
from vsr.core.clock import SYSTEM_CLOCK
from vsr.core.control import Cancelled
from vsr.core.errors import ConfigError
from vsr.jobs.config import UpscaleConfig
from vsr.machine import tuned as kept
from vsr.machine.doctor import doctor
from vsr.machine.tuned import Tuned
from vsr.models import find_model
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

GROUPS: list[list[Change]] = [
    [("1 in flight", {"in_flight": 1}), ("4 in flight", {"in_flight": 4})],
    [("1 encoder threads", {"encoder_threads": 1})],
    [("int8", {"precision": "int8"})],
]


class Machine:
    """Frames per second by setting; each measurement takes the seconds it is given."""

    def __init__(self, noise: float = 0.0) -> None:
        self.clock = PretendedClock()
        self.noise, self.seen = noise, list[Tuned]()

    def __call__(self, tuned: Tuned, seconds: float) -> float:
        self.seen.append(tuned)
        self.clock.advance(seconds)
        fps = 10.0 * {1: 0.8, 4: 1.3}.get(tuned.in_flight or 0, 1.0)
        fps *= 1.2 if tuned.precision == "int8" else 1.0
        fps *= 1.02 if tuned.encoder_threads else 1.0
        return fps * (1 + self.noise * (-1) ** len(self.seen))


def found(machine: Machine, budget_s: float = 60.0) -> Any:
    return search(GROUPS, machine, budget_s, lambda _words: None, machine.clock)


def test_what_is_faster_stays_and_is_what_the_next_is_measured_beside() -> None:
    machine = Machine()
    result = found(machine)
    assert (result.best.in_flight, result.best.precision) == (4, "int8")
    assert result.best.encoder_threads == 0, "2 % are within what two runs differ by"
    assert (result.best.fps_before, result.best.fps) == (10.0, 15.6)
    assert Tuned(in_flight=4) in machine.seen
    assert not result.left_out
    assert machine.clock.now() - 1000 <= 61


def test_what_differs_by_as_much_as_the_measurements_is_not_kept() -> None:
    assert found(Machine(noise=0.4)).best.in_flight is None


def test_what_there_is_no_time_for_is_named() -> None:
    machine = Machine()
    result = found(machine, budget_s=9.0)
    assert result.left_out == ("1 encoder threads", "int8")
    assert machine.clock.now() - 1000 < 20


@pytest.mark.parametrize(("device", "tried"), [("auto", ["on gpu:0", "on gpu:1", "on npu"]), ("cpu", [])])
def test_other_devices_are_tried_unless_one_is_named(
    device: str, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    config = TuneConfig(NetworkOptions("bicubic", device=device))
    with Upscaler(config.network) as upscaler:
        first = next(iter(groups(config, upscaler)))
    assert [words for words, _ in first] == tried
    found = search(
        [first], lambda tuned, _s: 20.0 if tuned.device == "gpu:1" else 10.0, 60, lambda _words: None
    )
    assert found.best.device == ("gpu:1" if tried else "")


@pytest.mark.parametrize(
    ("here", "encoder", "tried"),
    [
        (1, "libx264", []),
        (2, "libx264", ["2 workers"]),
        (32, "libx264", ["2 workers", "8 workers"]),
        (32, "null", []),
    ],
)
def test_workers_are_tried_where_there_is_something_to_share(
    here: int, encoder: str, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.bench.tune.cores", lambda: here)
    config = TuneConfig(NetworkOptions("bicubic", device="cpu"), encoder=encoder)
    with Upscaler(config.network) as upscaler:
        words = [words for group in groups(config, upscaler) for words, _ in group]
    assert [word for word in words if word.endswith(" workers")] == tried


def test_workers_that_are_measured_are_at_work_together_and_end(tmp_path: Path) -> None:
    clip = clips.h264("plain.mp4")
    recorder = side_by_side(
        NetworkOptions("bicubic"),
        str(clip),
        Output("libx264", "ultrafast"),
        tmp_path,
        2,
        lambda: Recorder(WarmUp(least=1, most=1), SYSTEM_CLOCK.now()),
    )
    assert recorder.part().fps.median > 0
    assert not workers_of(os.getpid())


@pytest.fixture
def spec() -> Any:
    return find_model("bicubic")


def keep(spec: Any, **values: Any) -> Path:
    where = {"backend": "openvino", "device": "cpu", "package": spec.numbers_hash}
    return kept.keep(spec, Tuned(**{**where, **values}))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_commands_use_what_is_kept_and_options_count_more(spec: Any) -> None:
    keep(spec, threads=1, in_flight=5, batch=2, encoder_threads=3)
    with Upscaler("bicubic") as upscaler:
        assert (upscaler.in_flight, upscaler.batch(64, 48), upscaler.tuned.encoder_threads) == (5, 2, 3)
        assert upscaler._compiling.threads == 1
    with Upscaler("bicubic", threads=2, batch=1) as upscaler:
        assert (upscaler._compiling.threads, upscaler.batch(64, 48)) == (2, 1)
    with Upscaler("bicubic", backend="onnxruntime") as upscaler:
        assert upscaler.tuned == Tuned(), "it was found on another backend"


@pytest.mark.parametrize(("asked", "taken"), [(None, [3]), (2, [2]), (1, [])])
def test_a_job_in_segments_has_the_workers_that_are_kept_unless_it_says_how_many(
    asked: int | None, taken: list[int], spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spec, workers=3)
    counts: list[int] = []

    def workers(count: int, *_others: object) -> None:
        counts.append(count)
        raise Cancelled

    monkeypatch.setattr("vsr.jobs.workers.Workers", workers)
    clip = clips.h264("gop.mp4", "-g", "5", source="testsrc2=size=64x48:rate=25:duration=0.4")
    config = UpscaleConfig(
        (str(clip),), str(tmp_path / "out.mp4"), NetworkOptions("bicubic"), segment=0.2, workers=asked
    )
    with contextlib.suppress(Cancelled):
        api.upscale_many(config)
    assert counts == taken


def test_other_hardware_or_another_package_does_not_use_it(
    spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spec, in_flight=5, package="0" * 16)
    assert kept.tuned_for(spec, "openvino", "cpu") == Tuned()
    keep(spec, in_flight=5)
    assert kept.tuned_for(spec, "openvino", "cpu").in_flight == 5
    monkeypatch.setattr(kept, "cores", lambda: 96)
    assert kept.tuned_for(spec, "openvino", "cpu") == Tuned()
    (check,) = [check for check in doctor() if check.name == "tuned"]
    assert check.ok
    assert "1 of other hardware or versions not used" in check.detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"networks": 1}',
        '{"networks": {"bicubic-x2": {"in_flight": -1}}}',
        '{"networks": {"bicubic-x2": {"device": "toaster"}}}',
        "\0" * 64,
    ],
)
def test_a_damaged_file_is_one_line_and_no_command_fails(text: str, spec: Any) -> None:
    path = keep(spec, in_flight=5)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="is damaged"):
        kept.read(path)
    with Upscaler("bicubic") as upscaler:
        assert upscaler.upscale(np.zeros((8, 8), np.uint8)).shape == (16, 16)
        assert [note for note in upscaler.notes if f"{path} is damaged" in note and "\n" not in note]
    (check,) = [check for check in doctor() if check.name == "tuned"]
    assert not check.ok
    assert check.remedy == "vsr bench tune"
    keep(spec, in_flight=4)
    assert kept.tuned_for(spec, "openvino", "cpu").in_flight == 4


def test_the_command_measures_keeps_and_shows() -> None:
    words = "bench tune --model bicubic --size 64x48 --encoder null --budget 0.1 --threads 1 --precision fp32 --json"
    done = CliRunner().invoke(vsr, words.split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["model"] == "bicubic-x2"
    assert Path(result["path"]).is_file()
    assert result["tried"]
    assert not [words for words in [*result["tried"], *result["left_out"]] if "threads" in words]
    (check,) = [check for check in doctor() if check.name == "tuned"]
    assert "bicubic-x2: " in check.detail


def test_a_budget_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="budget of 0 minutes"):
        api.TuneConfig(NetworkOptions(), budget_s=0.0)
