from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.processes import PATIENCE_S, until
from vsr.core.control import Cancelled, Control
from vsr.pipeline import Channel, EndOfStream


class Caught:
    """Runs a call on a thread and keeps how it ended."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.entered = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(call,))
        self._thread.start()
        assert self.entered.wait(PATIENCE_S)

    def _run(self, call: Callable[[], Any]) -> None:
        self.entered.set()
        try:
            self.value = call()
        except BaseException as error:
            self.error = error

    def join(self) -> Caught:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_items_come_in_order_then_the_end() -> None:
    channel: Channel[int] = Channel(3)
    for i in range(3):
        assert channel.put(i)
    channel.close()
    assert [channel.get() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(EndOfStream):
        channel.get()
    assert list(channel) == []
    assert channel.high_water == 3


def test_put_waits_for_room() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    writer = Caught(lambda: channel.put(1))
    until(lambda: channel.put_wait_s > 0)
    assert len(channel) == 1
    assert channel.get() == 0
    assert writer.join().value is True
    assert channel.get() == 1
    assert channel.high_water == 1
    assert channel.get_wait_s == 0


def test_waiting_time_is_seen_while_waiting() -> None:
    channel: Channel[int] = Channel(1)
    reader = Caught(channel.get)
    until(lambda: channel.get_wait_s > 0.002)
    channel.put(7)
    assert reader.join().value == 7
    waited = channel.get_wait_s
    assert waited > 0.002
    assert channel.get_wait_s == waited


def test_close_wakes_a_starved_reader() -> None:
    channel: Channel[int] = Channel(1)
    reader = Caught(channel.get)
    until(lambda: channel.get_wait_s > 0)
    channel.close()
    assert isinstance(reader.join().error, EndOfStream)


def test_cancel_wakes_reader_and_writer_and_drops_items() -> None:
    control = Control()
    full: Channel[int] = Channel(1, control)
    empty: Channel[int] = Channel(1, control)
    full.put(0)
    writer, reader = Caught(lambda: full.put(1)), Caught(empty.get)
    until(lambda: full.put_wait_s > 0 and empty.get_wait_s > 0)
    control.cancel()
    assert isinstance(writer.join().error, Cancelled)
    assert isinstance(reader.join().error, Cancelled)
    assert len(full) == 0
    with pytest.raises(Cancelled):
        full.get()
    with pytest.raises(Cancelled):
        empty.put(1)


def test_a_closed_channel_that_is_cancelled_is_not_at_its_end() -> None:
    control = Control()
    channel: Channel[int] = Channel(1, control)
    channel.close()
    control.cancel()
    with pytest.raises(Cancelled):
        channel.get()


def test_leaving_tells_a_blocked_writer() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    writer = Caught(lambda: channel.put(1))
    until(lambda: channel.put_wait_s > 0)
    channel.leave()
    assert writer.join().value is False
    assert channel.put(2) is False
    assert len(channel) == 0


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Channel(0)
    channel: Channel[int] = Channel(1)
    channel.close()
    channel.close()
    with pytest.raises(ValueError, match="closed"):
        channel.put(1)
