"""The one function that makes a segment, in whichever process it is called."""

from __future__ import annotations

from vsr.jobs.progress import OnProgress
from vsr.jobs.tasks import SegmentDone, SegmentTask
from vsr.jobs.upscale import UpscaleJob


def run_segment(job: UpscaleJob, task: SegmentTask, on_progress: OnProgress | None = None) -> SegmentDone:
    """Make a segment with the compiled models of `job`. Raises as `UpscaleJob.run_part`."""
    segment = task.segment
    report = job.configured(task.config).run_part(
        task.url,
        task.output,
        task.path,
        seek=segment.seek,
        begin=segment.begin,
        end=segment.end,
        lead=segment.lead,
        on_progress=on_progress,
    )
    return SegmentDone(segment.number, report)
