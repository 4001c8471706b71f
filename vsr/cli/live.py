"""Runs a session of one stream or of several, and shows meanwhile and at the end how it goes."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from vsr.cli import text
from vsr.cli.interrupt import interrupts
from vsr.cli.printer import Printer
from vsr.cli.service import Service
from vsr.cli.terminal import note, status

if TYPE_CHECKING:
    from vsr.core.control import Control
    from vsr.live.latency import Percentiles
    from vsr.live.report import StreamReport
    from vsr.live.states import Change

Done = TypeVar("Done", covariant=True)  # noqa: PLC0105


class Runs(Protocol[Done]):
    """A session of one stream, or of several."""

    control: Control

    def run(
        self, on_tick: Callable[[], None], on_page: Callable[[str], None], on_end: Callable[[], None]
    ) -> Done: ...


LINE_INTERVAL_S = 10.0
TERMINAL_INTERVAL_S = 0.5


def running(
    session: Runs[Done],
    reports: Callable[[], Sequence[StreamReport]],
    describe: Callable[[Sequence[StreamReport]], str],
    printer: Printer,
    on_hangup: Callable[[], None] | None = None,
) -> Done:
    """The result of a session, which is stopped by signals and shown meanwhile by a line that `describe` makes."""
    # Objects that exist now stay to the end: the collector need not stop a stream to scan them.
    gc.freeze()
    show = ignore if printer.quiet else _Live(lambda: describe(reports()))
    try:
        with interrupts(session.control, on_hangup), Service(reports, describe) as service:

            def tick() -> None:
                show()
                service()

            return session.run(tick, ignore if printer.quiet else tell_page, service.ends)
    finally:
        gc.unfreeze()


def ignore(*_: object) -> None:
    """Nothing is shown."""


def tell_change(change: Change, stream: str = "") -> None:
    """A line for each change of state; of a sink, for trouble only. stream: its name, if there are several."""
    if change.of and change.state not in ("stalled", "reconnecting"):
        return
    # The reason may begin with the sink's name already.
    named = change.of if not change.why.startswith(change.of) else ""
    said = (stream, named, change.state, change.why)
    note(": ".join(filter(None, said)))


def tell_page(url: str) -> None:
    """Print the address of the page."""
    note(f"preview: {url}")


class _Live:
    """A line of figures on stderr: twice a second in a terminal, every ten seconds elsewhere."""

    def __init__(self, line: Callable[[], str]) -> None:
        self._line = line
        self._terminal = sys.stderr.isatty()
        self._interval_s = TERMINAL_INTERVAL_S if self._terminal else LINE_INTERVAL_S
        self._next_at = time.monotonic() + self._interval_s

    def __call__(self) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + self._interval_s
        show = status if self._terminal else note
        show(self._line())


def figures(report: StreamReport) -> str:
    """State, reasons for bad health, frames a second, latency and losses."""
    unwell = "" if report.health.well else f" ({'; '.join(report.health.why_not)})"
    return (
        f"{report.state}{unwell}, {text.rate(report.fps)} fps, {report.model}, {latency_of(report.recent, 0)}, "
        f"{losses_of(report)}"
    )


def latency_of(latency: Percentiles | None, digits: int) -> str:
    """latency p50 13 ms, p95 20 ms, p99 31 ms."""
    if latency is None:
        return "no latency"
    named = (("p50", latency.p50_ms), ("p95", latency.p95_ms), ("p99", latency.p99_ms))
    return f"latency {', '.join(f'{name} {value:.{digits}f} ms' for name, value in named)}"


def losses_of(report: StreamReport) -> str:
    """Dropped frames, and frames that sinks missed."""
    lost: Counter[str] = Counter()
    for sink in report.sinks:
        lost.update(sink["drops"])
    return drops_of(report.drops) + (f", {drops_of(lost)} by sinks" if lost else "")


def drops_of(drops: Mapping[str, int]) -> str:
    """3 dropped (2 late, 1 starting), or none."""
    total = sum(drops.values())
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in drops.items() if count)
    return f"{total:,} dropped ({reasons})" if total else "none dropped"


def report_lines(report: StreamReport) -> list[str]:
    """The summary of a stream that has ended."""
    (width, height), (large_width, large_height) = report.size_in, report.size_out
    runs = f"{report.model} on {report.backend}, {report.device}"
    lines = [
        f"{report.source}: {width}x{height} to {large_width}x{large_height}, {runs}",
        f"  {report.frames_in:,} in, {report.frames_out:,} out, {losses_of(report)}, in {text.duration(report.seconds)}",
        f"  {latency_of(report.latency, 1)}",
    ]
    if report.reconnects:
        lines.append(f"  lost {text.times(report.reconnects)}, {report.stalls} of them by silence")
    lines += [f"  {step.at_s:.1f} s: {step.before} to {step.after}, {step.why}" for step in report.steps]
    if report.resets:
        resets = ", ".join(f"{count:,} {reason}" for reason, count in report.resets.items())
        lines.append(f"  memory begun again: {resets}")
    for sink in report.sinks:
        again = f", lost {text.times(sink['reconnects'])}" if sink["reconnects"] else ""
        last = sink["changes"][-1]
        why = f", {last['state']}: {last['why']}" if "why" in last else ""
        lines.append(
            f"  {sink['name']}: {sink['frames']:,} frames, {text.size(sink['bytes'])}, {drops_of(sink['drops'])}{again}{why}"
        )
    lines += [f"  note: {note}" for note in report.notes]
    return lines
