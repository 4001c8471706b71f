"""A network with memory in a job: in one pass, in segments, and the reasons why it begins again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vsr
from tests.support import clips
from tests.support.enlarged import pictures
from tests.support.memory_network import write_memory_network
from tests.support.own_models import own_memory_network
from vsr.cli import main
from vsr.jobs import in_segments
from vsr.jobs.upscale import UpscaleJob
from vsr.upscale.upscaler import Upscaler

QUICK: dict[str, Any] = {"encoder": "ffv1"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_memory_network(tmp_path_factory.mktemp("packages") / "memory-x2").folder)


def clip(folder: Path, *, interlaced: bool = False) -> Path:
    """40 frames, with keyframes every 10."""
    source = f"testsrc2=size=64x48:rate={50 if interlaced else 25}:duration=1.6"
    encoding = ["-c:v", "libx264", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p"]
    encoding += ["-vf", "interlace", "-flags", "+ilme+ildct"] if interlaced else []
    made = clips.make(f"remembers-{interlaced}.mp4", *encoding, source=source)
    return Path(shutil.copy2(made, folder / "in.mp4"))


def same(one: Path, other: Path) -> bool:
    found, wanted = pictures(one), pictures(other)
    return len(found) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("fields", [False, True])
def test_segments_are_as_in_one_pass(
    fields: bool, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins with frames from before it, which its file does not hold; also where a frame becomes two."""
    options: dict[str, Any] = {**QUICK, "model": package, "deinterlace": "field"}
    video = clip(tmp_path, interlaced=fields)
    names = [tmp_path / f"{name}.mkv" for name in ("whole", "parts", "cold")]
    whole = vsr.upscale_file(str(video), str(names[0]), segment=0, **options)
    parts = vsr.upscale_file(str(video), str(names[1]), segment=0.4, **options)
    assert parts.frames_out == whole.frames_out == (80 if fields else 40)
    assert parts.frames_in == whole.frames_in == whole.frames_out
    assert same(names[0], names[1])
    assert dict(whole.resets) == dict(parts.resets) == {"start": 1}
    monkeypatch.setattr(in_segments, "LEAD", 0)
    cold = vsr.upscale_file(str(video), str(names[2]), segment=0.4, **options)
    assert sum(cold.resets.values()) == 4
    assert not same(names[0], names[2]), "the memory shows in these frames"


def test_a_cut_begins_the_memory_again(package: str, tmp_path: Path) -> None:
    scenes = (f"{name}=size=64x48:rate=25:duration=0.8" for name in ("testsrc2", "smptebars"))
    source = "{}[a];{}[b];[a][b]concat".format(*scenes)
    video = clips.make("cut.mp4", "-c:v", "libx264", "-g", "10", "-pix_fmt", "yuv420p", source=source)
    options: dict[str, Any] = {**QUICK, "model": package}
    reports = [
        vsr.upscale_file(str(video), str(tmp_path / f"{segment}.mkv"), segment=segment, **options)
        for segment in (0, 0.4)
    ]
    assert [dict(report.resets) for report in reports] == [{"start": 1, "cut": 1}] * 2
    assert same(tmp_path / "0.mkv", tmp_path / "0.4.mkv")


def test_a_job_that_begins_later_says_so(package: str, tmp_path: Path) -> None:
    report = vsr.upscale_file(
        str(clip(tmp_path)), str(tmp_path / "late.mkv"), model=package, start_s=0.8, **QUICK
    )
    assert dict(report.resets) == {"seek": 1}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    own_memory_network(monkeypatch, tmp_path_factory)


def said_of(report: vsr.Report) -> list[str]:
    return [note for note in report.notes if "which has a memory" in note]


def test_by_itself_a_video_gets_a_memory_where_the_machine_is_fast_enough(
    own: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, output = clip(tmp_path), tmp_path / "out.mkv"

    def made(**options: Any) -> vsr.Report:
        return vsr.upscale_file(str(video), str(output), model="bicubic", overwrite=True, **QUICK, **options)

    found = made()
    assert (found.model, dict(found.resets)) == ("memory-x2", {"start": 1})
    assert said_of(found) == [
        "model memory-x2, which has a memory, for bicubic-x2: fast enough here; --temporal off leaves it out"
    ]
    assert (made(temporal="on").model, said_of(made(temporal="on"))) == ("memory-x2", [])
    without = made(temporal="off")
    assert (without.model, said_of(without), dict(without.resets)) == ("bicubic-x2", [], {})
    # 64x48 at 25 frames a second leave 28 ms for a frame.
    for frame_s, model in ((0.027, "memory-x2"), (0.029, "bicubic-x2")):
        monkeypatch.setattr(Upscaler, "seconds_a_frame", lambda _self, _w, _h, each=frame_s: each)
        assert made().model == model
        assert made(temporal="on").model == "memory-x2"


def test_pictures_have_none(own: None, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(picture := tmp_path / "in.png")
    for options in ({"model": "bicubic", "temporal": "on"}, {"model": "memory-x2"}, {"model": "bicubic"}):
        report = vsr.upscale_file(str(picture), str(tmp_path / "out.png"), overwrite=True, **options)
        assert (report.model, dict(report.resets)) == ("bicubic-x2", {})


def test_a_begun_job_keeps_its_network(own: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and later runs get the choice, not the question."""
    video, output = clip(tmp_path), tmp_path / "out.mkv"
    options: dict[str, Any] = {"model": "bicubic", "segment": 0.4, **QUICK}
    seen: list[str] = []
    real = UpscaleJob.run_part

    def run_part(self: UpscaleJob, *given: Any, **named: Any) -> vsr.Report:
        seen.append(self._config.network.temporal)
        return real(self, *given, **named)

    monkeypatch.setattr(UpscaleJob, "run_part", run_part)
    report = vsr.upscale_file(str(video), str(output), **options)
    assert (report.model, seen) == ("memory-x2", ["on"] * 4)
    seen.clear()
    report = vsr.upscale_file(str(video), str(output), **options, temporal="off", overwrite=True)
    assert (report.model, seen) == ("bicubic-x2", ["off"] * 4)


def test_the_command_line_says_that_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, output = clip(tmp_path), tmp_path / "out.mkv"
    assert main(["upscale", str(video), str(output), "--model", "bicubic", "--temporal", "on"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == "error: bicubic-x2 has no network with memory"
    assert said[-1].startswith("hint: leave out --temporal on, or take --model balanced-x2")
    assert not output.exists()
