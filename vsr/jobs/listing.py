"""Unfinished jobs: finding, describing, exporting and removing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.core.control import Control
from vsr.core.errors import ConfigError
from vsr.files.checks import os_error
from vsr.jobs.batch import is_batch, read_batch
from vsr.jobs.folder import JOURNAL, RUNNING, SUFFIX, JobFolder, job_folder, segment_name, worked_on
from vsr.jobs.identity import config_from
from vsr.jobs.journal import Identity, JobHead, JournalContent, read_journal
from vsr.jobs.tasks import Joined
from vsr.jobs.upscale import UpscaleJob
from vsr.media.read.opened import open_video
from vsr.media.types import SourceOptions


@dataclass(frozen=True, slots=True)
class JobStatus:
    """An unfinished job.

    folder: where its finished segments are. input: None if the journal is damaged. running: the process that works on it, in
    words; empty if there is none. done_s, total_s: seconds of video. playable_s: finished seconds from the beginning, up to the
    first gap. bytes: size of the finished segments. identity: all values that the output depends on. damage: describes damage
    of the journal. inputs, inputs_done: number of inputs of a batch, in which each has an output; 0 for a single job.
    """

    folder: str
    output: str
    input: str | None
    running: str
    done_s: float
    total_s: float
    playable_s: float
    segments_done: int
    segments: int
    bytes: int
    identity: Identity
    damage: str = ""
    inputs: int = 0
    inputs_done: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def list_jobs(folders: Iterable[str | Path] = (Path(),)) -> list[JobStatus]:
    """The unfinished jobs in these folders, by name. A job or its output may also be named. Raises ConfigError, FileError."""
    found: dict[Path, None] = {}
    for name in folders:
        path = Path(name)
        job = _job_at(path)
        if job is None and not path.is_dir():
            raise ConfigError(f"{path}: no folder, no job and no output of one", hint="name a folder")
        found.update(dict.fromkeys([job] if job else _jobs_in(path)))
    return [_status(path) for path in found]


def find_job(name: str | Path) -> JobStatus:
    """The unfinished job with this folder or output. Raises ConfigError."""
    return _status(_job(Path(name)))


def remove_jobs(
    folders: Iterable[str | Path] = (Path(),), *, confirm: Callable[[Sequence[JobStatus]], bool] | None = None
) -> list[JobStatus]:
    """Remove the jobs of `list_jobs` that no process works on, with their finished segments, and return them.

    confirm: is asked before the removal, if there are jobs. Raises ConfigError, FileError.
    """
    jobs = [job for job in list_jobs(folders) if not job.running]
    if not jobs or (confirm is not None and not confirm(jobs)):
        return []
    for job in jobs:
        with JobFolder(Path(job.folder)) as folder:
            folder.remove()
    return jobs


def export_job(
    name: str | Path, output: str | Path, *, overwrite: bool = False, control: Control | None = None
) -> Joined:
    """Write the finished part of a job, from the beginning to the first gap, with the copied streams up to there.

    The job stays, and may run at the same time. output: needs the same kind of container as the job's output. Raises VsrError;
    then no file has the output's name. Raises Cancelled after `Control.cancel`.
    """
    folder, path = _job(Path(name)), Path(output)
    content = read_journal(folder / JOURNAL)
    files = playable(content, folder)
    if content.head is None or not files:
        raise ConfigError(f"{folder}: the first segment is not finished", hint="continue the job first")
    ending = Path(str(folder).removesuffix(SUFFIX)).suffix
    if path.suffix != ending:
        raise ConfigError(
            f"{path}: the job's output ends in {ending!r}", hint="give the output the same ending"
        )
    head = content.head
    config = config_from(head.config, head.url, str(path))
    last = head.plan.segments[len(files) - 1].end
    source = config.source
    if last is not None:
        source = replace(source, duration_s=_length(head.url, source, last * head.plan.time_base))
    sink = replace(config.sink, overwrite=overwrite)
    with UpscaleJob(replace(config, source=source, sink=sink), control) as job:
        return job.join(head.url, str(path), files)


def _length(url: str, source: SourceOptions, end: Fraction) -> float:
    """The length of the wanted part of an input, up to a time of its clock."""
    opened = open_video(url, replace(source, duration_s=1.0))
    try:
        assert opened.wanted.end is not None
        return float(end - (opened.wanted.end - 1))
    finally:
        opened.close()


def _job(path: Path) -> Path:
    found = _job_at(path)
    if found is None:
        raise ConfigError(
            f"{path}: there is no unfinished job", hint="`vsr jobs list FOLDER`lists the jobs of a folder"
        )
    return found


def _job_at(path: Path) -> Path | None:
    """The folder of a job that is named by it, or by its output."""
    if path.name in ("", ".."):
        return None
    folder = path if path.name.endswith(SUFFIX) else job_folder(path)
    return folder if _is_job(folder) else None


def _jobs_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX) and _is_job(path))
    except OSError as error:
        raise ConfigError(
            f"{folder}: {os_error(str(folder), error).message}", hint="check the name"
        ) from error


def _is_job(path: Path) -> bool:
    return any((path / name).is_file() for name in (JOURNAL, RUNNING))


def playable(content: JournalContent, folder: Path) -> list[Path]:
    """The files of the segments that are finished from the beginning without a gap."""
    files: list[Path] = []
    while (number := len(files)) in content.finished and (folder / segment_name(number)).is_file():
        files.append(folder / segment_name(number))
    return files


def _batch_status(path: Path) -> JobStatus:
    content = read_batch(path)
    return JobStatus(
        folder=str(path),
        output=str(path.parent),
        input=None,
        running=worked_on(path),
        done_s=0.0,
        total_s=0.0,
        playable_s=0.0,
        segments_done=0,
        segments=0,
        bytes=sum(one.output.bytes for one in content.done.values()),
        identity=content.identity,
        damage=content.trusted.damage,
        inputs=content.inputs,
        inputs_done=len(content.done),
    )


def _status(path: Path) -> JobStatus:
    if is_batch(path):
        return _batch_status(path)
    content = read_journal(path / JOURNAL)
    head, finished = content.head, content.finished
    return JobStatus(
        folder=str(path),
        output=str(path).removesuffix(SUFFIX),
        input=head.url if head else None,
        running=worked_on(path),
        done_s=_seconds(head, list(finished)),
        total_s=float(head.plan.seconds) if head else 0.0,
        playable_s=_seconds(head, range(len(playable(content, path)))),
        segments_done=len(finished),
        segments=len(head.plan.segments) if head else 0,
        bytes=sum(one.bytes for one in finished.values()),
        identity=head.identity if head else {},
        damage=content.damage,
    )


def _seconds(head: JobHead | None, numbers: Sequence[int]) -> float:
    return round(float(head.plan.seconds_of(numbers)), 3) if head else 0.0
