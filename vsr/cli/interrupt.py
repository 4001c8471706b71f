"""Ctrl-C once finishes, twice drops what is under way, three times leaves."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Control(Protocol):
    """What a running job can be told."""

    def stop(self) -> None:
        """End the source early and finish."""

    def cancel(self) -> None:
        """Drop everything."""


@contextmanager
def interrupts(control: Control) -> Generator[None]:
    """While inside, SIGINT and SIGTERM stop the job; the second signal cancels it, the third ends the process."""
    # Python runs handlers on the main thread alone, which may wait for an input that never comes; what is written to this
    # pipe is written at once.
    received, told = os.pipe()
    os.set_blocking(told, False)
    listener = threading.Thread(target=_listen, args=(received, control), name="signals", daemon=True)
    listener.start()
    descriptor = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda _signal, _frame: None) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor)
        os.close(told)
        listener.join()
        os.close(received)


def _listen(received: int, control: Control) -> None:
    seen = 0
    while number := os.read(received, 1):  # Nothing once the other end is closed.
        if number[0] not in _SIGNALS:
            continue
        seen += 1
        if seen == 1:
            _say("finishing what is under way; Ctrl-C again drops it")
            control.stop()
        elif seen == 2:
            _say("dropping what is under way; Ctrl-C again leaves at once")
            control.cancel()
        else:
            os._exit(130)


def _say(text: str) -> None:
    # Unbuffered: the main thread may be in the middle of a print().
    os.write(sys.stderr.fileno(), f"\n{text}\n".encode())
