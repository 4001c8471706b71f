"""Ctrl-C once finishes, twice cancels, three times leaves."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Control(Protocol):
    """What a running job can be told."""

    def stop(self) -> None:
        """End the source early and finish."""

    def cancel(self) -> None:
        """Drop everything."""


@contextmanager
def interrupts(control: Control) -> Generator[None]:
    """While inside, SIGINT and SIGTERM stop the job; the second signal cancels it, the third ends the process."""
    seen = 0

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            _say("finishing what is under way; Ctrl-C again cancels")
            control.stop()
        elif seen == 2:
            _say("cancelling; Ctrl-C again leaves at once")
            control.cancel()
        else:
            os._exit(130)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    # print() may be what the signal interrupted: buffered writers are not reentrant.
    os.write(sys.stderr.fileno(), f"\n{text}\n".encode())
