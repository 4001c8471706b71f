"""`vsr jobs`"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import text
from vsr.cli.interrupt import interrupts
from vsr.cli.terminal import note, say, say_json
from vsr.core.errors import ConfigError

if TYPE_CHECKING:
    from vsr.jobs.listing import JobStatus

_folders = click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
_job = click.argument("job", type=click.Path(path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("jobs")
def command() -> None:
    """List the jobs that are not done, show one, take what is done of it, or remove them.

    A job in segments lies in a folder beside its output, OUTPUT.vsr; one of several inputs in a folder batch-NUMBER.vsr beside
    its outputs. The command that began it goes on with it.
    """


@command.command("list")
@_folders
@_as_json
def list_jobs(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the jobs in each FOLDER, or here."""
    from vsr import api

    jobs = api.list_jobs(folders or (Path(),))
    if as_json:
        say_json([job.as_dict() for job in jobs])
    elif jobs:
        say(*_table(jobs))
    else:
        note("no jobs")


@command.command("show")
@_job
@_as_json
def show_job(job: Path, as_json: bool) -> None:
    """Show a JOB by its output or its folder: how far it is, and how it was begun."""
    from vsr import api

    found = api.find_job(job)
    if as_json:
        say_json(found.as_dict())
        return
    facts = {
        "output": found.output,
        "input": found.input,
        "running": found.running,
        "done": _done(found, "g"),
        "can be exported": None if found.inputs else f"{found.playable_s:g} s from the beginning",
        "segments": _segments(found),
        "bytes": text.size(found.bytes),
        "begun with": found.identity,
        "damage": found.damage,
    }
    say(*text.tree({"folder": found.folder, **facts}))


@command.command("export")
@_job
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
def export_job(job: Path, output: Path, overwrite: bool) -> None:
    """Make OUTPUT of what a JOB has finished, from the beginning up to the first gap. The job stays."""
    from vsr import api

    control = api.JobControl()
    with interrupts(control):
        made = api.export_job(job, output, overwrite=overwrite, control=control)
    say(f"wrote {made.output} ({made.frames:,} frames, {text.size(made.bytes)})")


@command.command("clean")
@_folders
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean_jobs(folders: tuple[Path, ...], yes: bool) -> None:
    """Remove jobs with all they have done: those in each FOLDER, or here, that nobody works on. A job may be named, too."""
    from vsr import api

    def confirm(jobs: Sequence[JobStatus]) -> bool:
        note(*_table(jobs))
        if not sys.stdin.isatty():
            raise ConfigError("nobody can be asked whether to remove them", hint="--yes removes them")
        return click.confirm("Remove them?", err=True)

    removed = api.remove_jobs(folders or (Path(),), confirm=None if yes else confirm)
    say(*(f"removed {job.folder}" for job in removed))


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
