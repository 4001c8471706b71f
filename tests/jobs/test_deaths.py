"""Jobs that die: by kill -9 at any moment, and by power cuts, after which the disk holds what was synced and no more."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.job_parts import PLAN, WHOLE, Recorded
from tests.support.processes import PATIENCE_S, Processes
from tests.support.tiers import slow, slow_except
from vsr.jobs.folder import JOURNAL

ROOT = Path(__file__).parents[2]


class PowerCut(BaseException):
    pass


class Disk:
    """What a disk is sure to hold of a folder: of files what they held when they were synced last, of folders the names.

    Every call that changes names or syncs counts as a step. At step `cut`, the power fails.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, cut: int) -> None:
        self.steps = 0
        self._root, self._cut = root, cut
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, int]] = {root.stat().st_ino: {}}
        for name in ("fsync", "replace", "write", "unlink", "rmdir", "mkdir"):
            patch.setattr(
                os, name, self._counted(getattr(os, name), self._synced if name == "fsync" else None)
            )

    def _counted(self, real: Callable[..., Any], then: Callable[[int], None] | None) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.steps >= self._cut:
                raise PowerCut
            self.steps += 1
            result = real(*args, **kwargs)
            if then is not None:
                then(*args)
            return result

        return call

    def _synced(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        if path.is_dir():
            self._folders[path.stat().st_ino] = {entry.name: entry.lstat().st_ino for entry in path.iterdir()}
        else:
            self._files[path.stat().st_ino] = path.read_bytes()

    def restore(self, inode: int | None = None, to: Path | None = None) -> None:
        """Make of the folder `to` what survived."""
        to = to or self._root.with_name("restored")
        to.mkdir()
        for name, number in self._folders[inode or self._root.stat().st_ino].items():
            if number in self._folders:
                self.restore(number, to / name)
            elif name.endswith(".vsr"):
                (to / name).mkdir()  # a folder that was never synced: its names are lost
            else:
                self._restore_file(number, to / name)

    def _restore_file(self, number: int, path: Path) -> None:
        held = self._files.get(number, b"")
        for still in self._root.rglob("*"):
            if still.stat().st_ino == number and still.is_file() and still.read_bytes() == held:
                path.hardlink_to(still)  # the file itself, with its number and its times
                return
        path.write_bytes(held)


@pytest.mark.parametrize("step", slow_except(5, [5, 1]))
def test_after_a_power_cut_at_any_step_the_job_goes_on_to_the_same_output(step: int, tmp_path: Path) -> None:
    for cut in range(0, 10**6, step):
        root = tmp_path / str(cut) / "disk"
        root.mkdir(parents=True)
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(root, patch, cut)
            try:
                Recorded(root / "out.mp4").run()
                ended = True
            except PowerCut:
                ended = False
        disk.restore()
        restored = root.with_name("restored")
        output = restored / "out.mp4"
        survived = len(list(restored.glob("out.mp4.vsr/*.segment")))
        if output.exists():
            assert output.read_bytes() == WHOLE
        if not output.exists() or (restored / "out.mp4.vsr").exists():
            again = Recorded(output)
            again.run()
            assert len(again.made) <= len(PLAN.segments) - max(0, survived - 1)
        assert output.read_bytes() == WHOLE
        assert [p.name for p in restored.iterdir()] == ["out.mp4"]
        if ended:
            break
    assert cut > 5 * len(PLAN.segments)


def killed_and_resumed(processes: Processes, folder: Path, seed: int) -> int:
    """Run a job, kill it at random moments until it is done; how many runs it took."""
    rng = random.Random(seed)
    output, runs = folder / "out.mp4", 0
    made: list[int] = []
    while not output.exists() or (folder / "out.mp4.vsr" / JOURNAL).exists():
        command = (sys.executable, "-m", "tests.support.job_parts", output, "0.02")
        # Without a buffer: what a buffer reads beyond the line is lost to `communicate`.
        process = processes.start(*command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=0)
        assert process.stdout.readline() == b"begun\n"
        runs += 1
        try:
            out, _ = process.communicate(timeout=rng.uniform(0, 0.15) if runs < 8 else 120)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            continue
        assert process.returncode == 0
        made = json.loads(out)["made"]
    assert output.read_bytes() == WHOLE
    if (folder / "out.mp4.vsr").exists():  # The last one was killed between its journal and its folder.
        run_beside_its_output(folder)
    assert [p.name for p in folder.iterdir()] == ["out.mp4"]
    assert len(made) <= len(PLAN.segments)
    return runs


def run_beside_its_output(folder: Path) -> None:
    command = [sys.executable, "-m", "tests.support.job_parts", folder / "out.mp4", "0.02"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert b"exists" in done.stderr


def test_an_empty_folder_that_a_finished_job_left_goes(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"whole")
    (tmp_path / "out.mp4.vsr").mkdir()
    run_beside_its_output(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"whole"


def test_killed_at_random_moments_it_goes_on_to_the_same_output(processes: Processes, tmp_path: Path) -> None:
    assert killed_and_resumed(processes, tmp_path, 1) > 1


@slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_killed_at_many_random_moments(processes: Processes, tmp_path: Path, seed: int) -> None:
    killed_and_resumed(processes, tmp_path, seed)
