"""`vsr doctor`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vsr.cli.printer import Printer, printing

if TYPE_CHECKING:
    from vsr.machine.doctor import Check


@click.command("doctor")
@printing
def command(printer: Printer) -> int:
    """Check which packages and devices are usable, and show how to get the others.

    Exits with 1 if a required package is missing or broken.
    """
    from vsr import api

    checks = api.doctor()
    printer.show(checks, lambda: _lines(checks))
    return int(any(check.needed and not check.ok for check in checks))


def _lines(checks: Sequence[Check]) -> list[str]:
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = "ok" if check.ok else "!!" if check.needed else "--"
        lines.append(f"{mark}  {check.name:<{width}}  {check.detail}".rstrip())
        if not check.ok and check.remedy:
            lines.append(f"    {'':<{width}}  to get it: {check.remedy}")
    return lines
