"""`vsr jobs`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import text
from vsr.cli.interrupt import interrupts
from vsr.cli.printer import Printer, printing
from vsr.cli.terminal import note
from vsr.core.errors import ConfigError

if TYPE_CHECKING:
    from vsr.jobs.listing import JobStatus

_folders = click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
_job = click.argument("job", type=click.Path(path_type=Path))


@click.group("jobs")
def command() -> None:
    """List unfinished jobs, show one, export its finished part, or remove jobs.

    A job in segments has a folder beside its output, OUTPUT.vsr. A job of several inputs has a folder batch-NUMBER.vsr beside
    its first output. The command that began a job also continues it.
    """


@command.command("list")
@_folders
@printing
def list_jobs(folders: tuple[Path, ...], printer: Printer) -> None:
    """List the unfinished jobs in each FOLDER.  [default: the current folder]"""
    from vsr import api

    jobs = api.list_jobs(folders or (Path(),))
    printer.show(jobs, lambda: _table(jobs) if jobs else [])
    if not jobs:
        printer.progress("no jobs")


@command.command("show")
@_job
@printing
def show_job(job: Path, printer: Printer) -> None:
    """Show a JOB, named by its output or its folder: its progress and its options."""
    from vsr import api

    found = api.find_job(job)
    printer.show(found, lambda: _facts(found))


def _facts(found: JobStatus) -> list[str]:
    facts = {
        "folder": found.folder,
        "output": found.output,
        "input": found.input,
        "running": found.running,
        "done": _done(found, "g"),
        "can be exported": None if found.inputs else f"{found.playable_s:g} s from the beginning",
        "segments": _segments(found),
        "bytes": text.size(found.bytes),
        "options": found.identity,
        "damage": found.damage,
    }
    return text.tree(facts)


@command.command("export")
@_job
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@printing
def export_job(job: Path, output: Path, overwrite: bool, printer: Printer) -> None:
    """Write the finished part of a JOB to OUTPUT, from the beginning up to the first gap. The job stays."""
    from vsr import api

    control = api.JobControl()
    with interrupts(control):
        made = api.export_job(job, output, overwrite=overwrite, control=control)
    printer.show(made, lambda: [f"wrote {made.output} ({made.frames:,} frames, {text.size(made.bytes)})"])


@command.command("clean")
@_folders
@click.option("--yes", is_flag=True, help="Do not ask.")
@printing
def clean_jobs(folders: tuple[Path, ...], yes: bool, printer: Printer) -> None:
    """Remove the unfinished jobs in each FOLDER, with their finished segments.  [default: the current folder]

    Jobs that are running stay. A job may also be named by its output or its folder.
    """
    from vsr import api

    def confirm(jobs: Sequence[JobStatus]) -> bool:
        note(*_table(jobs))
        if not sys.stdin.isatty():
            raise ConfigError("nobody can be asked whether to remove them", hint="--yes removes them")
        return click.confirm("Remove them?", err=True)

    removed = api.remove_jobs(folders or (Path(),), confirm=None if yes else confirm)
    printer.show(removed, lambda: [f"removed {job.folder}" for job in removed])


def _table(jobs: Sequence[JobStatus]) -> list[str]:
    rows = [["output", "done", "segments", "size", "state"]]
    rows += [
        [
            job.output,
            _done(job, ".0f"),
            _segments(job),
            text.size(job.bytes),
            job.running or job.damage or "stopped",
        ]
        for job in jobs
    ]
    return text.table(rows, numbers=(1, 2, 3))


def _done(job: JobStatus, digits: str) -> str:
    if job.inputs:
        return f"{job.inputs_done} of {job.inputs} inputs"
    return f"{job.done_s:{digits}} of {job.total_s:{digits}} s"


def _segments(job: JobStatus) -> str:
    return f"{job.segments_done} of {job.segments}" if job.segments else ""
