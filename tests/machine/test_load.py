"""What others take, from counters of a system that is written down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vsr.machine.load import LoadMeter


def counters(proc: Path, *, user: int, steal: int, idle: int = 0, average: str = "1.50") -> None:
    (proc / "stat").write_text(f"cpu {user} 0 0 {idle} 7 0 0 {steal} 0 0\ncpu0 1 2 3 4\n")
    (proc / "loadavg").write_text(f"{average} 0.7 0.3 1/99 12345\n")


def test_it_is_what_processors_did_without_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hertz, now = os.sysconf("SC_CLK_TCK"), [50.0]
    own = [10.0, 1.0, 0.0, 0.0, 0.0]
    monkeypatch.setattr("vsr.machine.load.time.monotonic", lambda: now[0])
    monkeypatch.setattr("vsr.machine.load.os.times", lambda: tuple(own))
    counters(tmp_path, user=1000, steal=0)
    meter = LoadMeter(tmp_path)
    # In ten seconds two processors were busy for 18, of which this process and a child of its took 12.
    now[0], own[:] = 60.0, [16.0, 2.0, 5.0, 0.0, 0.0]
    counters(tmp_path, user=1000 + 18 * hertz, steal=3 * hertz, idle=999)
    load = meter.load()
    assert load is not None
    assert (load.seconds, load.others, load.stolen, load.average) == (10.0, 0.6, 0.3, 1.5)
    assert load.busy
    assert str(load) == "others used 0.6 cores meanwhile, and 0.3 were stolen"


def test_a_quiet_machine_is_not_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr("vsr.machine.load.time.monotonic", lambda: now[0])
    monkeypatch.setattr("vsr.machine.load.os.times", lambda: (0.0,) * 5)
    counters(tmp_path, user=0, steal=0)
    meter = LoadMeter(tmp_path)
    now[0] = 60.0
    counters(tmp_path, user=os.sysconf("SC_CLK_TCK"), steal=0)
    load = meter.load()
    assert load is not None
    assert (load.others, load.busy) == (0.1, False)


@pytest.mark.parametrize("stat", [None, "", "cpu nonsense\n"])
def test_a_system_that_does_not_say_has_no_load(stat: str | None, tmp_path: Path) -> None:
    if stat is not None:
        (tmp_path / "stat").write_text(stat)
    assert LoadMeter(tmp_path).load() is None
