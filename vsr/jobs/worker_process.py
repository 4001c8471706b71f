"""A process that makes segments. It gets tasks and sends results by one pipe, and ends when the other end is closed.

worker_process.py PIPE WORKERS: the descriptor or handle of the pipe, and among how many processes the machine is shared.
"""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue

from vsr.core.child import end_at_once, end_with_parent
from vsr.core.errors import VsrError, stage_failed
from vsr.core.limits import share_machine
from vsr.jobs.progress import Progress
from vsr.jobs.run_segment import run_segment
from vsr.jobs.tasks import SegmentDone, SegmentTask
from vsr.jobs.upscale import UpscaleJob

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

Answer = Progress | SegmentDone | VsrError


def main(ours: int, workers: int) -> None:
    end_with_parent()
    share_machine(workers)
    tasks: SimpleQueue[SegmentTask] = SimpleQueue()
    with Connection(ours) as pipe:
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
        end_at_once()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
