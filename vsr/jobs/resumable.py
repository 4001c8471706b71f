"""A job in segments: finished segments stay, whatever ends the run, and the same job continues from them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.control import Cancelled, Control
from vsr.core.errors import ConfigError, FileError, VsrError
from vsr.files.checks import check_writable, os_error, place_of
from vsr.files.whole import sync_folder
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.folder import JobFolder, Sealed, job_folder
from vsr.jobs.identity import check_same, config_values, differences
from vsr.jobs.journal import Finished, Identified, Identity, JobHead, Journal, JournalContent, read_journal
from vsr.jobs.report import Report, counted_once, merged
from vsr.jobs.room import Room
from vsr.jobs.runners import Failed, Made, Runners
from vsr.jobs.schedule import ATTEMPTS, Schedule
from vsr.jobs.segments import SegmentPlan
from vsr.jobs.tasks import Joined, SegmentTask

# Interval at which free runners ask again for the segments of slow ones.
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One input to one output, in segments.

    url: the input, an absolute path. identity: of everything the output depends on. estimated_bytes: of the output, 0 if
    unknown. notes: sentences for the user about how it is made.
    """

    url: str
    output: Path
    config: UpscaleConfig
    identity: Identity
    estimated_bytes: int = 0
    notes: tuple[str, ...] = ()


Join = Callable[[Sequence[Path], Path], Joined]
"""Makes of segments, in order, a whole file of that name. Raises VsrError, and Cancelled."""


@dataclass(slots=True)
class _Run:
    """The state of a run."""

    folder: JobFolder
    journal: Journal
    head: JobHead
    finished: dict[int, Finished]
    room: Room

    @property
    def in_order(self) -> list[Finished]:
        return [self.finished[number] for number in sorted(self.finished)]

    @property
    def how_far(self) -> str:
        """412 of 900 s are done"""
        return how_far(self.head.plan, self.finished)


