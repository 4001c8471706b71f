"""`vsr doctor`"""

from __future__ import annotations

from dataclasses import asdict

import click

from vsr.cli.terminal import say, say_json


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Check what is installed and usable, and tell how to get what is not.

    Exits with 1 if something is missing without which nothing works.
    """
    from vsr import api

    checks = api.doctor()
    broken = any(check.needed and not check.ok for check in checks)
    if as_json:
        say_json([asdict(check) for check in checks])
        return int(broken)
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok" if check.ok else "!!" if check.needed else "--"
        say(f"{mark}  {check.name:<{width}}  {check.detail}".rstrip())
        if not check.ok and check.remedy:
            say(f"    {'':<{width}}  to get it: {check.remedy}")
    return int(broken)
