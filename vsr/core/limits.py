"""The part of the machine that this process may use: its affinity, and the limits of its container."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_sharing = 1


def share_machine(processes: int) -> None:
    """Count only this process's share of the machine from now on: `processes` of them divide it."""
    global _sharing  # noqa: PLW0603
    _sharing = processes


def cores() -> int:
    """Processors this process may keep busy."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # The limit of `docker run --cpus` and of Kubernetes: microseconds of processor time in a period of microseconds.
    quota, _, period = _read("cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        there = min(there, -(-int(quota) // int(period)))
    return max(1, there // _sharing)


def memory_bytes() -> int:
    """Bytes of memory this process may have; 0 if the system does not say."""
    if not hasattr(os, "sysconf"):
        return 0
    try:
        there: int = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
    limit = _read("memory.max")
    there = min(there, int(limit)) if limit.isdigit() else there
    return there // _sharing


def _read(name: str) -> str:
    """The value in Linux's cgroup hierarchy (version 2), empty if there is none."""
    try:
        return (_CGROUP / name).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
