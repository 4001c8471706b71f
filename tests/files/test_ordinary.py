"""Files that one run has alone: until it ends, however it ends, and under whatever name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_S, Processes
from vsr.files import ordinary
from vsr.files.ordinary import folder_alone, is_alone, open_alone, open_ordinary, read_ordinary

HOLDS = "import sys; from vsr.files.ordinary import *; file = open_alone(Path(sys.argv[1])); print('held', flush=True); input()"


def test_what_a_killed_process_held_is_free(processes: Processes, tmp_path: Path) -> None:
    path, other = tmp_path / "held", tmp_path / "renamed"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = processes.start(sys.executable, "-c", HOLDS, path, cwd=Path(__file__).parents[2], **pipes)
    assert process.stdout.readline() == b"held\n"
    assert is_alone(path)
    with pytest.raises(BlockingIOError):
        open_alone(path)
    path.rename(other)
    assert is_alone(other), "the file is held, not its name"
    open_alone(path).close()
    process.kill()
    process.wait(PATIENCE_S)
    assert not is_alone(other)
    with open_alone(other) as file:
        assert file.read() == b""
        assert is_alone(other)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["held", "renamed"], "nothing lies beside it"


def test_who_looks_stands_in_nobody_s_way(tmp_path: Path) -> None:
    (tmp_path / "free").write_bytes(b"content")
    with open_alone(tmp_path / "free"):
        assert read_ordinary(tmp_path / "free") == b"content"
    assert not is_alone(tmp_path / "free")
    with pytest.raises(FileNotFoundError):
        is_alone(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_ordinary_files_are_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    (tmp_path / "precious").write_bytes(b"precious")
    {"link": lambda: path.symlink_to("precious"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[
        kind
    ]()
    for opening in (
        lambda: open_alone(path),
        lambda: open_ordinary(path, os.O_RDWR),
        lambda: read_ordinary(path),
    ):
        with pytest.raises(OSError, match="odd"):
            opening()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_folder_is_for_one_run(tmp_path: Path) -> None:
    with folder_alone(tmp_path), pytest.raises(BlockingIOError), folder_alone(tmp_path):
        pytest.fail("two are in it")
    with folder_alone(tmp_path):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_disk_without_locks_is_written_to(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ordinary.fcntl, "flock", refuse)
    with open_alone(tmp_path / "file") as file, open_alone(tmp_path / "file"), folder_alone(tmp_path):
        file.write(b"data")
    assert not is_alone(tmp_path / "file")
    assert read_ordinary(tmp_path / "file") == b"data"
