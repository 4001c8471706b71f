"""`vsr probe`"""

from __future__ import annotations

import json

import click

from vsr.cli import text

_READ_ONCE = "not told of standard input and pipes, which are read once; give a file to see it"


@click.command("probe")
@click.argument("url", metavar="INPUT")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(url: str, as_json: bool) -> None:
    """Show what vsr sees in INPUT and what `vsr upscale` would do with it."""
    from vsr import api
    from vsr.media.address import is_read_once

    found = api.probe(url).as_dict()
    # Both open the input anew, and a pipe has nothing left for the second.
    upscaled = {"notes": [_READ_ONCE]} if is_read_once(url) else api.preview(url).as_dict()
    found["vsr_upscale"] = upscaled
    print(json.dumps(found, indent=2, default=str) if as_json else "\n".join(text.tree(found)))
