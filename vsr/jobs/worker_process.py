"""A process that makes segments. Tasks come to it, and answers leave it, by one pipe; it ends when the other end is closed.

worker_process.py DESCRIPTOR WORKERS: the pipe, and among how many processes the machine is shared.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from vsr.core.child import end_with_parent
from vsr.core.errors import VsrError, stage_failed
from vsr.core.limits import share_machine
from vsr.jobs.progress import Progress
from vsr.jobs.run_segment import run_segment
from vsr.jobs.tasks import SegmentDone, SegmentTask
from vsr.jobs.upscale import UpscaleJob

Answer = Progress | SegmentDone | VsrError


def main(descriptor: int, workers: int) -> None:
    end_with_parent()
    share_machine(workers)
    tasks: SimpleQueue[SegmentTask] = SimpleQueue()
    with Connection(descriptor) as pipe:
        threading.Thread(target=_hear, args=(pipe, tasks), name="tasks", daemon=True).start()
        task = tasks.get()
        with UpscaleJob(task.config) as job:
            while True:
                pipe.send(_answer(job, task, pipe))
                task = tasks.get()


def _answer(job: UpscaleJob, task: SegmentTask, pipe: Connection[Answer, SegmentTask]) -> Answer:
    try:
        return run_segment(job, task, pipe.send)
    except VsrError as error:
        return error
    except Exception as error:
        return stage_failed("segment", None, error)


def _hear(pipe: Connection[Answer, SegmentTask], tasks: SimpleQueue[SegmentTask]) -> None:
    try:
        while True:
            tasks.put(pipe.recv())
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)  # with all that it has started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
