"""The load by other processes during a measurement."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

BUSY_CORES = 0.2
"""Others that take more than this of one core, or a hypervisor that does, change a figure by more than its spread."""
_TICKS = {"user": 0, "nice": 1, "system": 2, "irq": 5, "softirq": 6}
_STEAL = 7


@dataclass(frozen=True, slots=True)
class Load:
    """The load in cores over `seconds`: by other processes, and by the hypervisor (`stolen`). average: the system's load
    average over a minute at the end, this process in it."""

    seconds: float
    others: float
    stolen: float
    average: float

    @property
    def busy(self) -> bool:
        """Whether it changes figures."""
        return max(self.others, self.stolen) > BUSY_CORES

    def __str__(self) -> str:
        return f"others used {self.others:.1f} cores meanwhile, and {self.stolen:.1f} were stolen"


class LoadMeter:
    """Begins when it is made. proc: where the system's counters lie; without them (not Linux) there is no Load."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._begun = self._counters()

    def load(self) -> Load | None:
        """Since the beginning; None where the system does not say, or nothing passed."""
        before, after = self._begun, self._counters()
        if before is None or after is None or after[0] <= before[0]:
            return None
        seconds, busy, stolen, own = (b - a for a, b in zip(before, after, strict=True))
        return Load(
            round(seconds, 3),
            round(max(0.0, (busy - own) / seconds), 3),
            round(max(0.0, stolen / seconds), 3),
            round(self._average(), 2),
        )

    def _counters(self) -> tuple[float, float, float, float] | None:
        """Seconds: of the clock, of processors that were busy, stolen, of this process and of its children that ended."""
        try:
            fields = (self._proc / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
            ticks = [int(field) for field in fields] + [0] * 8
            hertz = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        except (OSError, ValueError, IndexError):
            return None
        busy = sum(ticks[place] for place in _TICKS.values())
        return time.monotonic(), busy / hertz, ticks[_STEAL] / hertz, sum(os.times()[:4])

    def _average(self) -> float:
        try:
            return float((self._proc / "loadavg").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return 0.0
