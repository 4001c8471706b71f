"""Processes that end with the test that started them, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

PATIENCE_S = 240.0
"""How long a test waits for what takes seconds on an idle machine. Only a hang takes longer."""


def until(happened: Callable[[], object], what: str = "", patience_s: float = PATIENCE_S) -> None:
    """Wait for an event that nothing announces. Raises AssertionError where it does not come."""
    deadline = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < deadline, what or "it did not happen"
        time.sleep(0.01)


def asleep(pid: int) -> bool:
    """Whether all threads of a process wait: whatever it has been given, it has dealt with."""
    for _ in range(5):
        for status in Path(f"/proc/{pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # the thread has ended
                if status.read_text().rpartition(")")[2].split()[0] != "S":
                    return False
        time.sleep(0.01)
    return True


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)


class Processes:
    """Starts processes, each as the leader of a session of its own; a context manager that kills them and all they started."""

    def __init__(self) -> None:
        self._running = ExitStack()

    def start(self, *command: object, **options: Any) -> subprocess.Popen[Any]:
        """`options` as of Popen."""
        return self._running.enter_context(started(*command, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._running.close()


@contextlib.contextmanager
def started(*command: object, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """One process, which ends with the block, and all that it started with it. `options` as of Popen."""
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not flushed has nobody to read it
                    stream.close()
        process.wait(PATIENCE_S)
