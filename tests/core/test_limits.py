"""What a process may use of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsr.core import limits


def test_a_container_limits_cores_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_CGROUP", tmp_path)
    monkeypatch.setattr(limits.os, "sched_getaffinity", lambda _pid: set(range(8)))
    there = limits.memory_bytes()
    assert limits.cores() == 8
    assert there > 1 << 20
    for quota, cores in (("max 100000", 8), ("250000 100000", 3), ("20000 100000", 1), ("1600000 100000", 8)):
        (tmp_path / "cpu.max").write_text(f"{quota}\n", encoding="utf-8")
        assert limits.cores() == cores, quota
    for limit, bytes_ in (("max", there), (str(1 << 20), 1 << 20)):
        (tmp_path / "memory.max").write_text(f"{limit}\n", encoding="utf-8")
        assert limits.memory_bytes() == bytes_
