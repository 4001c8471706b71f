"""How a run ends otherwise than at the end of its source: by an error, early, cancelled."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import chain

import pytest

from tests.support.stages import WAIT_S, pairs, plus_one
from vsr.core.control import Cancelled, Control
from vsr.core.errors import DecodeError, DeviceMemoryError, PipelineError
from vsr.pipeline import Pipeline, PipelineStats, Stage, run_pipeline

# Errors


def failing_source(at: str, error: BaseException) -> Iterator[int]:
    for i in range(20):
        if (at == "first" and i == 0) or (at == "middle" and i == 10):
            raise error
        yield i
    raise error


def failing_stage(at: str, error: BaseException) -> Callable[[Iterator[int]], Iterator[int]]:
    def transform(items: Iterator[int]) -> Iterator[int]:
        for i, item in enumerate(items):
            if (at == "first" and i == 0) or (at == "middle" and i == 10):
                raise error
            yield item
        raise error

    return transform


def failing_sink(at: str, error: BaseException) -> Callable[[Iterator[int]], int]:
    transform = failing_stage(at, error)

    def sink(items: Iterator[int]) -> int:
        return len(list(transform(items)))

    return sink


INDEX = {"first": 1, "middle": 11, "flush": 20}


@pytest.mark.parametrize("at", ["first", "middle", "flush"])
@pytest.mark.parametrize("where", ["decode", "batch", "infer", "encode"])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("capacity", [1, 30])
def test_a_fault_anywhere_is_raised_in_the_caller(where: str, at: str, ours: bool, capacity: int) -> None:
    error: BaseException = DecodeError("broken") if ours else KeyError("broken")
    ended_cleanly: list[str] = []

    def watched(name: str) -> Callable[[Iterator[int]], Iterator[int]]:
        def transform(items: Iterator[int]) -> Iterator[int]:
            yield from items
            ended_cleanly.append(name)

        return failing_stage(at, error) if name == where else transform

    def sink(items: Iterator[int]) -> int:
        taken = len(list(items))
        ended_cleanly.append("encode")
        return taken

    with pytest.raises(DecodeError if ours else PipelineError) as caught:
        run_pipeline(
            failing_source(at, error) if where == "decode" else range(20),
            [Stage("batch", watched("batch")), Stage("infer", watched("infer"))],
            failing_sink(at, error) if where == "encode" else sink,
            capacity=capacity,
            source_name="decode",
            sink_name="encode",
        )
    index = INDEX[at] - (where == "decode" and at != "flush")
    if ours:
        assert caught.value is error
        assert caught.value.__notes__ == [f"in {where} at frame {index}"]
    else:
        assert isinstance(caught.value, PipelineError)
        assert caught.value.__cause__ is error
        assert (caught.value.stage, caught.value.frame_index) == (where, index)
    order = ["decode", "batch", "infer", "encode"]
    assert all(order.index(name) < order.index(where) for name in ended_cleanly)


def test_where_memory_ends_no_bug_is_reported() -> None:
    with pytest.raises(DeviceMemoryError, match="out of memory: not enough for infer at frame 1") as caught:
        run_pipeline(range(3), [Stage("infer", failing_stage("first", MemoryError()))], list)
    assert isinstance(caught.value.__cause__, MemoryError)


def test_the_first_error_wins() -> None:
    sink_failed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield 0
            assert sink_failed.wait(WAIT_S)
            yield 1
            yield 2
        finally:
            raise KeyError("while closing")

    def sink(items: Iterator[int]) -> None:
        next(items)
        try:
            raise DecodeError("first")
        finally:
            sink_failed.set()

    with pytest.raises(DecodeError, match="first"):
        run_pipeline(source(), [], sink, capacity=1)


def test_an_error_in_opening_or_closing_is_an_error() -> None:
    def never(_items: Iterator[int]) -> Iterator[int]:
        raise ZeroDivisionError("no generator")

    with pytest.raises(PipelineError) as caught:
        run_pipeline(range(3), [Stage("open", never)], list)
    assert (caught.value.stage, caught.value.frame_index) == ("open", None)

    class Closing:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise StopIteration

        def close(self) -> None:
            raise OSError("cannot close")

    with pytest.raises(PipelineError, match="cannot close"):
        run_pipeline(Closing(), [], list)


def test_an_error_counting_items_is_an_error() -> None:
    with pytest.raises(PipelineError, match="TypeError"):
        run_pipeline(range(3), [Stage("count", plus_one, len)], list)  # type: ignore[arg-type]


def test_an_error_wakes_those_who_wait() -> None:
    starving = threading.Event()
    blocked = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        blocked.set()
        yield from range(100)

    def middle(items: Iterator[int]) -> Iterator[int]:
        for _ in items:
            assert starving.wait(WAIT_S)
            assert blocked.wait(WAIT_S)
            raise DecodeError("middle")
        yield 0

    def sink(items: Iterator[int]) -> list[int]:
        starving.set()
        return list(items)

    with pytest.raises(DecodeError):
        run_pipeline(source(), [Stage("middle", middle)], sink, capacity=1)


def test_generators_are_closed_on_their_own_thread() -> None:
    threads: dict[str, tuple[int, int]] = {}
    flushed: list[str] = []

    def tracked(name: str, items: Iterator[int]) -> Iterator[int]:
        started_on = threading.get_ident()
        try:
            yield from items
            flushed.append(name)
        finally:
            threads[name] = (started_on, threading.get_ident())

    def sink(items: Iterator[int]) -> None:
        next(items)
        raise DecodeError("sink")

    stages = [Stage(name, lambda items, name=name: tracked(name, items)) for name in ("a", "b")]  # type: ignore[misc]
    with pytest.raises(DecodeError):
        run_pipeline(tracked("source", iter(range(1000))), stages, sink, capacity=1)
    assert set(threads) == {"source", "a", "b"}
    assert all(opened == closed for opened, closed in threads.values())
    assert len({opened for opened, _ in threads.values()}) == 3
    assert flushed == []


# Ending early


def test_a_sink_that_has_enough_ends_the_run() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        i = 0
        try:
            while True:
                yield i
                i += 1
        finally:
            closed.set()

    result = run_pipeline(endless(), [Stage("add", plus_one)], lambda items: [next(items), next(items)])
    assert result.value == [1, 2]
    assert closed.is_set()


def test_stop_drains_what_is_in_flight() -> None:
    control = Control()
    closed_on: list[str] = []

    def source() -> Iterator[int]:
        try:
            for i in range(1000):
                if i == 10:
                    control.stop()
                yield i
        finally:
            closed_on.append(threading.current_thread().name)

    result = run_pipeline(source(), [Stage("pair", pairs, len)], list, control=control, capacity=2)
    assert result.stopped
    assert list(chain.from_iterable(result.value)) == list(range(11))
    assert result.value[-1] == [10]
    assert closed_on == ["vsr-source"]


def test_stop_before_the_start_gives_an_empty_stream() -> None:
    control = Control()
    control.stop()
    result = run_pipeline(range(5), [Stage("add", plus_one)], list, control=control)
    assert (result.value, result.stopped) == ([], True)


def test_stop_while_the_source_is_blocked() -> None:
    control = Control()
    go = threading.Event()

    def source() -> Iterator[int]:
        for i in range(1000):
            if i == 1:
                go.set()
            yield i

    def sink(items: Iterator[int]) -> list[int]:
        assert go.wait(WAIT_S)
        control.stop()
        return list(items)

    result = run_pipeline(source(), [], sink, control=control, capacity=1)
    assert result.stopped
    assert result.value == list(range(len(result.value)))
    assert 1 <= len(result.value) <= 4


# Cancelling


@pytest.mark.parametrize("where", ["source", "stage", "sink", "outside"])
def test_cancel(where: str) -> None:
    control = Control()
    endings: list[str] = []
    entered = threading.Event()

    def maybe(name: str, i: int) -> None:
        if i == 5:
            entered.set()
            if name == where:
                control.cancel()

    def tracked(name: str, items: Iterator[int]) -> Iterator[int]:
        try:
            for i, item in enumerate(items):
                maybe(name, i)
                yield item
            endings.append(f"{name} flushed")
        finally:
            endings.append(f"{name} closed")

    def sink(items: Iterator[int]) -> None:
        try:
            for i, _ in enumerate(items):
                maybe("sink", i)
            endings.append("sink flushed")
        finally:
            endings.append("sink closed")

    def count() -> Iterator[int]:
        i = 0
        while True:
            yield i
            i += 1

    def from_outside() -> None:
        assert entered.wait(WAIT_S)
        control.cancel()

    outside = threading.Thread(target=from_outside if where == "outside" else lambda: None)
    outside.start()
    pipeline = Pipeline(
        tracked("source", count()),
        [Stage("stage", lambda items: tracked("stage", items))],
        sink,
        capacity=1,
        control=control,
    )
    with pytest.raises(Cancelled):
        pipeline.run()
    outside.join()
    assert sorted(endings) == ["sink closed", "source closed", "stage closed"]
    assert pipeline.stats.stages[0].items_out >= 5


def test_cancel_before_the_start() -> None:
    control = Control()
    control.cancel()
    with pytest.raises(Cancelled):
        run_pipeline(range(5), [Stage("add", plus_one)], list, control=control)


def test_what_is_cancelled_between_two_items_is_not_taken_for_stopped() -> None:
    """The source sees it first: nothing may be flushed then, as it would be at an end."""
    control = Control()

    def source() -> Iterator[int]:
        yield 0
        control._cancelled = control._stopped = True  # As it is until those who wait are woken.
        yield 1

    def sink(items: Iterator[int]) -> list[int]:
        return list(items)

    with pytest.raises(Cancelled):
        run_pipeline(source(), [], sink, control=control, capacity=4)


def test_cancel_while_all_wait() -> None:
    """The source is blocked on a full queue, the sink starved, and the stage between them waits for the cancel itself."""
    control = Control()
    cancelled = threading.Event()
    control.on_cancel(cancelled.set)

    def stuck(items: Iterator[int]) -> Iterator[int]:
        next(items)
        assert cancelled.wait(WAIT_S)
        yield from items

    pipeline: Pipeline[list[int]] = Pipeline(
        range(100), [Stage("stuck", stuck)], list, capacity=1, control=control
    )

    def on_progress(stats: PipelineStats) -> None:
        source, _, sink = stats.stages
        if source.blocked_s > 0 and sink.starved_s > 0:
            control.cancel()

    with pytest.raises(Cancelled):
        pipeline.run(on_progress, progress_interval_s=0.001)


def test_an_error_after_cancelling_is_not_the_ending() -> None:
    control = Control()

    def sink(items: Iterator[int]) -> None:
        next(items)
        control.cancel()
        raise DecodeError("while cancelling")

    with pytest.raises(Cancelled):
        run_pipeline(range(5), [], sink, control=control)


def test_cancelling_later_changes_nothing() -> None:
    control = Control()
    result = run_pipeline(range(5), [], list, control=control)
    control.cancel()
    assert result.value == [0, 1, 2, 3, 4]


def test_a_control_outlives_its_runs_without_keeping_them() -> None:
    control = Control()
    pipeline: Pipeline[list[int]] = Pipeline(range(5), [], list, control=control)
    reference = weakref.ref(pipeline._control)
    pipeline.run()
    del pipeline
    gc.collect()
    assert reference() is None
    control.cancel()
