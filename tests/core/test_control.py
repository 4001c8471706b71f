from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import pytest

from vsr.core import control as module
from vsr.core.control import Cancelled, Control


def test_stopping_is_not_cancelling() -> None:
    control, called = Control(), list[int]()
    control.on_cancel(lambda: called.append(1))
    assert (control.stopped, control.cancelled) == (False, False)
    control.check()
    control.stop()
    control.stop()
    assert (control.stopped, control.cancelled) == (True, False)
    control.check()
    assert not called


def test_cancelling_stops_and_calls_back_once() -> None:
    control, called = Control(), list[int]()
    control.on_cancel(lambda: called.append(1))
    control.on_cancel(lambda: called.append(2))
    control.stop()
    control.cancel()
    control.cancel()
    assert (control.stopped, control.cancelled, called) == (True, True, [1, 2])
    control.on_cancel(lambda: called.append(3))
    assert called == [1, 2, 3]
    with pytest.raises(Cancelled):
        control.check()


def test_a_callback_may_cancel() -> None:
    control, called = Control(), list[int]()
    control.on_cancel(control.cancel)
    control.on_cancel(lambda: called.append(1))
    control.cancel()
    assert called == [1]


@pytest.mark.parametrize("method", ["on_cancel", "cancel"])
def test_a_signal_between_any_two_steps_neither_hangs_nor_loses_a_callback(method: str) -> None:
    """A handler runs on the thread it interrupts. A trace function stands for it, at each line in turn."""
    reached = 0
    for line in range(100):
        control, called = Control(), list[int]()
        control.on_cancel(lambda called=called: called.append(1))  # type: ignore[misc]
        lines = 0

        def trace(frame: FrameType, event: str, _: Any, line: int = line, control: Control = control) -> Any:
            nonlocal lines
            if frame.f_code.co_filename != module.__file__:
                return None
            if event == "line":
                lines += 1
                if lines == line + 1:
                    sys.settrace(None)
                    control.cancel()
            return trace

        def work(control: Control = control, called: list[int] = called, trace: Any = trace) -> None:
            sys.settrace(trace)
            control.on_cancel(lambda: called.append(2)) if method == "on_cancel" else control.cancel()
            sys.settrace(None)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        if lines <= line:
            break
        reached += 1
        assert sorted(called) == ([1, 2] if method == "on_cancel" else [1])
    assert reached > 1


def test_many_threads_call_back_once() -> None:
    control, called = Control(), list[int]()
    for number in range(100):
        control.on_cancel(lambda number=number: called.append(number))  # type: ignore[misc]
    threads = [threading.Thread(target=control.cancel) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(called) == list(range(100))
