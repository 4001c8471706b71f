"""The first Ctrl-C finishes the work in progress, the second drops it, the third ends the process."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from vsr.core.control import Control

# The last signal comes when the terminal is closed; on Windows also from Ctrl-Break.
if sys.platform == "win32":
    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
else:
    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts(control: Control, on_hangup: Callable[[], None] | None = None) -> Generator[None]:
    """While inside, SIGINT, SIGTERM and SIGHUP stop the job; the second signal cancels it, the third ends the process.

    on_hangup: called at SIGHUP instead, on a thread of its own, unless the terminal was closed.
    """
    # Python runs handlers on the main thread alone, which may wait for an input that never comes. A signal is written to this
    # pipe at once.
    heard = _heard()
    if on_hangup is not None and sys.platform != "win32":
        heard = [*{*heard, signal.SIGHUP}]
    received, told = os.pipe()
    if sys.platform != "win32":
        os.set_blocking(told, False)
    listener = threading.Thread(
        target=_listen, args=(received, control, heard, on_hangup), name="signals", daemon=True
    )
    listener.start()
    descriptor = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda _signal, _frame: None) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor)
        os.close(told)
        listener.join()
        os.close(received)


@contextmanager
def as_keyboard_interrupt() -> Generator[None]:
    """While inside, and outside of `interrupts`, SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, so that the command
    cleans up."""
    ours = threading.current_thread() is threading.main_thread()
    silent = [number for number in _SIGNALS if ours and signal.getsignal(number) is signal.SIG_DFL]
    for number in silent:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in silent:
            signal.signal(number, signal.SIG_DFL)


def _heard() -> list[signal.Signals]:
    """The signals that were not ignored when vsr started. `nohup` ignores some, and so do shells for jobs in the background."""
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def _listen(
    received: int,
    control: Control,
    heard: Sequence[signal.Signals],
    on_hangup: Callable[[], None] | None,
) -> None:
    seen, had_terminal = 0, _has_terminal()
    while number := os.read(received, 1):  # Empty once the other end is closed.
        if number[0] not in heard:
            continue
        if sys.platform != "win32" and number[0] == signal.SIGHUP and on_hangup is not None:
            if _has_terminal() or not had_terminal:
                threading.Thread(target=on_hangup, name="hangup", daemon=True).start()
                continue
        if sys.platform != "win32" and number[0] == signal.SIGHUP:
            _leave_terminal()
        seen += 1
        if seen == 1:
            _say("finishing the work in progress; Ctrl-C again drops it")
            control.stop()
        elif seen == 2:
            _say("dropping the work in progress; Ctrl-C again ends at once")
            control.cancel()
        else:
            os._exit(130)


def _has_terminal() -> bool:
    """Whether the process has a terminal, and it is not closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def _leave_terminal() -> None:
    """Discard all output from now on: writing to a closed terminal is an error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            os.dup2(nothing, descriptor)
    os.close(nothing)


def _say(text: str) -> None:
    # Unbuffered: the main thread may be in the middle of a print().
    os.write(sys.stderr.fileno(), f"\n{text}\n".encode())
