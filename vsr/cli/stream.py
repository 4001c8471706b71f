"""`vsr stream`"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr import __version__
from vsr.cli import options, text
from vsr.cli.interrupt import interrupts
from vsr.cli.printer import Printer, printing
from vsr.cli.service import Service
from vsr.cli.show import check_report_path, write_json
from vsr.cli.terminal import note, status
from vsr.core.errors import ConfigError, OutputLostError

if TYPE_CHECKING:
    from vsr.live.config import StreamConfig
    from vsr.live.latency import Percentiles
    from vsr.live.report import StreamReport
    from vsr.live.states import Change

EPILOG = """\b
Examples:
  vsr stream rtsp://camera/live rtsp://server/large record.mp4
  vsr stream /dev/video0 --preview :8080
  vsr stream screen::0.0 rtmp://host/app/key
  vsr stream clip.mp4 hls/ --realtime
  vsr stream testsrc:640x360@30 null --duration 10"""

LINE_INTERVAL_S = 10.0
TERMINAL_INTERVAL_S = 0.5


@click.command("stream", epilog=EPILOG)
@click.argument("source")
@click.argument("sinks", nargs=-1, metavar="SINK...")
@click.option(
    "--scale", type=click.IntRange(2, 4), help="Factor per side.  [default: the model's own; 2 for auto]"
)
@click.option(
    "--model",
    default="auto",
    show_default=True,
    help="Name of a model, which is never changed; auto takes the best that the machine runs in time.",
)
@options.backend
@click.option(
    "--max-latency",
    type=click.IntRange(20, 10_000_000_000),
    default=200,
    show_default=True,
    metavar="MS",
    help="Drop frames that would be older when they are sent.",
)
@click.option(
    "--timeout",
    type=float,
    default=5.0,
    show_default=True,
    metavar="S",
    help="Time after which a silent source, or a sink that accepts nothing, counts as lost.",
)
@click.option(
    "--retries", type=click.IntRange(0), help="Attempts in a row to connect again.  [default: any number]"
)
@click.option("--realtime", is_flag=True, help="Play SOURCE, a file, in real time.")
@click.option(
    "--wait", is_flag=True, help="Wait for a source that does not exist yet, or refuses, instead of failing."
)
@click.option(
    "--source-option",
    "source_options",
    type=options.KEY_VALUE,
    multiple=True,
    help="Option of FFmpeg's demuxer or protocol, as in rtsp_transport=udp; may be repeated.",
)
@click.option("--size", type=options.SIZE, help="Size to request from a camera or screen.")
@click.option("--frame-rate", type=options.RATE, help="Frame rate to request from a camera or screen.")
@click.option(
    "--no-audio", "audio", is_flag=True, flag_value=False, default=True, help="Leave the sound out."
)
@click.option("--encoder", default="libx264", show_default=True, help="An FFmpeg encoder.")
@click.option("--crf", type=float, help="Constant quality, as the encoder counts it.  [default: 23]")
@click.option("--bitrate", type=options.BITRATE, help="Instead of --crf: 4M, 800k.")
@click.option("--preset", help="The encoder's preset.  [default: a fast one]")
@click.option(
    "--encoder-option",
    "encoder_options",
    type=options.KEY_VALUE,
    multiple=True,
    help="Option of the encoder; may be repeated.",
)
@click.option(
    "--rotate",
    type=options.AMOUNT,
    help="Begin another recording after this time or size: 10m, 1h, 500M, 2G.",
)
@click.option(
    "--keep",
    type=options.AMOUNT,
    help="Remove recordings of the same name older than this time, or beyond this total size: 7d, 50G.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a recording that exists, if it is a single file (no --rotate)."
)
@click.option(
    "--require",
    multiple=True,
    metavar="SINK",
    help="A sink that must receive frames: otherwise /healthz and the exit code report a failure; may be repeated.  "
    "[default: all sinks]",
)
@click.option("--duration", type=options.SECONDS, help="Time after the first picture at which to stop.")
@click.option(
    "--preview",
    metavar="[HOST]:PORT",
    help="Address of the page that shows the stream; without a host, this machine alone can open it.",
)
@click.option("--token", help="Password of the page, given as in /?token=...")
@options.running
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a JSON report to this file."
)
@printing
def command(*, report: Path | None, printer: Printer, **values: Any) -> None:
    """Upscale a live SOURCE in real time, into every SINK at once.

    SOURCE is an rtsp, rtmp, http, udp, rtp or srt URL, an .sdp file, a camera (/dev/video0, camera:0), a screen (screen:,
    screen::0.0), a file with --realtime, or testsrc:WIDTHxHEIGHT@RATE. SINK is an rtsp, rtmp, srt, udp or rtp URL to publish
    to, a folder/ or playlist.m3u8 for HLS, a file to record into (it plays while it is written; cam-%Y%m%d-%H%M%S.mp4 is named
    by time), preview, or null.
    """
    from vsr import api

    check_report_path(report)
    config = build_config(values, report)
    session = api.StreamSession(config, on_change=_ignore if printer.quiet else tell_change)
    printer.progress(*(f"note: {each}" for each in session.notes))
    # Objects that exist now stay to the end: the collector need not stop a stream to scan them.
    gc.freeze()
    show = _ignore if printer.quiet else _Live(session.report)
    try:
        with interrupts(session.control), Service(session.report, figures) as service:

            def tick() -> None:
                show()
                service()

            done = session.run(tick, _ignore if printer.quiet else tell_page, service.ends)
    finally:
        gc.unfreeze()
    written = {"vsr": __version__, "stream": done}
    if report is not None:
        write_json(report, written)
    printer.show(written, lambda: report_lines(done))
    if done.missing:
        raise OutputLostError(
            "; ".join(done.missing), hint="--require names the sinks that must get all frames"
        )


def build_config(values: Mapping[str, Any], report: Path | None = None) -> StreamConfig:
    """The stream the command line describes. Raises ConfigError."""
    from vsr.live.config import StreamConfig
    from vsr.media.live.encoder import EncoderOptions

    if not values["sinks"] and values["preview"] is None:
        raise ConfigError("no sink given", hint="name a server, a file, null, or --preview :8080")
    rotate_s, rotate_bytes = values["rotate"] or (None, None)
    keep_s, keep_bytes = values["keep"] or (None, None)
    return StreamConfig(
        source=values["source"],
        sinks=values["sinks"],
        network=options.network(values),
        max_latency_s=values["max_latency"] / 1000,
        timeout_s=values["timeout"],
        retries=values["retries"],
        realtime=values["realtime"],
        wait=values["wait"],
        source_options=dict(values["source_options"]),
        size=values["size"],
        frame_rate=values["frame_rate"],
        audio=values["audio"],
        encoder=EncoderOptions(
            encoder=values["encoder"],
            crf=values["crf"],
            bitrate=values["bitrate"],
            preset=values["preset"],
            encoder_options=dict(values["encoder_options"]),
        ),
        rotate_s=rotate_s,
        rotate_bytes=rotate_bytes,
        keep_s=keep_s,
        keep_bytes=keep_bytes,
        overwrite=values["overwrite"],
        require=values["require"],
        duration_s=values["duration"],
        preview=values["preview"],
        token=values["token"],
        report=report,
    )


def _ignore(*_: object) -> None:
    """Nothing is shown."""


def tell_change(change: Change) -> None:
    """A line for each change of state; of a sink, for trouble only."""
    if change.of and change.state not in ("stalled", "reconnecting"):
        return
    # The reason may begin with the sink's name already.
    named = change.of if not change.why.startswith(change.of) else ""
    said = (named, change.state, change.why)
    note(": ".join(filter(None, said)))


def tell_page(url: str) -> None:
    """Print the address of the page."""
    note(f"preview: {url}")


class _Live:
    """A line of figures on stderr: twice a second in a terminal, every ten seconds elsewhere."""

    def __init__(self, report: Callable[[], StreamReport]) -> None:
        self._report = report
        self._terminal = sys.stderr.isatty()
        self._interval_s = TERMINAL_INTERVAL_S if self._terminal else LINE_INTERVAL_S
        self._next_at = time.monotonic() + self._interval_s

    def __call__(self) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + self._interval_s
        show = status if self._terminal else note
        show(figures(self._report()))


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
