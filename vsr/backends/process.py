"""Remembers in which process a runtime was started: its threads and its GPU do not survive a fork."""

from __future__ import annotations

import os
from functools import cache

from vsr.core.errors import InferenceError


class OfProcess:
    """The process that this was made in."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def left(self) -> bool:
        """Whether this is another process, forked from it."""
        return os.getpid() != self._pid

    def check(self, what: str) -> None:
        """Raise InferenceError in another process: without the threads, each run would wait for ever."""
        if self.left:
            raise InferenceError(
                f"{what} does not work in a forked process",
                hint="open the Upscaler in the child process, and start the child by spawn: "
                "multiprocessing.get_context('spawn')",
            )


@cache
def first_user(runtime: str) -> OfProcess:
    """The process that called this first. Runtimes may fail to start in processes forked from it."""
    return OfProcess()
