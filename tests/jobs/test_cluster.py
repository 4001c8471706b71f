"""`vsr upscale --cluster`, on nodes of Ray that come and go: the output is that of one process."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vsr
from tests.support import clips
from tests.support.enlarged import all_packets
from tests.support.processes import PATIENCE_S, Processes, started, until
from tests.support.tiers import slow
from vsr.jobs.folder import JOURNAL
from vsr.jobs.journal import read_journal

pytest.importorskip("ray", reason="needs the extra `cluster`")

pytestmark = slow

ROOT = Path(__file__).parents[2]
SECONDS = 24
FRAMES = 25 * SECONDS
TOKEN = secrets.token_hex(32)


def environment() -> dict[str, str]:
    """Of the cluster and of runs: nobody else may talk to it, and it finds this vsr."""
    ray = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    return {**os.environ, "PYTHONPATH": str(ROOT), **ray}


class Nodes:
    """A cluster without any node but its head."""

    def __init__(self, process: subprocess.Popen[str], folder: str) -> None:
        self._process = process
        self.folder = folder
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the cluster has ended"
        return line

    def tell(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        assert self._line() == "done"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # Sockets lie in it, whose paths are to be short.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = (sys.executable, "-m", "tests.support.ray_nodes", folder)
        with started(*command, cwd=ROOT, env=environment(), text=True, **pipes) as process:
            yield Nodes(process, folder)
            process.stdin.close()
            process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def clip() -> Path:
    video, sound = f"testsrc2=size=64x48:rate=25:duration={SECONDS}", f"sine=duration={SECONDS}"
    encoding = ("-c:v", "libx264", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p")
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound)
    return clips.made("cluster.mkv", (*inputs, *encoding), lambda path: clips.run(*inputs, *encoding, path))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that no installed vsr has."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    shutil.copytree(vsr.find_model("fast-x2").folder, folder)
    table = folder / "model.toml"
    table.write_text(table.read_text().replace('"fast-x2"', '"mine"'))
    return folder


@pytest.fixture(scope="module")
def expected(clip: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The packets of an undisturbed run in one process."""
    output = tmp_path_factory.mktemp("one") / "out.mp4"
    vsr.upscale_file(str(clip), str(output), model=str(package), segment=0.4)
    return all_packets(output)


