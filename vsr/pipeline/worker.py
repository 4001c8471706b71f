"""The loop of each thread of a run: source, stage and sink."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar, cast

from vsr.core.control import Control
from vsr.pipeline.channel import Channel
from vsr.pipeline.stats import StageStats

R = TypeVar("R")


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


@contextmanager
def _closing(iterator: Iterator[Any]) -> Generator[Iterator[Any]]:
    """Close an iterator on the thread that ran it; an earlier error takes precedence over an error in closing."""
    try:
        yield iterator
    except BaseException:
        with suppress(Exception):
            _close(iterator)
        raise
    _close(iterator)


class Worker(ABC):
    """One thread's share of a run, and its counters. Counters are written by that thread alone and read by any."""

    def __init__(
        self,
        name: str,
        count_out: Callable[[Any], int],
        inputs: Channel[Any] | None,
        outputs: Channel[Any] | None,
    ) -> None:
        self.name = name
        self.count_out = count_out
        self._inputs = inputs
        self._outputs = outputs
        self._items_in = 0
        self._items_out = 0
        self._cpu_s = 0.0
        self._started_at: float | None = None
        self._ended_at: float | None = None

    @abstractmethod
    def _loop(self) -> None:
        """Process all items."""

    @property
    def index(self) -> int | None:
        """The number of items taken, to tell where it failed; None before the first."""
        return self._items_in or None

    def run(self) -> None:
        """Work to the end, on the calling thread."""
        self._started_at = time.perf_counter()
        try:
            self._loop()
        finally:
            self._cpu_s = time.thread_time()
            self._ended_at = time.perf_counter()
            if self._inputs is not None:
                self._inputs.leave()

    def stats(self) -> StageStats:
        started_at, ended_at = self._started_at, self._ended_at
        elapsed_s = 0.0
        starved_s = self._inputs.get_wait_s if self._inputs is not None else 0.0
        blocked_s = self._outputs.put_wait_s if self._outputs is not None else 0.0
        if started_at is not None:
            elapsed_s = (ended_at if ended_at is not None else time.perf_counter()) - started_at
        return StageStats(
            self.name,
            self._items_in,
            self._items_out,
            max(0.0, elapsed_s - starved_s - blocked_s),
            starved_s,
            blocked_s,
            self._cpu_s,
            self._inputs.high_water if self._inputs is not None else 0,
        )

    def _take(self, inputs: Channel[Any], count: Callable[[Any], int]) -> Iterator[Any]:
        for item in inputs:
            self._items_in += count(item)
            self._cpu_s = time.thread_time()
            yield item
            del item  # so that its memory is free while waiting for the next one

    def _give(self, outputs: Channel[Any], item: Any) -> bool:
        amount = self.count_out(item)
        if not outputs.put(item):
            return False
        self._items_out += amount
        self._cpu_s = time.thread_time()
        return True


class SourceWorker(Worker):
    """Iterates the source until it ends, is stopped, or no more items are wanted."""

    def __init__(
        self,
        name: str,
        source: Iterable[Any],
        count: Callable[[Any], int],
        outputs: Channel[Any],
        control: Control,
    ) -> None:
        super().__init__(name, count, None, outputs)
        self.stopped = False
        self._source: Iterable[Any] | None = source
        self._to = outputs
        self._control = control

    @property
    def index(self) -> int | None:
        return self._items_out

    def _loop(self) -> None:
        source, self._source = self._source, None
        assert source is not None
        with _closing(iter(source)) as items:
            while True:
                if self._control.stopped:
                    self._control.check()
                    self.stopped = True
                    break
                try:
                    item = next(items)
                except StopIteration:
                    break
                if not self._give(self._to, item):
                    break
                del item
        self._to.close()


class StageWorker(Worker):
    """Runs a transform from one channel into the next."""

    def __init__(
        self,
        name: str,
        transform: Callable[[Iterator[Any]], Iterator[Any]],
        count_in: Callable[[Any], int],
        count_out: Callable[[Any], int],
        *,
        inputs: Channel[Any],
        outputs: Channel[Any],
    ) -> None:
        super().__init__(name, count_out, inputs, outputs)
        self._transform: Callable[[Iterator[Any]], Iterator[Any]] | None = transform
        self._count_in = count_in
        self._from = inputs
        self._to = outputs

    def _loop(self) -> None:
        transform, self._transform = self._transform, None
        assert transform is not None
        with (
            _closing(self._take(self._from, self._count_in)) as taken,
            _closing(transform(taken)) as given,
        ):
            for item in given:
                if not self._give(self._to, item):
                    break
                del item
        self._to.close()


class SinkWorker(Worker, Generic[R]):
    """Hands everything that arrives to the sink, and keeps its result."""

    def __init__(
        self,
        name: str,
        sink: Callable[[Iterator[Any]], R],
        count_in: Callable[[Any], int],
        inputs: Channel[Any],
    ) -> None:
        super().__init__(name, count_in, inputs, None)
        self.returned = False
        self._value: R | None = None
        self._sink: Callable[[Iterator[Any]], R] | None = sink
        self._from = inputs

    def result(self) -> R:
        """The sink's result, after its end."""
        return cast(R, self._value)

    def _loop(self) -> None:
        sink, self._sink = self._sink, None
        assert sink is not None
        with _closing(self._take(self._from, self.count_out)) as taken:
            self._value = sink(taken)
        self._items_out = self._items_in
        self.returned = True
