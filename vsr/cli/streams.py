"""`vsr stream --config`: the streams of a file, in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vsr import __version__
from vsr.cli import text
from vsr.cli.live import drops_of, ignore, report_lines, running, tell_change
from vsr.cli.printer import Printer
from vsr.cli.show import write_json
from vsr.cli.terminal import note
from vsr.core.errors import OutputLostError, VsrError

if TYPE_CHECKING:
    from vsr.live.report import StreamReport
    from vsr.live.states import Change


def run_file(path: Path, report: Path | None, printer: Printer) -> None:
    """Run the streams of a file until they end or a signal comes. Raises VsrError."""
    from vsr import api
    from vsr.media.outputs import check_live_outputs

    check_live_outputs(str(path), (), report)
    session = api.StreamsSession(
        api.read_streams(path, report=report),
        read=lambda running: api.read_streams(path, running, report),
        on_change=ignore if printer.quiet else _tell,
    )
    printer.progress(*(f"note: {each}" for each in session.notes))

    def reload() -> None:
        try:
            printer.progress(f"read {path} again: {session.reload()}")
        except VsrError as error:
            note(
                *(f"error: {line}" for line in error.message.splitlines()), f"{path} is not used as it is now"
            )

    done = running(session, lambda: list(session.reports().values()), _figures, printer, reload)
    written = {"vsr": __version__, "streams": done}
    if report is not None:
        write_json(report, written)
    printer.show(written, lambda: [line for one in done.values() for line in report_lines(one)])
    if session.missing:
        raise OutputLostError(
            "; ".join(session.missing), hint="require names the sinks that must get all frames"
        )


def _tell(name: str, change: Change) -> None:
    tell_change(change, name)


def _figures(reports: Sequence[StreamReport]) -> str:
    """The number of streams that are well, the reason why the first other one is not, frames a second and losses."""
    unwell = [report for report in reports if not report.health.well]
    why = f" ({unwell[0].source}: {'; '.join(unwell[0].health.why_not)})" if unwell else ""
    drops: Counter[str] = Counter()
    for report in reports:
        drops.update(report.drops)
    fps = text.rate(sum(report.fps for report in reports))
    return f"{len(reports) - len(unwell)} of {len(reports)} streams well{why}, {fps} fps, {drops_of(drops)}"
