"""Worker processes that make segments side by side, on this machine."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Pipe, wait

from vsr.core.child import kill, started
from vsr.core.control import Control
from vsr.core.errors import VsrError, WorkerError, is_out_of_memory
from vsr.files.checks import os_error
from vsr.jobs.progress import Progress
from vsr.jobs.runners import Failed, Made
from vsr.jobs.tasks import SegmentDone, SegmentTask

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection


@dataclass(slots=True)
class _Worker:
    """A process, this end of its pipe, and its task."""

    process: subprocess.Popen[bytes]
    pipe: Connection[SegmentTask, Progress | SegmentDone | VsrError]
    task: SegmentTask | None = None

    def kill(self) -> None:
        """Kill the process and all processes it has started. Any thread may call this."""
        kill(self.process)

    def ended(self) -> int:
        """Kill the process, and return its exit code, or the signal that killed it as a negative number."""
        self.kill()
        self.pipe.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return self.process.wait()


class Workers:
    """See `vsr.jobs.runners.Runners`. Each runner has a process of its own while it is needed: one that dies is replaced.

    An error of a segment is final, as it would come again, but where memory was short.
    """

    def __init__(
        self,
        count: int,
        devices: Sequence[str],
        control: Control,
        on_progress: Callable[[int, Progress], None] | None = None,
    ) -> None:
        """devices: each worker has one, in turn. control: `cancel` ends all processes at once. on_progress: gets the number of
        a segment and how far it is."""
        self._devices = {f"worker {number + 1}": devices[number % len(devices)] for number in range(count)}
        self._control = control
        self._on_progress = on_progress
        self._workers: dict[str, _Worker] = {}

    def free(self) -> Sequence[str]:
        return [name for name in self._devices if name not in self._workers or not self._workers[name].task]

    def start(self, runner: str, task: SegmentTask) -> None:
        worker = self._workers.get(runner) or self._started(runner)
        worker.task = task
        network = task.config.network
        network = replace(
            network,
            device=self._devices[runner],
            threads=network.threads and max(1, network.threads // len(self._devices)),
        )
        with contextlib.suppress(OSError):  # The worker is gone, which its pipe reports.
            worker.pipe.send(replace(task, config=replace(task.config, network=network)))

    def _started(self, runner: str) -> _Worker:
        ours, its = Pipe()
        try:
            process = started(
                "vsr.jobs.worker_process",
                str(its.fileno()),
                str(len(self._devices)),
                stdout=subprocess.DEVNULL,
                stderr=None,
                passed=[its.fileno()],
            )
        except OSError as error:
            ours.close()
            raise os_error("a worker process", error) from error
        finally:
            its.close()
        self._workers[runner] = _Worker(process, ours)
        self._control.check()  # A cancellation before this worker was known has not ended it.
        return self._workers[runner]

    def wait(self, timeout_s: float | None) -> Sequence[Made | Failed]:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            names = {worker.pipe: name for name, worker in self._workers.items() if worker.task}
            ready = wait(list(names), None if until is None else max(0.0, until - time.monotonic()))
            self._control.check()
            heard = [self._heard(name) for pipe, name in names.items() if pipe in ready]
            events = [event for event in heard if event is not None]
            if events or (until is not None and time.monotonic() >= until):
                return events

    def _heard(self, name: str) -> Made | Failed | None:
        worker = self._workers[name]
        assert worker.task is not None
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            return Failed(name, self._lost(name))
        if isinstance(said, Progress):
            if self._on_progress is not None:
                self._on_progress(worker.task.segment.number, said)
            return None
        worker.task = None
        if isinstance(said, SegmentDone):
            return Made(name, said)
        return Failed(name, said, final=not is_out_of_memory(said))

    def _lost(self, name: str) -> WorkerError:
        pid = self._workers[name].process.pid
        code = self._workers.pop(name).ended()
        if code >= 0:
            return WorkerError(f"process {pid} ended with exit code {code}")
        killed = signal.Signals(-code).name
        hint = (
            "it may have been ended because memory ran out: give fewer workers"
            if killed == "SIGKILL"
            else None
        )
        return WorkerError(f"process {pid} was killed by {killed}", hint=hint)

    def drop(self, runner: str) -> None:
        self._workers.pop(runner).ended()

    def __enter__(self) -> Workers:
        self._control.on_cancel(self._kill)
        return self

    def _kill(self) -> None:
        for worker in list(self._workers.values()):
            worker.kill()

    def __exit__(self, *exc_info: object) -> None:
        while self._workers:
            self._workers.popitem()[1].ended()
