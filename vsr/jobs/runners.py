"""Runners make segments: their interface, wherever they run, and the runner in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vsr.core.errors import VsrError
from vsr.jobs.tasks import RunSegment, SegmentDone, SegmentTask


@dataclass(frozen=True, slots=True)
class Made:
    """A runner has made the segment it was given; its file is closed."""

    runner: str
    done: SegmentDone


@dataclass(frozen=True, slots=True)
class Failed:
    """A runner could not make its segment. gone: the runner itself is lost. final: another attempt would fail, too."""

    runner: str
    error: VsrError
    gone: bool = False
    final: bool = False


class Runners(Protocol):
    """The runners of a job, by their names. Runners may join and leave. A context manager that ends the work in progress."""

    def free(self) -> Sequence[str]:
        """The runners that are present and idle."""

    def start(self, runner: str, task: SegmentTask) -> None:
        """Let a free runner make a segment."""

    def wait(self, timeout_s: float | None) -> Sequence[Made | Failed]:
        """Wait for events and return them; none if only other runners are free, or after the timeout. Raises Cancelled."""

    def drop(self, runner: str) -> None:
        """Let a runner abandon its segment, which is not needed any more. It is soon free again, or lost."""

    def __enter__(self) -> Runners: ...
    def __exit__(self, *exc_info: object) -> None: ...


class InProcess:
    """One runner: this process, which makes a segment while it is waited for. An error is final: it would come again."""

    _NAME = "here"

    def __init__(self, run_segment: RunSegment) -> None:
        self._run = run_segment
        self._task: SegmentTask | None = None

    def free(self) -> Sequence[str]:
        return [] if self._task else [self._NAME]

    def start(self, runner: str, task: SegmentTask) -> None:
        self._task = task

    def wait(self, timeout_s: float | None) -> Sequence[Made | Failed]:
        task, self._task = self._task, None
        assert task is not None
        try:
            return [Made(self._NAME, self._run(task))]
        except VsrError as error:
            return [Failed(self._NAME, error, final=True)]

    def drop(self, runner: str) -> None:
        self._task = None

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._task = None
