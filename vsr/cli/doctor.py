"""`vsr doctor`"""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Check what is installed and usable, and tell how to get what is not."""
    from vsr import api

    checks = api.doctor()
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2, default=str))
        return
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{'ok' if check.ok else '--'}  {check.name:<{width}}  {check.detail}".rstrip())
        if not check.ok and check.remedy:
            print(f"    {'':<{width}}  to get it: {check.remedy}")
