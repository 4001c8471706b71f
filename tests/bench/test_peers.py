"""The programs of benchmarks/ that measure things side by side."""

from __future__ import annotations

import os
import sys
import venv
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.interleave import busy, interleaved, make_clip, of, ratio
from benchmarks.peers.__main__ import MODULES, Failed, measured, python_of
from benchmarks.peers.peer import Loop, Peer, Task
from tests.support.enlarged import frame_seconds, stream


def peer(module: str) -> Peer:
    found: Peer = import_module(f"benchmarks.peers.{module}").PEER
    return found


def test_every_module_is_a_peer_and_pins_what_it_needs() -> None:
    folder = Path(import_module("benchmarks.peers").__path__[0])
    assert {path.stem for path in folder.glob("*.py") if "\nPEER = " in path.read_text()} == set(MODULES)
    peers = [peer(module) for module in MODULES]
    assert len({one.name for one in peers}) == len(peers)
    for one in peers:
        assert one.licence
        assert all("==" in requirement for requirement in one.requirements)


class Doubled(Loop):
    name, licence = "doubled", "none"

    def prepare(self, task: Task) -> None:
        self.task = task

    def enlarge(self, rgb: Any) -> Any:
        return np.repeat(np.repeat(rgb, 2, 0), 2, 1)


def test_the_plain_loop_keeps_every_frame_and_its_time(tmp_path: Path) -> None:
    clip, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    make_clip(clip, 32, 16, 5)
    loop = Doubled()
    loop.prepare(Task(tmp_path, 32, 16, 2))
    frames, seconds = loop.run(str(clip), str(output))
    assert frames == 5
    assert seconds > 0
    assert (stream(output)["width"], stream(output)["height"]) == (64, 32)
    assert frame_seconds(output) == frame_seconds(clip)


def test_a_peer_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    clip = tmp_path / "in.mp4"
    make_clip(clip, 32, 16, 5)
    found = measured("ffmpeg_lanczos", sys.executable, Task(tmp_path, 32, 16, 4), clip, clip)
    assert found["frames"] == 5
    assert found["fps"] == pytest.approx(5 / found["seconds"], rel=0.01)
    assert stream(tmp_path / "ffmpeg_lanczos.mp4")["width"] == 128


def test_a_peer_that_fails_says_why(tmp_path: Path) -> None:
    clip = tmp_path / "in.mp4"
    with pytest.raises(Failed, match="nosuch"):
        measured("nosuch", sys.executable, Task(tmp_path, 32, 16, 4), clip, clip)


def test_an_environment_that_cannot_be_made_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pinned(Doubled):
        requirements = ("nosuch-package-of-vsr==1.0",)

    def without_pip(place: Path, **_options: Any) -> None:
        (place / "bin").mkdir(parents=True, exist_ok=True)
        (place / "bin" / "python").write_text("#!/bin/sh\necho No such package >&2; exit 1\n")
        (place / "bin" / "python").chmod(0o755)

    monkeypatch.setattr(venv, "create", without_pip)
    for _ in range(2):
        with pytest.raises(Failed, match="No such package"):
            python_of(Pinned(), tmp_path / "environments")


def test_runs_take_turns_and_are_compared_round_by_round() -> None:
    order: list[str] = []
    fps = {"a": iter([2.0, 3.0, 8.0]), "b": iter([1.0, 3.0, 2.0])}

    def run(name: str) -> dict[str, float]:
        order.append(name)
        return {"fps": next(fps[name])}

    rounds = interleaved({name: lambda name=name: run(name) for name in fps}, 3)
    assert "".join(order) == "abbaab"
    assert of(rounds, "a", "fps")["median"] == 3
    assert ratio(rounds, "a", "b", "fps") == {"median": 2.0, "low": 1.5, "high": 3.0, "repeats": 3}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_keeps_the_machine_busy_ends() -> None:
    with busy(2) as pids:
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)
