"""Servers that run in a process of their own, so that no standstill of ours is theirs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Self

from tests.support.processes import PATIENCE_S

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Child:
    """A server on one port, running or not; a context manager that starts and kills it.

    It prints "ready" once it listens. It takes words, a line at a time, on its standard input, and prints "heard" once it goes
    by them. `lines`: what else it printed.
    """

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        self.command = command
        self.lines: list[str] = []
        self._heard = threading.Semaphore(0)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it listens."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()

    def tell(self, *words: object) -> None:
        """Give it words, and wait until it goes by them."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        assert self._heard.acquire(timeout=PATIENCE_S)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._reader is not None:
                self._reader.join()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = self._reader = None

    def freeze(self) -> None:
        """It stays connected and says nothing more."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "heard\n":
                self._heard.release()
            else:
                self.lines.append(line.rstrip("\n"))
