"""Whether an input is made in one pass or in segments, and the latter by way of `UpscaleJob`.

What only segments need is imported where they begin: a run in one pass would show its first frame later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vsr.core.control import Control
from vsr.core.errors import ConfigError
from vsr.core.limits import cores
from vsr.files.checks import is_special
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.folder import JOURNAL, JobFolder, check_usable, job_folder
from vsr.jobs.outlook import Outlook, Preview
from vsr.jobs.progress import OnProgress, Progress, TimeLeft
from vsr.jobs.report import Report
from vsr.jobs.segments import LEAD, SegmentPlan, early_keyframes, is_short, plan_segments, segment_seconds
from vsr.jobs.upscale import UpscaleJob
from vsr.media.address import file_name
from vsr.media.read.index import why_not_cut
from vsr.media.write.containers import NULL, STDOUT
from vsr.models import find_model
from vsr.models.registry import Temporal
from vsr.upscale.options import NetworkOptions

if TYPE_CHECKING:
    from vsr.jobs.cluster import Cluster
    from vsr.jobs.journal import Identified, Identity, JobHead
    from vsr.jobs.runners import Runners
    from vsr.jobs.tasks import Joined, SegmentDone, SegmentTask

OnMade = Callable[["Report", "Identified"], None]
"""Gets the report of a complete output, and the identity of its file. The file is about to get its final name, or has it and
the folder of its job is not removed yet."""

# The number of threads FFmpeg's own encoders are made for; more gain nothing.
_MOST_CODEC_THREADS = 16


class Upscaling:
    """Makes inputs one by one, each in one pass or in segments, as the configuration and the amount of work say.

    said: gets sentences for the user, at once.
    """

    def __init__(
        self,
        config: UpscaleConfig,
        job: UpscaleJob,
        control: Control,
        said: Callable[[str], None],
        cluster: Cluster | None = None,
    ) -> None:
        self._devices = config.devices
        self._workers = config.workers or (len(self._devices) if len(self._devices) > 1 else 0)
        self._cluster = cluster
        self._asked = replace(config, network=replace(config.network, device=self._devices[0]))
        self._config = _at_head(self._asked, cluster.device) if cluster is not None else self._asked
        self._job = job.configured(self._config)
        self._control = control
        self._said = said

    def run(
        self,
        url: str,
        output: str,
        *,
        on_progress: OnProgress | None,
        item: int,
        items: int,
        following: str | None = None,
        on_begin: Callable[[Preview], None] | None = None,
        on_made: OnMade | None = None,
    ) -> Report:
        """Make one output, and continue the segments of an earlier run. following: the next input. on_begin: gets the plan
        before the first frame. Raises VsrError, Cancelled."""
        plan: SegmentPlan | None = None
        if why := _why_at_once(url, output, self._config):
            plan = SegmentPlan(Fraction(1), (), 0, why) if self._config.segment else None
        else:
            begun = self._begun(Path(output))
            plan = begun.plan if begun else self._plan(url, output)
            if plan is not None and len(plan.segments) > 1:
                if on_begin is not None:
                    # A begun job may have its output by now; the check below tells whether it is this job's.
                    on_begin(self._seen(self._to_look(replacing=bool(begun)).preview(url, output)))
                watch = _Watch(plan, on_progress, item, items) if on_progress else None
                return self._in_segments(url, Path(output), begun, plan, watch, on_made)
            self.forget(Path(output))
        if plan is None and (self._workers > 1 or self._cluster is not None):
            plan = SegmentPlan(
                Fraction(1), (), 0, "there is less than a minute of work; --segment splits less"
            )
        notes = (f"made in one pass: {plan.note}",) if plan is not None else ()
        for note in notes:
            self._said(note)

        def named(made: Report, found: os.stat_result) -> None:
            from vsr.jobs.journal import Identified

            assert on_made is not None
            on_made(replace(made, notes=(*made.notes, *notes)), Identified.of(found))

        report = self._job.run(
            url,
            output,
            on_progress=on_progress,
            on_begin=on_begin,
            on_whole=named if on_made is not None else None,
            item=item,
            items=items,
            following=following,
        )
        return replace(report, notes=(*report.notes, *notes))

    def preview(self, url: str, output: str, like: Path | None = None) -> Preview:
        """The plan of `run`. Raises the errors of `run` before its first frame; nothing is written.

        like: a file in a folder that is there, to be looked at in place of an output whose folder is only made by a run.
        """
        at_once = bool(_why_at_once(url, output, self._config))
        begun, is_made = None, False
        if not at_once and like is None:
            begun = self._begun(Path(output))
            check_usable(job_folder(Path(output)))
            is_made = begun is not None and self._is_made(url, Path(output), begun)
        job = self._to_look(replacing=is_made or like is not None)
        found = replace(job.preview(url, str(like or output)), output=output)
        if self._config.segment is None and begun is None:
            at_once |= found.seconds is not None and is_short(found.seconds)
        return found if at_once else self._seen(found)

    def _is_made(self, url: str, output: Path, begun: JobHead) -> bool:
        """Whether the begun job has its output already, but was killed just then. Raises ConfigError if this job differs from
        the begun one."""
        from vsr.jobs.identity import check_same
        from vsr.jobs.journal import read_journal
        from vsr.jobs.resumable import is_output

        folder = job_folder(output)
        if is_output(output, read_journal(folder / JOURNAL).joined):
            return True
        check_same(folder, begun.identity, self._identity(url, self._job.outlook(url), begun))
        return False

    def _to_look(self, *, replacing: bool) -> UpscaleJob:
        """The job for looking at the input. replacing: whether an output may exist."""
        writing = replace(self._config.sink, overwrite=self._config.sink.overwrite or replacing)
        return self._job.configured(replace(self._config, sink=writing, skip_existing=False))

    def _seen(self, found: Preview) -> Preview:
        """The preview of a job in segments: on a cluster the nodes make it, whose speed is unknown."""
        if self._cluster is None:
            return found
        there = replace(found, device=f"{self._cluster.device} of a cluster", seconds=None)
        if self._cluster.device == "cpu":
            return there
        asked = self._asked.network
        return replace(there, backend=asked.backend, precision=asked.precision or "")

    def _begun(self, output: Path) -> JobHead | None:
        """The unfinished job beside the output, which is to be continued. Raises ConfigError if one pass is asked for."""
        if self._config.restart or not job_folder(output).exists():
            return None
        from vsr.jobs.journal import read_journal

        head = read_journal(job_folder(output) / JOURNAL).head
        if head is not None and self._config.segment == 0:
            raise ConfigError(
                f"{job_folder(output)}holds the finished segments of an earlier run",
                hint="leave out --segment 0 to continue that job, or discard it with --restart",
            )
        return head

    def forget(self, output: Path) -> None:
        """Remove the job's folder beside an output that is done, or is now made in one pass. Raises FileError, and
        ConfigError if another run works on it."""
        if job_folder(output).is_dir():
            with JobFolder(job_folder(output)) as folder:
                folder.remove()

    def _plan(self, url: str, output: str) -> SegmentPlan | None:
        """The plan of the segments; None for one pass, because it is asked for or the best."""
        seconds = self._config.segment
        if seconds == 0:
            return None
        outlook = self._job.outlook(url)
        if seconds is None and outlook.frames is not None and is_short(outlook.work_s(outlook.frames)):
            return None
        index = self._job.index(url, output)
        if seconds is None:
            if is_short(outlook.work_s(len(index.times) or outlook.frames or 0)):
                return None
            length = segment_seconds(index, outlook.work_s(len(index.times)))
        else:
            length = Fraction(seconds).limit_denominator(1000)
        ticks = max(1, round(length / index.time_base))
        lead = LEAD if outlook.spec.states else 0
        return plan_segments(index, ticks, scene_cuts=early_keyframes(index), lead=lead)

    def _in_segments(
        self,
        url: str,
        output: Path,
        begun: JobHead | None,
        plan: SegmentPlan,
        watch: _Watch | None,
        on_made: OnMade | None,
    ) -> Report:
        from vsr.jobs.identity import check_unchanged
        from vsr.jobs.resumable import Job, ResumableJob

        path, outlook = _path(url), self._job.outlook(url)
        known = self._identity(url, outlook, begun)
        bitrate = self._config.sink.bitrate
        notes = ("rate control starts again in each segment, so each has this bitrate",) if bitrate else ()
        config = fixed(self._config, outlook, begun)
        made_here = self._job.configured(config)

        def joined(files: Sequence[Path], target: Path) -> Joined:
            check_unchanged(path, known)
            return made_here.join(url, str(target), files, str(output))

        job = ResumableJob(
            Job(
                url=str(path),
                output=output,
                config=config,
                identity=known,
                estimated_bytes=round(bitrate * plan.seconds / 8) if bitrate else 0,
                notes=notes,
            ),
            plan=lambda: plan,
            runners=self._runners(made_here, config.network, outlook, watch),
            join=joined,
            control=self._control,
            said=self._said,
            finished=watch.finished if watch is not None else lambda _: None,
            made=on_made,
        )
        return job.run()

    def _identity(self, url: str, outlook: Outlook, begun: JobHead | None) -> Identity:
        """The identity of the job. Unless the user sets a segment length, the length of the begun job is kept."""
        from vsr.jobs.identity import SEGMENT, identity

        backend, device = outlook.backend, outlook.device
        if self._cluster is not None and self._cluster.device == "cuda":
            backend, device = self._asked.network.backend, "cuda:0"
        known = identity(self._asked, _path(url), outlook.spec, backend, device)
        if begun is not None and self._config.segment is None:
            known = {**known, SEGMENT: begun.identity.get(SEGMENT)}
        return known

    def _runners(
        self, job: UpscaleJob, network: NetworkOptions, outlook: Outlook, watch: _Watch | None
    ) -> Runners:
        """The runners of the job: this process, worker processes, or a cluster."""
        if self._cluster is not None:
            from vsr.jobs.cluster import OnCluster

            if self._cluster.device == "cuda":
                network = replace(self._asked.network, device="cuda")
            package = outlook.spec.folder
            return OnCluster(self._cluster, package, network, self._control, self._said, watch)
        if (workers := self._workers or outlook.workers) > 1:
            from vsr.jobs.workers import Workers

            # A worker has a share of the machine, which has no tuning: with "auto" it would choose its own device.
            devices = (outlook.device,) if self._devices == ("auto",) else self._devices
            return Workers(workers, devices, self._control, watch)

        from vsr.jobs.run_segment import run_segment
        from vsr.jobs.runners import InProcess

        def run(task: SegmentTask) -> SegmentDone:
            return run_segment(job, task, partial(watch, task.segment.number) if watch else None)

        return InProcess(run)


def _at_head(config: UpscaleConfig, device: str) -> UpscaleConfig:
    """The same job for the head of a cluster whose nodes run on `device`: it reads the input and joins the segments, for
    which it needs no GPU."""
    asked = config.network
    if device == "cpu":
        return replace(config, network=replace(asked, device="cpu"))
    model = find_model(asked.model, asked.scale or 2.0, on_gpu=True)
    here = replace(asked, model=str(model.folder), device="cpu", backend="auto", precision=None)
    return replace(config, network=here)


def fixed(config: UpscaleConfig, outlook: Outlook, begun: JobHead | None = None) -> UpscaleConfig:
    """The configuration with everything fixed that packets depend on, so that all runners make equal segments at any time.

    The packets of x264 depend on its number of threads. `auto` has chosen by a look at the whole input.
    """
    if begun is not None:
        threads, precision = begun.config["sink"]["threads"], begun.config["network"]["precision"]
    else:
        threads, precision = outlook.encoder_threads or min(cores(), _MOST_CODEC_THREADS), outlook.precision
    temporal: Temporal = "on" if outlook.spec.states else "off"
    model = str(outlook.spec.folder) if config.network.model == "auto" else config.network.model
    return replace(
        config,
        network=replace(config.network, model=model, precision=precision, temporal=temporal),
        source=replace(config.source, threads=threads),
        sink=replace(config.sink, threads=threads),
    )


class _Watch:
    """Adds up the progress of the segments."""

    def __init__(self, plan: SegmentPlan, on_progress: OnProgress, item: int, items: int) -> None:
        self._plan = plan
        self._on_progress = on_progress
        self._number = item, items
        self._taken = self._made = self._bytes = 0
        self._under_way: dict[int, Progress] = {}
        self._began: tuple[float, int] | None = None
        self._left = TimeLeft()

    def finished(self, reports: Mapping[int, Report]) -> None:
        """Note the finished segments, by their numbers."""
        self._taken = sum(self._plan.segments[number].frames for number in reports)
        self._made = sum(report.frames_out for report in reports.values())
        self._bytes = sum(report.output_bytes or 0 for report in reports.values())
        for number in reports:
            self._under_way.pop(number, None)

    def __call__(self, number: int, part: Progress) -> None:
        """Note the progress of a segment."""
        self._under_way[number] = part
        # Each of the input's pictures may become two; the finished segments show this.
        total = self._plan.frames * self._made // self._taken if self._taken else self._plan.frames
        done = self._made + sum(each.frames_done for each in self._under_way.values())
        known = total if total >= done else None
        now = time.monotonic()
        since, before = self._began = self._began or (now, self._made)
        fps = (done - before) / (now - since) if now > since else part.fps
        share = min(1.0, done / total) if total else None
        speed = part.speed * fps / part.fps if part.speed is not None and part.fps > 0 else None
        item, items = self._number
        self._on_progress(
            replace(
                part,
                frames_done=done,
                frames_total=known,
                fps=fps,
                speed=speed,
                eta_s=self._left.at(share) if known is not None else None,
                item=item,
                items=items,
                share=share,
                bytes=self._bytes + sum(each.bytes for each in self._under_way.values()),
                # A segment's own share is of the whole input.
                bytes_expected=round(self._bytes / self._made * total) if self._made else part.bytes_expected,
            )
        )


def _path(url: str) -> Path:
    return Path(file_name(url)).absolute()


def _why_at_once(url: str, output: str, config: UpscaleConfig) -> str:
    """Why there can be no segments, as far as names tell; "" where there may be."""
    if output in (STDOUT, NULL) or is_special(Path(output)):
        return "the output is not a file, so nothing can be kept"
    return why_not_cut(url, config.source)
