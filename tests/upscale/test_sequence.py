"""A Sequence gives what it was given, larger, in order, however it groups it; and it ends cleanly whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from vsr.backends.onnxruntime import BACKEND
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import InferenceError
from vsr.core.frame import Frame, Reset
from vsr.upscale import memory
from vsr.upscale.pictures import frame_from_array
from vsr.upscale.planes import Kind
from vsr.upscale.sequence import Sequence
from vsr.upscale.upscaler import Upscaler


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("infer")]


def planes(frames: Iterable[Frame]) -> list[np.ndarray]:
    return [np.concatenate([np.asarray(plane).ravel() for plane in frame.planes]) for frame in frames]


def frames(count: int, size: tuple[int, int] = (64, 48)) -> list[Frame]:
    return list(synthetic_frames(*size, count))


class Runs:
    """In place of a network: passes frames on, and keeps the indices of each run. Fails at the frame of index `bad`."""

    def __init__(self, bad: int | None = None) -> None:
        self.seen: list[list[int]] = []
        self._bad = bad

    def __call__(self, batch: list[Frame], _in_flight: int) -> list[Frame]:
        self.seen.append([frame.index for frame in batch])
        if self._bad in self.seen[-1]:
            raise InferenceError("out of luck")
        return list(batch)


def sequence_of(runs: Runs, batch: int = 1, in_flight: int = 1) -> Sequence:
    return Sequence(runs, lambda _frame: batch, lambda _frame: in_flight)


def indices(found: Iterable[Frame]) -> list[int]:
    return [frame.index for frame in found]


def test_pictures_are_the_same_whatever_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        assert upscaler.batch(64, 48) == 1
        wanted = planes(map(upscaler.upscale, frames(9)))
    monkeypatch.setattr(type(BACKEND), "in_flight", 3)
    for batch in (1, 4):
        monkeypatch.setattr(type(BACKEND), "batch", batch)
        with Upscaler("fast", backend="onnxruntime") as upscaler:
            with upscaler.sequence() as sequence:
                found = planes(sequence.stream(iter(frames(9))))
            # Whoever came first; with batches of four, the last frame's is filled up.
            assert {luma[0] for luma, *_chroma in upscaler.network.compiled} == {batch}
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_batches_are_as_large_as_the_backend_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(BACKEND), "batch", 4)
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        sizes = [upscaler.batch(*size) for size in ((64, 48), (1280, 720), (1920, 1080), (7680, 4320))]
    assert sizes == [4, 4, 1, 1]


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_frames_out_are_frames_in(in_flight: int, batch: int, count: int) -> None:
    with sequence_of(Runs(), batch, in_flight) as sequence:
        assert indices(sequence.stream(frames(count))) == list(range(count))
        # After a flush it goes on.
        assert indices(sequence.stream(frames(count))) == list(range(count))


def test_each_push_gives_its_frame_where_one_is_under_way() -> None:
    with sequence_of(Runs()) as sequence:
        assert [indices(sequence.push(frame)) for frame in frames(3)] == [[0], [1], [2]]
        assert sequence.flush() == []


def test_what_is_under_way_comes_later() -> None:
    with sequence_of(Runs(), in_flight=3) as sequence:
        assert [indices(sequence.push(frame)) for frame in frames(4)] == [[], [], [0], [1]]
        assert indices(sequence.flush()) == [2, 3]


def test_fewer_are_under_way_of_larger_frames_and_the_order_stays() -> None:
    given = [
        replace(frame, index=n)
        for n, frame in enumerate([*frames(5), *frames(3, (640, 480)), *frames(4, (320, 240)), *frames(2)])
    ]
    under_way, most = 0, dict.fromkeys((64, 320, 640), 0)
    lock = threading.Lock()

    def counted(batch: list[Frame], _in_flight: int) -> list[Frame]:
        nonlocal under_way
        with lock:
            under_way += 1
            most[batch[0].width] = max(most[batch[0].width], under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return batch

    limits = {64: 4, 320: 2, 640: 1}
    with Sequence(counted, lambda _frame: 1, lambda frame: limits[frame.width]) as sequence:
        assert indices(sequence.stream(given)) == list(range(14))
    assert most[640] == 1
    assert most[320] <= 2


def test_memory_bounds_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(BACKEND), "in_flight", 8)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4 << 30)
    with Upscaler("fast", backend="onnxruntime") as upscaler:
        wide = [
            upscaler.network.at_once(Kind.of(frames(1, size)[0]))
            for size in ((64, 48), (960, 540), (1920, 1080))
        ]
    assert wide == [8, 5, 1]


def test_a_batch_is_of_one_kind() -> None:
    given = [
        replace(frame, index=n) for n, frame in enumerate([*frames(3), *frames(2, (32, 48)), *frames(4)])
    ]
    runs = Runs()
    with sequence_of(runs, batch=4) as sequence:
        assert indices(sequence.stream(given)) == list(range(9))
    assert runs.seen == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def test_the_last_batch_is_filled_up_to_the_largest_of_its_kind() -> None:
    given = [replace(frame, index=n) for n, frame in enumerate([*frames(5), *frames(1, (32, 48))])]
    runs = Runs()
    with sequence_of(runs, batch=3, in_flight=2) as sequence:
        assert indices(sequence.stream(given)) == list(range(6))
    assert sorted(runs.seen) == [[0, 1, 2], [3, 4, 4], [5]]


def test_a_reset_begins_a_batch_and_loses_nothing() -> None:
    given = [replace(frame, starts=None) for frame in frames(6)]
    given[3].starts = Reset.GAP
    runs = Runs()
    with sequence_of(runs, batch=4) as sequence:
        found = [frame for frame in given[:5] for frame in sequence.push(frame)]
        assert indices(found) == [0, 1, 2], "the frames before it are done"
        sequence.reset(Reset.NETWORK)
        sequence.reset(Reset.NETWORK)
        assert indices([*sequence.push(given[5]), *sequence.flush()]) == [3, 4, 5]
    assert runs.seen == [[0, 1, 2], [3, 4], [5]]


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_an_error_comes_after_the_frames_before_it_and_is_not_lost(in_flight: int, batch: int) -> None:
    found: list[Frame] = []
    with sequence_of(Runs(bad=4), batch, in_flight) as sequence:
        with pytest.raises(InferenceError, match="out of luck"):
            found.extend(sequence.stream(frames(9)))
        assert indices(found) == [0, 1, 2, 3]
        for again in (lambda: sequence.push(frames(1)[0]), sequence.flush):
            with pytest.raises(InferenceError, match="out of luck"):
                again()


def test_an_error_in_the_last_frame_comes_with_the_flush() -> None:
    with sequence_of(Runs(bad=1), in_flight=3) as sequence:
        assert [sequence.push(frame) for frame in frames(2)] == [[], []]
        assert indices(sequence.flush()) == [0]
        with pytest.raises(InferenceError):
            sequence.flush()


def test_left_early_it_waits_for_what_is_under_way_and_drops_it() -> None:
    begun, release = threading.Event(), threading.Event()

    def slow(batch: list[Frame], _in_flight: int) -> list[Frame]:
        begun.set()
        release.wait()
        return batch

    with Sequence(slow, lambda _frame: 1, lambda _frame: 3) as sequence:
        for frame in frames(2):
            sequence.push(frame)
        begun.wait()
        release.set()
    sequence.close()
    for again in (lambda: sequence.push(frames(1)[0]), sequence.flush):
        with pytest.raises(RuntimeError, match="closed"):
            again()


def test_an_upscaler_has_any_number_of_sequences() -> None:
    """And pictures of any kind make one."""
    pictures = [np.full((12, 16), level, np.uint8) for level in (10, 200)]
    asked: list[int] = []

    def live() -> Iterator[np.ndarray]:
        for number, picture in enumerate(pictures):
            asked.append(number)
            yield picture

    with Upscaler("bicubic") as upscaler, upscaler.sequence() as one, upscaler.sequence(in_flight=1) as other:
        found = [
            frame
            for picture in pictures
            for sequence in (one, other)
            for frame in (*sequence.push(frame_from_array(picture)), *sequence.flush())
        ]
        assert [int(np.asarray(frame.planes[0]).max()) for frame in found] == [10, 10, 200, 200]
        for number, large in enumerate(upscaler.stream(live())):
            assert large.shape == (24, 32)
            assert asked == list(range(number + 1)), "none is asked for ahead"