class Run:
    """`vsr upscale --cluster auto`, and its output."""

    def __init__(
        self,
        processes: Processes,
        nodes: Nodes,
        clip: Path,
        package: Path,
        folder: Path,
        segment: str = "0.4",
    ) -> None:
        self.output = folder / "out.mp4"
        self.folder = folder / "out.mp4.vsr"
        command = (sys.executable, "-m", "vsr", "upscale", clip, self.output, "--model", package)
        self.process = processes.start(
            *command, "--segment", segment, "--cluster", "auto", "--report", folder / "report.json",
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**environment(), "RAY_ADDRESS": nodes.address},
        )  # fmt: skip

    def has_begun(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        return any(job.segments_done for job in vsr.list_jobs([self.folder.parent]))

    def has_makers(self, count: int) -> bool:
        """Whether so many nodes have made a segment by now."""
        assert self.process.poll() is None, self.process.communicate()
        made = read_journal(self.folder / JOURNAL).finished.values()
        return len({node for one in made for node in one.done.report.nodes}) == count


def tasks_left(nodes: Nodes, title: bytes = b"ray::segment") -> list[int]:
    """Processes of this cluster that make a segment: others may run beside it."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if _read(path).startswith(title) and any(_logs_into(nodes.folder, path.parent))
    ]


@contextlib.contextmanager
def standing(nodes: Nodes) -> Iterator[None]:
    """Whoever could make a segment when this begins makes nothing until it ends: as the slowest of nodes."""
    workers = tasks_left(nodes, b"ray::")

    def tell(number: signal.Signals) -> None:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)

    tell(signal.SIGSTOP)
    try:
        yield
    finally:
        tell(signal.SIGCONT)


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):  # it has ended
        return path.read_bytes()
    return b""


def _logs_into(folder: str, process: Path) -> Iterator[Path]:
    for descriptor in (process / "fd").glob("*"):
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()).startswith(folder):
                yield descriptor


def test_nodes_die_and_come_and_packets_are_those_of_one_process(
    processes: Processes, nodes: Nodes, clip: Path, package: Path, tmp_path: Path, expected: list[Any]
) -> None:
    nodes.tell("add first 1")
    run = Run(processes, nodes, clip, package, tmp_path)
    until(lambda: run.has_makers(1), "no segment is finished")
    with standing(nodes):
        nodes.tell("add second 1")
        until(lambda: run.has_makers(2), "the second node makes nothing")
        # Both have a segment under way now, and neither can end the job before the other node comes.
        with standing(nodes):
            nodes.tell("kill first")
            nodes.tell("add late 1")
            until(lambda: run.has_makers(3), "the late node makes nothing")
    err = run.process.communicate(timeout=PATIENCE_S)[1]
    assert run.process.returncode == 0, err
    assert all_packets(run.output) == expected
    (report,) = json.loads((tmp_path / "report.json").read_text())["reports"]
    assert report["frames_out"] == FRAMES
    assert len(report["nodes"]) == 3
    assert all(fps > 0 for fps in report["nodes"].values())
    until(lambda: not tasks_left(nodes), "a task has outlived the run")
    nodes.tell("kill second")
    nodes.tell("kill late")


WITH_PROGRESS = """
import sys, vsr
network = vsr.NetworkOptions("quality", scale=2)
config = vsr.UpscaleConfig((sys.argv[1],), sys.argv[2], network, segment=12, cluster="auto")
vsr.upscale_many(config, progress=lambda progress: print(progress.frames_done, flush=True))
"""


def test_the_progress_moves_within_segments(
    processes: Processes, nodes: Nodes, clip: Path, tmp_path: Path
) -> None:
    nodes.tell("add told 1")
    run = processes.start(
        sys.executable, "-c", WITH_PROGRESS, clip, tmp_path / "out.mp4",
        cwd=ROOT, text=True, stdout=subprocess.PIPE, env={**environment(), "RAY_ADDRESS": nodes.address},
    )  # fmt: skip
    until(lambda: bool(tasks_left(nodes, b"ray::Board")), "there is no actor")
    out, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0
    done = [int(line) for line in out.splitlines() if line.isdigit()]  # Ray writes there, too.
    assert done[-1] == FRAMES
    assert done == sorted(done)
    assert set(done) - {0, FRAMES // 2, FRAMES}
    until(lambda: not tasks_left(nodes, b"ray::Board"), "the actor has outlived the run")
    nodes.tell("kill told")


def test_a_head_that_is_killed_leaves_no_task_and_the_job_goes_on_without_the_cluster(
    processes: Processes, nodes: Nodes, clip: Path, package: Path, tmp_path: Path, expected: list[Any]
) -> None:
    nodes.tell("add one 1")
    run = Run(processes, nodes, clip, package, tmp_path)
    until(run.has_begun, "no segment is finished")
    run.process.kill()
    run.process.wait(PATIENCE_S)
    until(lambda: not tasks_left(nodes), "a task has outlived the head")
    said: list[str] = []
    network = vsr.NetworkOptions(str(package))
    config = vsr.UpscaleConfig((str(clip),), str(run.output), network, segment=0.4)
    vsr.upscale_many(config, on_said=said.append)
    assert said[0].startswith("going on: ")
    assert all_packets(run.output) == expected
    nodes.tell("kill one")


def test_ctrl_c_twice_leaves_no_task(
    processes: Processes, nodes: Nodes, clip: Path, package: Path, tmp_path: Path
) -> None:
    nodes.tell("add two 1")
    run = Run(processes, nodes, clip, package, tmp_path)
    until(run.has_begun, "no segment is finished")
    for answer in ("Ctrl-C again drops it", "dropping"):
        run.process.send_signal(signal.SIGINT)
        while answer not in (line := run.process.stderr.readline()):
            assert line, run.process.poll()
    err = run.process.communicate(timeout=PATIENCE_S)[1]
    assert run.process.returncode == 130, err
    assert "the same command continues" in err
    until(lambda: not tasks_left(nodes), "a task has outlived the run")
    assert vsr.find_job(run.output).segments_done >= 1
    nodes.tell("kill two")


def test_the_memory_of_the_head_does_not_grow_with_segments(
    processes: Processes, nodes: Nodes, package: Path, tmp_path: Path
) -> None:
    inputs = (
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=64x48:rate=25:duration=60",
        "-g",
        "5",
        "-pix_fmt",
        "yuv420p",
    )
    many = clips.made("many.mp4", inputs, lambda path: clips.run(*inputs, path))
    nodes.tell("add many 1")
    run = Run(processes, nodes, many, package, tmp_path, segment="0.2")
    status = Path(f"/proc/{run.process.pid}/status")
    sizes: dict[int, int] = {}

    def ended() -> bool:
        done = len(list(run.folder.glob("*.segment")))
        if run.process.poll() is None and done >= 30:
            for line in status.read_text().splitlines():
                if line.startswith("RssAnon:"):  # not there once it is about to be gone
                    sizes[done] = int(line.split()[1])
        return run.process.poll() is not None

    until(ended)
    assert run.process.returncode == 0, run.process.communicate()[1]
    assert max(sizes) > 150
    assert sizes[max(sizes)] < sizes[min(sizes)] + 16 * 1024  # KiB
    nodes.tell("kill many")


def test_a_cluster_that_is_not_there_is_one_line(clip: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "vsr", "upscale", clip, tmp_path / "out.mp4", "--cluster", "auto")
    run = subprocess.run(
        [str(word) for word in command],
        env={**environment(), "RAY_ADDRESS": "127.0.0.1:1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 8, run.stderr
    assert "error: no cluster answers at auto: Connection refused" in run.stderr
    assert "Traceback" not in run.stderr
