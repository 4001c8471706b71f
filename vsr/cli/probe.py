"""`vsr probe`"""

from __future__ import annotations

import json

import click

from vsr.cli import text


@click.command("probe")
@click.argument("url", metavar="INPUT")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(url: str, as_json: bool) -> None:
    """Show what vsr sees in INPUT and what `vsr upscale` would do with it."""
    from vsr import api

    found = api.probe(url).as_dict() | {"vsr_upscale": api.preview(url).as_dict()}
    print(json.dumps(found, indent=2, default=str) if as_json else "\n".join(text.tree(found)))
