"""How items flow through a run, and what is told of it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stages import WAIT_S, pairs, plus_one
from vsr.pipeline import Pipeline, PipelineStats, Stage, run_pipeline


def test_order_and_flush() -> None:
    result = run_pipeline(range(7), [Stage("add", plus_one), Stage("pair", pairs, len)], list)
    assert result.value == [[1, 2], [3, 4], [5, 6], [7]]
    assert not result.stopped


def test_no_stages_and_no_items() -> None:
    assert run_pipeline(range(3), [], list).value == [0, 1, 2]
    assert run_pipeline([], [Stage("add", plus_one)], list).value == []


def test_flush_happens_stage_by_stage() -> None:
    flushed: list[str] = []

    def holding_back(name: str) -> Stage:
        def transform(items: Iterator[int]) -> Iterator[int]:
            held = list(items)
            flushed.append(name)
            yield from held

        return Stage(name, transform)

    result = run_pipeline(range(20), [holding_back("a"), holding_back("b"), holding_back("c")], list)
    assert result.value == list(range(20))
    assert flushed == ["a", "b", "c"]


def test_counters_add_up() -> None:
    def unpair(items: Iterator[list[int]]) -> Iterator[int]:
        for item in items:
            yield from item

    stages = [Stage("batch", pairs, len), Stage("infer", unpair)]
    result = run_pipeline(range(101), stages, lambda items: sum(1 for _ in items), capacity=2)
    decode, batch, infer, encode = result.stats.stages
    assert [s.name for s in result.stats.stages] == ["source", "batch", "infer", "sink"]
    assert (decode.items_in, decode.items_out) == (0, 101)
    assert (batch.items_in, batch.items_out) == (101, 101)
    assert (infer.items_in, infer.items_out) == (101, 101)
    assert (encode.items_in, encode.items_out) == (101, 101)
    for stage in result.stats.stages:
        whole = stage.busy_s + stage.starved_s + stage.blocked_s
        assert 0 <= whole <= result.stats.seconds + 0.01
        assert stage.queue_high_water <= 2
        assert stage.cpu_s >= 0
        assert stage.as_dict()["rate"] == stage.rate


def test_the_bottleneck_is_the_slow_stage() -> None:
    def slow(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            time.sleep(0.05)  # far longer than the others wait for a processor
            yield item

    stats = run_pipeline(range(20), [Stage("fast", plus_one), Stage("slow", slow)], list).stats
    assert stats.bottleneck.name == "slow"
    _, fast, slow_stats, sink = stats.stages
    assert fast.blocked_s > 0.01
    assert sink.starved_s > 0.03
    assert slow_stats.rate < 20
    assert fast.queue_high_water == 4


def test_queues_are_bounded() -> None:
    made = 0
    room = threading.Semaphore(0)

    def source() -> Iterator[int]:
        nonlocal made
        for i in range(50):
            made += 1
            yield i

    def sink(items: Iterator[int]) -> int:
        taken = 0
        for item in items:
            taken += 1
            # In two queues of 3, in the stage's hand, in the source's hand, and one more just made.
            assert made <= taken + 3 + 3 + 1 + 1
            assert item == taken
            room.release()
        return taken

    assert run_pipeline(source(), [Stage("add", plus_one)], sink, capacity=3).value == 50


def test_items_are_let_go() -> None:
    class Thing:
        pass

    alive: list[weakref.ref[Thing]] = []

    def source() -> Iterator[Thing]:
        for _ in range(5):
            thing = Thing()
            alive.append(weakref.ref(thing))
            yield thing
            del thing

    def one_at_a_time(items: Iterator[Thing]) -> Iterator[Thing]:
        for item in items:
            yield item
            del item

    def sink(items: Iterator[Thing]) -> int:
        for item in items:
            del item
        return sum(reference() is not None for reference in alive)

    assert run_pipeline(source(), [Stage("pass", one_at_a_time)], sink).value == 0


def test_ten_thousand_items_take_little_of_the_processor() -> None:
    started = time.process_time()
    result = run_pipeline(range(10_000), [Stage(str(i), plus_one) for i in range(3)], sum)
    assert result.value == sum(range(3, 10_003))
    assert time.process_time() - started < 10  # Half a second; the machine's load does not count.


# Progress


def test_progress_is_told_on_the_calling_thread_and_once_at_the_end() -> None:
    seen: list[tuple[int, PipelineStats]] = []
    told = threading.Event()

    def on_progress(stats: PipelineStats) -> None:
        seen.append((threading.get_ident(), stats))
        told.set()

    def source() -> Iterator[int]:
        yield 1
        assert told.wait(WAIT_S)
        yield 2

    run_pipeline(source(), [], list, on_progress=on_progress, progress_interval_s=0.001)
    assert {ident for ident, _ in seen} == {threading.get_ident()}
    assert seen[-1][1].stages[-1].items_in == 2
    assert seen[0][1].stages[0].items_out <= 1


def test_an_error_in_progress_ends_the_run() -> None:
    def on_progress(_stats: PipelineStats) -> None:
        raise ZeroDivisionError("progress")

    def endless() -> Iterator[int]:
        while True:
            yield 0

    def sink(items: Iterator[int]) -> Any:
        for _ in items:
            pass

    with pytest.raises(ZeroDivisionError):
        run_pipeline(endless(), [], sink, on_progress=on_progress, progress_interval_s=0.001)


def test_stats_before_running_and_running_twice() -> None:
    pipeline: Pipeline[list[int]] = Pipeline(range(2), [], list)
    assert pipeline.stats.seconds == 0
    assert pipeline.stats.stages[0].rate == 0
    pipeline.run()
    with pytest.raises(RuntimeError, match="once"):
        pipeline.run()
