"""Every case of a plan, while there is time."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from vsr.backends.own_rate import convolutions
from vsr.bench.clips import Clips
from vsr.bench.config import BenchConfig
from vsr.bench.network import Alone, NetworkBench
from vsr.bench.plan import Network, least_seconds, plan
from vsr.bench.recorder import repeats
from vsr.bench.result import BenchResult, Case, Cell, LeftOut
from vsr.bench.statistics import Spread, spread
from vsr.core.clock import SYSTEM_CLOCK
from vsr.core.errors import VsrError
from vsr.machine.environment import environment
from vsr.machine.load import LoadMeter
from vsr.models import Precision, find_model

_SECONDS_FOR_A_RATE = 2.0


def bench(config: BenchConfig, say: Callable[[str], None] | None = None) -> BenchResult:
    """Measure all cases of a configuration. say: gets the name of each part before it is measured.

    Before any work, raises the errors of `vsr.bench.plan.plan`. Later it raises the errors of `open_source` for the input and,
    if no case could be measured, the error of the last case.
    """
    say = say or (lambda _text: None)
    planned = plan(config)
    created, begun, meter = datetime.now(UTC), SYSTEM_CLOCK.now(), LoadMeter()
    deadline = begun + planned.budget_s
    cells: list[Cell] = []
    left_out = [*planned.left_out]
    rates = _Rates(say)
    failed: VsrError | None = None
    with tempfile.TemporaryDirectory(prefix="vsr-bench-") as name:
        folder = Path(name)
        clips = Clips(config.input, planned.frames, folder, say)
        for number, network in enumerate(planned.networks):
            left_s = deadline - SYSTEM_CLOCK.now()
            if planned.limited and (why := _no_time(network, cells, left_s)):
                left_out.append(LeftOut(str(network), why))
                continue
            try:
                with network.as_asked():
                    network.check()
                    clip = clips.clip(network.size)
                    seconds = max(1.0, left_s / (len(planned.networks) - number))
                    bench_of = NetworkBench(network, clip, seconds, folder, say)
                    alone = bench_of.alone()
                    found, missing = bench_of.cells(alone, rates.of(alone))
            except VsrError as error:
                failed = error
                left_out.append(LeftOut(str(network), error.message))
            else:
                cells += found
                left_out += missing
    if not cells:
        raise failed or VsrError("; ".join(f"{left.what}: {left.reason}" for left in left_out))
    return BenchResult(
        created=created.isoformat(timespec="seconds"),
        command=command_of(config),
        environment=environment(),
        cells=tuple(cells),
        left_out=tuple(left_out),
        rates=rates.found,
        suite=planned.suite,
        seconds=round(SYSTEM_CLOCK.now() - begun, 1),
        load=meter.load(),
    )


# Options of BenchConfig's fields that are named neither like the field nor like its singular.
_OPTIONS = {"batches": "batch", "in_flights": "in-flight", "budget_s": "budget"}


def command_of(config: BenchConfig) -> str:
    """The command line of a configuration."""
    words = ["vsr", "bench"] + ([] if config.build else ["--no-build"])
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == "build" or value == field.default:
            continue
        for each in value if isinstance(value, tuple) else (value,):
            text = "x".join(map(str, each)) if isinstance(each, tuple) else str(each)
            if field.name == "budget_s":
                text = f"{each / 60:g}"
            one = field.name.removesuffix("s") if isinstance(value, tuple) else field.name
            words += [f"--{_OPTIONS.get(field.name, one)}", text]
    return shlex.join(words)


def _no_time(network: Network, cells: list[Cell], left_s: float) -> str:
    """The reason why there is no time for a network, by the rates of others on this machine; empty if there is time, or it
    is unknown."""
    if not cells:
        return ""
    if left_s <= 0:
        return "the time was over"
    rate = max((cell.gflops or 0.0 for cell in cells), default=0.0)
    if not rate or network.size is None:
        return ""
    spec = find_model(network.options.model, network.options.scale or 2.0)
    seconds_a_frame = 2e-9 * spec.macs_per_pixel * network.size[0] * network.size[1] / rate
    at_once = (network.options.batch or 1) * max(cell.case.in_flight for cell in cells)
    needed_s = least_seconds(seconds_a_frame, at_once, len(network.outputs))
    if needed_s <= left_s:
        return ""
    return f"it takes at least {needed_s:.0f} s, {seconds_a_frame:.1f} for each frame, and {left_s:.0f} were left"


class _Rates:
    """The best rates of this machine, by backend and precision, measured at their first use."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.found: dict[str, Spread] = {}
        self._say = say
        self._missing: set[str] = set()

    def of(self, alone: Alone) -> Spread | None:
        """The best rate for the network's backend, precision and device; None if nothing can measure it."""
        case = alone.case
        key = " ".join([case.backend, case.precision] + ([case.device] if case.device != "cpu" else []))
        if key not in self.found and key not in self._missing:
            found = self._measured(case, key)
            if found is None:
                self._missing.add(key)
            else:
                self.found[key] = found
        return self.found.get(key)

    def _measured(self, case: Case, key: str) -> Spread | None:
        self._say(f"large convolutions, {key}")
        try:
            work = convolutions(case.backend, cast(Precision, case.precision), case.device, case.threads)
            if work is None:
                return None
            seconds = repeats(work.run, SYSTEM_CLOCK.now() + _SECONDS_FOR_A_RATE)
        except (RuntimeError, ImportError):
            return None  # The runtime lacks the precision on that device: the share stays unknown.
        return spread([1e-9 * work.operations / each for each in seconds])
