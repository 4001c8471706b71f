"""Worker processes of a run, caught in the midst of a segment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.support.processes import until


def workers_of(pid: int) -> list[int]:
    """The worker processes of a run that are alive."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split() if _is_worker(child)]
    return found


def _is_worker(pid: str) -> bool:
    with contextlib.suppress(OSError):
        return b"worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def caught(process: subprocess.Popen[Any], folder: Path, count: int = 1, segment: str = "*") -> list[int]:
    """Stop so many workers by SIGSTOP, each while the file of a segment is begun and not whole; their pids.

    folder: of the job. segment: a pattern of its number.
    """
    held: dict[int, Path] = {}

    def catch() -> bool:
        assert process.poll() is None, process.communicate()
        for pid in workers_of(process.pid):
            if len(held) < count and pid not in held and (part := _made(pid, folder, segment)) is not None:
                os.kill(pid, signal.SIGSTOP)
                until(lambda pid=pid: _stopped(pid), "it does not stop")
                if part.exists():
                    held[pid] = part
                else:
                    os.kill(pid, signal.SIGCONT)
        return len(held) >= count

    until(catch, "no worker makes a segment")
    return list(held)


def _made(pid: int, folder: Path, segment: str) -> Path | None:
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            path = descriptor.readlink()
            if path.parent == folder and path.match(f"{segment}.part"):
                return path
    return None


def _stopped(pid: int) -> bool:
    return all(
        status.read_text().rpartition(")")[2].split()[0] == "T"
        for status in Path(f"/proc/{pid}/task").glob("*/stat")
    )
