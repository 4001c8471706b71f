"""The command line: one file a command, each of which parses, calls `vsr.api`, or `vsr.training` to train, and prints."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vsr` with the arguments (None for the arguments of the process) and return its exit code."""
    try:
        from vsr.cli.app import run
    except KeyboardInterrupt:  # The imports take a moment.
        return 130
    return run(arguments)
