"""Worker processes of `vsr upscale`: whatever becomes of them, the output is that of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import vsr
from tests.support import clips
from tests.support.enlarged import all_packets
from tests.support.processes import PATIENCE_S, Processes, until
from tests.support.workers import caught, workers_of
from vsr.core.control import Control
from vsr.core.errors import ConfigError
from vsr.jobs.runners import Failed, Made
from vsr.jobs.segments import Segment
from vsr.jobs.tasks import SegmentTask
from vsr.jobs.workers import Workers

ROOT = Path(__file__).parents[2]
FRAMES = 100


@pytest.fixture(scope="module")
def clip() -> Path:
    video, sound = "testsrc2=size=160x120:rate=25:duration=4", "sine=frequency=440:duration=4"
    encoding = ("-c:v", "libx264", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p")
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound)
    return clips.made("workers.mp4", (*inputs, *encoding), lambda path: clips.run(*inputs, *encoding, path))


@pytest.fixture(scope="module")
def expected(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The packets of an undisturbed run in one process."""
    output = tmp_path_factory.mktemp("one") / "out.mp4"
    vsr.upscale_file(str(clip), str(output), model="fast-x2", segment=0.4)
    return all_packets(output)


class Run:
    """`vsr upscale --workers 2`, and its output."""

    def __init__(self, processes: Processes, clip: Path, folder: Path, *words: str) -> None:
        self.output = folder / "out.mp4"
        self.folder = folder / "out.mp4.vsr"
        command = (sys.executable, "-m", "vsr", "upscale", clip, self.output, "--model", "fast-x2")
        self.process = processes.start(
            *command, "--segment", "0.4", "--workers", "2", *words, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def caught(self, count: int = 1, segment: str = "*") -> list[int]:
        return caught(self.process, self.folder, count, segment)

    def ended(self) -> str:
        """What it said on standard error, once it is over and no worker is left."""
        self.workers = workers_of(self.process.pid)
        err: str = self.process.communicate(timeout=PATIENCE_S)[1]
        return err

    def answers(self, answer: str) -> None:
        self.process.send_signal(signal.SIGINT)
        while answer not in (line := self.process.stderr.readline()):
            assert line, self.process.poll()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_worker_that_is_killed_is_replaced_and_packets_are_those_of_one_process(
    processes: Processes, clip: Path, tmp_path: Path, expected: list[Any]
) -> None:
    began = time.monotonic()
    run = Run(processes, clip, tmp_path, "--report", str(tmp_path / "report.json"))
    (killed,) = run.caught()
    os.kill(killed, signal.SIGKILL)
    err = run.ended()
    took_s = time.monotonic() - began
    assert run.process.returncode == 0, err
    assert f"process {killed} was killed by SIGKILL; its segment is made again" in err
    assert all_packets(run.output) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "report.json"]
    assert all(gone(pid) for pid in run.workers)
    (report,) = json.loads((tmp_path / "report.json").read_text())["reports"]
    assert report["frames_out"] == FRAMES
    assert 0 < report["seconds"] < took_s  # of the clock, not of all workers together
    assert report["fps"] == pytest.approx(FRAMES / report["seconds"], rel=0.01)


def test_workers_end_with_a_run_that_is_killed_which_goes_on_in_one_process(
    processes: Processes, clip: Path, tmp_path: Path, expected: list[Any]
) -> None:
    run = Run(processes, clip, tmp_path)
    (held,) = run.caught()
    until(lambda: any(job.segments_done for job in vsr.list_jobs([tmp_path])), "no segment is finished")
    workers = workers_of(run.process.pid)
    run.process.kill()
    run.process.wait(PATIENCE_S)
    until(lambda: all(gone(pid) for pid in (held, *workers)), "a worker has outlived the run")
    said: list[str] = []
    config = vsr.UpscaleConfig(
        (str(clip),), str(run.output), vsr.NetworkOptions("fast-x2", threads=1), segment=0.4, workers=1
    )
    vsr.upscale_many(config, on_said=said.append)
    assert said[0].startswith("going on: ")
    assert all_packets(run.output) == expected


def test_a_segment_that_kills_three_workers_ends_the_job_and_the_others_are_kept(
    processes: Processes, clip: Path, tmp_path: Path
) -> None:
    run = Run(processes, clip, tmp_path)
    for _ in range(3):
        (killed,) = run.caught(segment="000002.*")
        os.kill(killed, signal.SIGKILL)
        until(lambda pid=killed: gone(pid))
    err = run.ended()
    assert run.process.returncode == 8, err
    assert f"error: a segment failed 3 times: process {killed} was killed by SIGKILL" in err
    assert "the same command continues" in err
    (job,) = vsr.list_jobs([tmp_path])
    assert job.segments_done >= 2
    assert not [path for path in run.folder.iterdir() if path.suffix == ".part"]


def test_a_stop_finishes_what_all_workers_make_and_a_second_one_drops_it(
    processes: Processes, clip: Path, tmp_path: Path
) -> None:
    once, twice = (
        Run(processes, clip, folder(tmp_path, "once")),
        Run(processes, clip, folder(tmp_path, "twice")),
    )
    held, dropped = once.caught(2), twice.caught(2)
    done = len(list(once.folder.glob("*.segment")))
    kept = sorted(path.name for path in twice.folder.glob("*.segment"))
    once.answers("Ctrl-C again drops it")
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    err = once.ended()
    assert once.process.returncode == 130, err
    assert len(list(once.folder.glob("*.segment"))) == done + 2
    twice.answers("Ctrl-C again drops it")
    twice.answers("dropping")
    err = twice.ended()
    assert twice.process.returncode == 130, err
    assert sorted(path.name for path in twice.folder.glob("*")) == sorted(
        [*kept, *(["journal", "running"] if kept else [])]
    )
    assert all(gone(pid) for pid in (*held, *dropped))


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_several_devices_have_a_worker_each(clip: Path, tmp_path: Path) -> None:
    """Of devices that no machine has: each worker says which it was to run on."""
    config = vsr.UpscaleConfig((str(clip),), source=vsr.SourceOptions(threads=1))
    with Workers(3, ("gpu:98", "gpu:99"), Control()) as workers:
        for name in workers.free():
            path = tmp_path / name
            workers.start(
                name, SegmentTask(str(clip), "out.mp4", config, Segment(0, None, None, None, 1), path)
            )
        assert not workers.free()
        failed: list[Made | Failed] = []
        while len(failed) < 3:
            failed += workers.wait(None)
    said = {event.runner: event.error.message for event in failed if isinstance(event, Failed)}
    assert [said[f"worker {number}"].split()[0] for number in (1, 2, 3)] == ["gpu:98", "gpu:99", "gpu:98"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers 0 is out of range"),
        ({"workers": 2, "segment": 0}, "--segment 0 is one pass"),
        ({"workers": 1, "device": "cuda:0,cuda:1"}, "too few for 2 devices"),
        ({"device": "cuda:0,cpu"}, "of several kinds"),
        ({"device": "cuda,cuda:0"}, "one twice"),
    ],
)
def test_workers_that_cannot_be_are_refused(
    options: dict[str, Any], said: str, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), **options)
    assert not list(tmp_path.iterdir())
