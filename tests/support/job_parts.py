"""A job in segments whose segments are a few bytes, made at once: for tests of all that is around them.

As a program it runs such a job slowly enough to be killed: `python -m tests.support.job_parts OUTPUT SECONDS`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.control import Control
from vsr.core.errors import DecodeError
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.report import Report, StageReport
from vsr.jobs.resumable import Job, Join, ResumableJob
from vsr.jobs.runners import InProcess, Runners
from vsr.jobs.segments import Segment, SegmentPlan, plan_segments
from vsr.jobs.tasks import Joined, RunSegment, SegmentDone, SegmentTask
from vsr.media.read.index import VideoIndex
from vsr.media.types import SinkOptions

FRAMES, LENGTH = 100, 20
PLAN = plan_segments(VideoIndex(Fraction(1, 2), tuple(range(FRAMES)), tuple(range(0, FRAMES, 5))), LENGTH)


def content_of(segment: Segment) -> bytes:
    return f"{segment.number}: {segment.begin} {segment.end} {segment.seek}\n".encode() * segment.frames


WHOLE = b"".join(content_of(segment) for segment in PLAN.segments)
"""What a job that nothing disturbs makes."""


def report_of(frames: int) -> Report:
    stage = StageReport("infer", frames, frames, 0.5, 0.0, 0.0, 0.25, 2.0 * frames, 1)
    return Report(
        input="in.mp4", output=None, model="m", backend="b", device="d", precision="fp32", size_in=(4, 4),
        size_out=(8, 8), frames_in=frames, frames_out=frames, seconds=1.0, setup_s=0.5, cpu_s=0.25, fps=float(frames),
        stages=(stage,), bottleneck="infer", notes=(f"{frames} frames are damaged: parts of them were made up", "deinterlaced"),
    )  # fmt: skip


def run_segment(task: SegmentTask) -> SegmentDone:
    task.path.write_bytes(content_of(task.segment))
    return SegmentDone(task.segment.number, report_of(task.segment.frames))


def join(files: Sequence[Path], target: Path) -> Joined:
    target.write_bytes(b"".join(file.read_bytes() for file in files))
    return Joined(str(target), 100, len(WHOLE), ("joined",), ())


class Recorded:
    """A job and what it does: `made` has the numbers of the segments, `said` the sentences."""

    def __init__(
        self,
        output: Path,
        *,
        identity: Mapping[str, Any] | None = None,
        run: RunSegment = run_segment,
        join: Join = join,
        plan: SegmentPlan = PLAN,
        runners: Runners | None = None,
        control: Control | None = None,
        restart: bool = False,
        overwrite: bool = False,
        estimated_bytes: int = 0,
        free_bytes: Callable[[Path], int] = lambda _: 10**12,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.made: list[int] = []
        self.said: list[str] = []
        config = UpscaleConfig(
            ("in.mp4",), str(output), sink=SinkOptions(overwrite=overwrite), restart=restart
        )
        job = Job(
            "/in.mp4",
            output,
            config,
            identity or {"--crf": 18.0, "input": "/in.mp4"},
            estimated_bytes,
        )

        def recorded(task: SegmentTask) -> SegmentDone:
            self.made.append(task.segment.number)
            return run(task)

        self._job = ResumableJob(
            job,
            plan=lambda: plan,
            runners=runners or InProcess(recorded),
            join=join,
            control=control,
            said=self.said.append,
            free_bytes=free_bytes,
            clock=clock,
        )

    def run(self) -> Report:
        return self._job.run()


def begun(output: Path, segments: int) -> None:
    """A job that has finished some of its five segments."""

    def some(task: SegmentTask) -> SegmentDone:
        if task.segment.number == segments:
            raise DecodeError("enough")
        return run_segment(task)

    with suppress(DecodeError):
        Recorded(output, run=some).run()


def main(output: str, pause_s: str) -> None:
    """Run the job, each step taking a while, and print the report."""

    def slowly(task: SegmentTask) -> SegmentDone:
        with task.path.open("wb", buffering=0) as file:
            for byte in content_of(task.segment):
                file.write(bytes([byte]))
        time.sleep(float(pause_s))
        return SegmentDone(task.segment.number, report_of(task.segment.frames))

    one = Recorded(Path(output), run=slowly)
    print("begun", flush=True)
    report = one.run()
    print(json.dumps({"made": one.made, "said": one.said, "frames": report.frames_out}))


if __name__ == "__main__":
    main(*sys.argv[1:])
