"""`vsr jobs`"""

from __future__ import annotations

import json
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
    """List the jobs in segments that are not done, show one, take what is done of it, or remove them.

    Such a job lies in a folder beside its output, OUTPUT.vsr. The command that began it goes on with it.
    """


@command.command("list")
@_folders
@_as_json
def list_jobs(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the jobs in each FOLDER, or here."""
    from vsr import api

    jobs = api.list_jobs(folders or (Path(),))
    if as_json:
        say_json(json.dumps([job.as_dict() for job in jobs], indent=2))
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
        say_json(json.dumps(found.as_dict(), indent=2))
        return
    facts = found.as_dict() | {
        "done_s": f"{found.done_s:g} of {found.total_s:g} s",
        "total_s": None,
        "playable_s": f"{found.playable_s:g} s from the beginning",
        "segments_done": None,
        "segments": f"{found.segments_done} of {found.segments}",
        "bytes": text.size(found.bytes),
    }
    names = {
        "done_s": "done",
        "playable_s": "can be exported",
        "identity": "begun with",
    }
    say(*text.tree({names.get(name, name): value for name, value in facts.items()}))


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
            f"{job.done_s:.0f} of {job.total_s:.0f} s",
            f"{job.segments_done}/{job.segments}",
            text.size(job.bytes),
            job.running or job.damage or "stopped",
        ]
        for job in jobs
    ]
    return text.table(rows, numbers=(1, 2, 3))