class ResumableJob:
    """Runs a job, with functions of its caller.

    plan: cuts the input, if nothing is finished yet. said: gets sentences for the user, at once. finished: gets the reports of
    the finished segments, by their numbers, at every change. made: gets the report of the whole output and the state of its
    file, which has its name; the folder still records it. free_bytes: room on the disk of a folder.
    """

    def __init__(
        self,
        job: Job,
        *,
        plan: Callable[[], SegmentPlan],
        runners: Runners,
        join: Join,
        control: Control | None = None,
        said: Callable[[str], None] = lambda _: None,
        finished: Callable[[Mapping[int, Report]], None] = lambda _: None,
        made: Callable[[Report, Identified], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._job = job
        self._plan = plan
        self._runners = runners
        self._join = join
        self._control = control or Control()
        self._said = said
        self._finished = finished
        self._whole = made
        self._clock = clock
        self._free_bytes = free_bytes

    def run(self) -> Report:
        """Make the unfinished segments, and join all. After `control.stop` segments in progress are finished, and the report
        names the folder where they are kept, and no output.

        Raises ConfigError if another job lies there, FileError, the errors of runners and of the join, and Cancelled. Finished
        segments stay.
        """
        path = job_folder(self._job.output)
        if not path.is_dir():
            self._check_output()
        with JobFolder(path) as folder:
            content = self._content(folder)
            joined = content.joined
            if content.head is not None and joined is not None and is_output(self._job.output, joined):
                report = self._report([content.finished[number] for number in sorted(content.finished)])
                self._tell_whole(report, joined)
                folder.remove()
                return report
            try:
                self._check_output()
            except ConfigError:
                # A run that was done died as it removed the folder, the journal last.
                if not folder.journal.exists():
                    folder.remove()
                raise
            return self._run(folder, content)

    def _check_output(self) -> None:
        check_writable(self._job.output, overwrite=self._job.config.sink.overwrite)

    def _content(self, folder: JobFolder) -> JournalContent:
        """The useful part of the journal. Raises ConfigError if it belongs to another job."""
        if self._job.config.restart:
            return JournalContent()
        content = read_journal(folder.journal)
        if content.damage:
            self._said(f"{content.damage}: the work recorded after that is done again")
        if content.head is None:
            return JournalContent()
        if not differences(content.head.identity, self._job.identity):
            return content
        if not is_output(self._job.output, content.joined):
            check_same(folder.path, content.head.identity, self._job.identity)
        return JournalContent()

    def _run(self, folder: JobFolder, content: JournalContent) -> Report:
        finished = {
            number: one
            for number, one in content.finished.items()
            if folder.holds(number, Sealed(one.bytes, one.crc32))
        }
        if lost := len(content.finished) - len(finished):
            self._said(f"{lost} finished segments are missing or damaged, and are made again")
        folder.clear(finished)
        head = content.head
        try:
            if head is None:
                job = self._job
                head = JobHead(job.url, job.identity, config_values(job.config), self._plan())
            with Journal(folder.journal, content.length) as journal:
                if not content.length:
                    journal.begin(head)
                    sync_folder(folder.path)
                room = Room(folder.path, head.plan, self._job.estimated_bytes, self._free_bytes, self._said)
                run = _Run(folder, journal, head, finished, room)
                if finished:
                    self._said(f"going on: {run.how_far}")
                return self._made(run)
        finally:
            # Without a finished segment, there is nothing to keep.
            if not finished:
                folder.remove()

    def _made(self, run: _Run) -> Report:
        try:
            self._make(run)
            if len(run.finished) < len(run.head.plan.segments):
                return self._stopped(run)
            return self._joined(run)
        except BaseException as error:
            with contextlib.suppress(FileError):
                run.folder.clear(run.finished)
            if isinstance(error, Cancelled) and run.finished:
                self._said(f"{run.how_far} and kept in {run.folder.path}; the same command continues")
            if isinstance(error, FileError):
                error = run.room.explained(error, run.in_order)
            # If only --restart helps, the error's own hint says so.
            if isinstance(error, VsrError) and run.finished and "--restart" not in (error.hint or ""):
                error.hint = "; ".join(
                    filter(None, [error.hint, f"the same command continues: {run.how_far}"])
                )
            raise error

    def _make(self, run: _Run) -> None:
        """Make all unfinished segments, or as many as are begun before the job is stopped."""
        segments = run.head.plan.segments
        left = {segment.number: segment.frames for segment in segments if segment.number not in run.finished}
        run.room.check_all(run.in_order)
        self._tell(run)
        schedule, tasks = Schedule(left), dict[str, SegmentTask]()
        attempts: Counter[int] = Counter()
        with self._runners as runners:
            while not schedule.done:
                self._control.check()
                if not self._control.stopped:
                    self._hand_out(run, schedule, tasks, attempts)
                elif not schedule.under_way:
                    return
                for event in runners.wait(_LOOK_S if runners.free() else None):
                    self._note(event, run, schedule, tasks)

    def _hand_out(
        self, run: _Run, schedule: Schedule, tasks: dict[str, SegmentTask], attempts: Counter[int]
    ) -> None:
        job, plan = self._job, run.head.plan
        for runner in self._runners.free():
            number = schedule.take(runner, self._clock.now())
            if number is None:
                continue
            run.room.check_next(run.in_order)
            path = run.folder.attempt(number, attempts[number])
            attempts[number] += 1
            task = SegmentTask(job.url, str(job.output), job.config, plan.segments[number], path)
            tasks[runner] = task
            self._runners.start(runner, task)

    def _note(
        self, event: Made | Failed, run: _Run, schedule: Schedule, tasks: dict[str, SegmentTask]
    ) -> None:
        """Record the result of a runner. Raises its error if the job cannot continue."""
        task = tasks.pop(event.runner, None)
        if isinstance(event, Failed):
            over = (schedule.lost if event.gone else schedule.failed)(event.runner, event.error.message)
            if over:
                event.error.message = f"a segment failed {ATTEMPTS} times: {event.error.message}"
            if event.final or over:
                raise event.error
            self._said(f"{event.runner}: {event.error.message}; its segment is made again")
            return
        others = schedule.made(event.runner, self._clock.now())
        if others is None or task is None:
            return
        for other in others:
            self._runners.drop(other)
            tasks.pop(other, None)
        sealed = run.folder.seal(event.done.number, task.path)
        one = Finished(event.done, *sealed)
        run.journal.add(one)
        run.finished[event.done.number] = one
        self._tell(run)

    def _tell(self, run: _Run) -> None:
        self._finished({number: one.done.report for number, one in run.finished.items()})

    def _stopped(self, run: _Run) -> Report:
        if not run.finished:
            raise Cancelled
        self._said(f"stopped: {run.how_far} and kept in {run.folder.path}; the same command continues")
        report = self._report(run.in_order)
        return replace(report, output=None, stopped_early=True, kept=str(run.folder.path))

    def _joined(self, run: _Run) -> Report:
        """Join the segments, give the output its name, and remove the folder."""
        self._check_output()
        run.room.check_join(run.in_order)
        output, target = self._job.output, run.folder.joined(self._job.output)
        began = self._clock.now()
        joined = self._join([run.folder.segment(number) for number in sorted(run.finished)], target)
        join_s = self._clock.now() - began
        place = place_of(output)
        try:
            with target.open("r+b") as file:  # Windows syncs only files that are open for writing.
                os.fsync(file.fileno())
                whole = Identified.of(os.fstat(file.fileno()))
                run.journal.joined(whole)
            os.replace(target, place)
        except OSError as error:
            raise os_error(str(output), error) from error
        sync_folder(place.parent)
        report = self._report(run.in_order)
        seconds = report.seconds + join_s
        report = replace(
            report,
            seconds=round(seconds, 3),
            fps=round(report.frames_out / seconds, 2) if seconds > 0 else 0.0,
            notes=counted_once((*report.notes, *joined.notes)),
            warnings=counted_once((*report.warnings, *joined.warnings)),
        )
        self._tell_whole(report, whole)
        run.folder.remove()
        return report

    def _tell_whole(self, report: Report, file: Identified) -> None:
        if self._whole is not None:
            self._whole(report, file)

    def _report(self, finished: Sequence[Finished]) -> Report:
        output = self._job.output
        report = merged([one.done.report for one in finished])
        with contextlib.suppress(OSError):
            report = replace(report, output_bytes=output.stat().st_size)
        return replace(report, output=str(output), notes=(*report.notes, *self._job.notes))


def is_output(output: Path, joined: Identified | None) -> bool:
    """Whether a run was ended after the output had got its name, and before the folder was removed. joined: as its journal has
    it."""
    with contextlib.suppress(OSError):
        return joined == Identified.of(place_of(output).stat())
    return False


def how_far(plan: SegmentPlan, finished: Sequence[int] | dict[int, Finished]) -> str:
    """412 of 900 s are done"""
    done, whole = float(plan.seconds_of(list(finished))), float(plan.seconds)
    digits = 0 if whole >= 10 else 1
    return f"{done:.{digits}f} of {whole:.{digits}f} s are done"
