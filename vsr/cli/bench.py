"""`vsr bench`"""

from __future__ import annotations

import json
from pathlib import Path

import click

from vsr.cli import options, text
from vsr.cli.show import check_report_path, write_json


@click.command("bench")
@click.option("--model", default="auto", show_default=True, help="Name of a model or path of a package.")
@click.option("--backend", default="auto", show_default=True, help="What runs it; see `vsr doctor`.")
@click.option(
    "--size", type=options.SIZE, default="960x540", show_default=True, help="Of the frames that go in."
)
@click.option("--frames", type=click.IntRange(1), default=240, show_default=True, help="How many.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *, model: str, backend: str, size: tuple[int, int], frames: int, report: Path | None, as_json: bool
) -> None:
    """Measure frames per second on synthetic frames: each stage alone, and all together."""
    from vsr import api

    check_report_path(report)
    result = api.bench(model=model, backend=backend, size=size, frames=frames)
    if report is not None:
        write_json(report, result)
    print(json.dumps(result, indent=2, default=str) if as_json else "\n".join(text.tree(result)))
