"""Stages on their own threads, joined by channels, and the three ways a run ends.

End of stream: each stage flushes after the one before it has. Cancel: queued items drop and all waits wake. Error: the
first one wins, the rest is cancelled and joined, and it is raised in the caller.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vsr.core.control import Cancelled, Control
from vsr.core.errors import VsrError, stage_failed
from vsr.pipeline.channel import Channel
from vsr.pipeline.stats import PipelineStats, StageStats
from vsr.pipeline.worker import SinkWorker, SourceWorker, StageWorker, Worker

A = TypeVar("A")
Z = TypeVar("Z")
R = TypeVar("R")


def _one(_item: Any) -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Stage:
    """One step. `transform` takes an iterator of items and returns one; it runs, and is closed, on a thread of its own.

    Code after the transform's loop runs at end of stream only (flush); its `finally` blocks run however the run ends.
    count: how much an item that the stage gives counts for, in its counters and as input of the next stage.
    """

    name: str
    transform: Callable[[Iterator[Any]], Iterator[Any]]
    count: Callable[[Any], int] = _one


@dataclass(frozen=True, slots=True)
class PipelineResult(Generic[R]):
    """A finished run. value: the result of the sink. stopped: the source was stopped before its own end."""

    value: R
    stats: PipelineStats
    stopped: bool


class Pipeline(Generic[R]):
    """One run from a source through stages into a sink. `stats` may be read from any thread, before, during and after."""

    def __init__(
        self,
        source: Iterable[A],
        stages: Sequence[Stage],
        sink: Callable[[Iterator[Z]], R],
        *,
        capacity: int = 4,
        control: Control | None = None,
        source_name: str = "source",
        sink_name: str = "sink",
        source_count: Callable[[A], int] = _one,
    ) -> None:
        self._control = Control()
        if control is not None:
            _forward(control, self._control)
        channels: list[Channel[Any]] = [Channel(capacity, self._control) for _ in range(len(stages) + 1)]
        self._source = SourceWorker(source_name, source, source_count, channels[0], control or self._control)
        self._workers: list[Worker] = [self._source]
        for i, stage in enumerate(stages):
            count_in = self._workers[-1].count_out
            self._workers.append(
                StageWorker(
                    stage.name,
                    stage.transform,
                    count_in,
                    stage.count,
                    inputs=channels[i],
                    outputs=channels[i + 1],
                )
            )
        self._sink = SinkWorker[R](sink_name, sink, self._workers[-1].count_out, channels[-1])
        self._workers.append(self._sink)
        self._lock = threading.Lock()
        self._alive = len(self._workers)
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._ran = False
        self._started_at: float | None = None
        self._ended_at: float | None = None

    @property
    def stats(self) -> PipelineStats:
        started_at = self._started_at
        end = self._ended_at if self._ended_at is not None else time.perf_counter()
        seconds = end - started_at if started_at is not None else 0.0
        return PipelineStats(tuple(worker.stats() for worker in self._workers), seconds)

    def run(
        self, on_progress: Callable[[PipelineStats], None] | None = None, *, progress_interval_s: float = 0.2
    ) -> PipelineResult[R]:
        """Run to the end and return the sink's result; no thread is left behind.

        Raises Cancelled when cancelled before the sink had returned, a VsrError of a stage unchanged (with a note of stage and
        frame), and any other exception as the cause of a PipelineError. `on_progress` is called on the calling thread at
        intervals, and once after the end.
        """
        if self._ran:
            raise RuntimeError("a pipeline runs once")
        self._ran = True
        self._started_at = time.perf_counter()
        threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"vsr-{worker.name}", daemon=True)
            for worker in self._workers
        ]
        started: list[threading.Thread] = []
        try:
            for thread in threads:
                thread.start()
                started.append(thread)
            while not self._done.wait(progress_interval_s if on_progress is not None else None):
                if on_progress is not None:
                    on_progress(self.stats)
        finally:
            if not self._done.is_set():  # an exception on the calling thread, perhaps KeyboardInterrupt
                self._control.cancel()
            for thread in started:
                thread.join()
            self._ended_at = time.perf_counter()
        if self._error is not None:
            raise self._error
        if not self._sink.returned:
            raise Cancelled
        if on_progress is not None:
            on_progress(self.stats)
        return PipelineResult(self._sink.result(), self.stats, self._source.stopped)

    def _work(self, worker: Worker) -> None:
        try:
            worker.run()
        except Cancelled:
            self._control.cancel()
        except BaseException as error:
            self._fail(worker, error)
        finally:
            with self._lock:
                self._alive -= 1
                last = not self._alive
            if last:
                self._done.set()

    def _fail(self, worker: Worker, error: BaseException) -> None:
        with self._lock:
            first = self._error is None and not self._control.cancelled
            if first:
                index = worker.index
                if isinstance(error, VsrError):
                    error.add_note(f"in {worker.name}" + (f" at frame {index}" if index is not None else ""))
                    self._error = error
                else:
                    self._error = stage_failed(worker.name, index, error)
                    self._error.__cause__ = error
        self._control.cancel()


def _forward(outer: Control, inner: Control) -> None:
    """Cancel `inner`, which an error cancels too, with `outer`; `outer` does not keep a run's channels and frames alive."""
    reference = weakref.ref(inner)

    def forward() -> None:
        token = reference()
        if token is not None:
            token.cancel()

    outer.on_cancel(forward)


def run_pipeline(
    source: Iterable[A],
    stages: Sequence[Stage],
    sink: Callable[[Iterator[Z]], R],
    *,
    capacity: int = 4,
    control: Control | None = None,
    on_progress: Callable[[PipelineStats], None] | None = None,
    progress_interval_s: float = 0.2,
    source_name: str = "source",
    sink_name: str = "sink",
    source_count: Callable[[A], int] = _one,
) -> PipelineResult[R]:
    """Build a Pipeline and run it; see `Pipeline.run` for how it ends.

    capacity: items each queue holds at most. control: `cancel` ends the run at once; `stop` ends the source
    early, so that everything in flight drains and the sink finishes as at a normal end.
    """
    pipeline: Pipeline[R] = Pipeline(
        source,
        stages,
        sink,
        capacity=capacity,
        control=control,
        source_name=source_name,
        sink_name=sink_name,
        source_count=source_count,
    )
    return pipeline.run(on_progress, progress_interval_s=progress_interval_s)


__all__ = ["Pipeline", "PipelineResult", "Stage", "StageStats", "run_pipeline"]
