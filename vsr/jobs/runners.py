"""Who makes segments: what a job asks of them, wherever they are, and the one in this process."""

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
    """Those that make segments, by their names. They may come and go. A context manager that ends what is under way."""

    def free(self) -> Sequence[str]:
        """Those that are there and make nothing."""

    def start(self, runner: str, task: SegmentTask) -> None:
        """Let one make a segment."""

    def wait(self, timeout_s: float | None) -> Sequence[Made | Failed]:
        """What has happened; nothing where only others are free, or the time is over. Raises Cancelled."""

    def drop(self, runner: str) -> None:
        """Let one leave what it makes, which is of no use any more. It is free again, or is lost, soon."""

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
