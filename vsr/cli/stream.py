"""`vsr stream`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vsr import __version__
from vsr.cli import options
from vsr.cli.live import figures, ignore, report_lines, running, tell_change
from vsr.cli.printer import Printer, printing
from vsr.cli.show import check_report_path, write_json
from vsr.core.errors import ConfigError, OutputLostError

if TYPE_CHECKING:
    from vsr.live.config import StreamConfig

EPILOG = """\b
Examples:
  vsr stream rtsp://camera/live rtsp://server/large record.mp4
  vsr stream /dev/video0 --preview :8080
  vsr stream screen::0.0 rtmp://host/app/key
  vsr stream clip.mp4 hls/ --realtime
  vsr stream testsrc:640x360@30 null --duration 10"""


@click.command("stream", epilog=EPILOG)
@click.argument("source", required=False)
@click.argument("sinks", nargs=-1, metavar="[SINK...]")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Run the streams of this file instead, in one process; see docs/streams.md.",
)
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
@click.option(
    "--when-away",
    type=click.Choice(("hold", "slate", "silent")),
    default="silent",
    show_default=True,
    help="What sinks get while the source is away: the last picture, that and then a slate, or nothing.",
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
@click.pass_context
def command(
    ctx: click.Context, /, *, config: Path | None, report: Path | None, printer: Printer, **values: Any
) -> None:
    """Upscale a live SOURCE in real time, into every SINK at once.

    SOURCE is an rtsp, rtmp, http, udp, rtp or srt URL, an .sdp file, a camera (/dev/video0, camera:0), a screen (screen:,
    screen::0.0), a file with --realtime, or testsrc:WIDTHxHEIGHT@RATE. SINK is an rtsp, rtmp, srt, whip, udp or rtp URL to
    publish to, a folder/ or playlist.m3u8 for HLS, a file to record into (it plays while it is written;
    cam-%Y%m%d-%H%M%S.mp4 is named by time), preview, or null.
    """
    from vsr import api

    check_report_path(report)
    if config is not None:
        from vsr.cli.streams import run_file

        given = [
            each.opts[-1] if isinstance(each, click.Option) else each.human_readable_name
            for each in ctx.command.params
            if each.name in values and ctx.get_parameter_source(each.name) is ParameterSource.COMMANDLINE
        ]
        if given:
            raise click.UsageError(
                f"{', '.join(given)} cannot stand beside --config: its file has sources, sinks and options"
            )
        run_file(config, report, printer)
        return
    if values["source"] is None:
        raise click.UsageError("Missing argument 'SOURCE', or --config.")
    built = build_config(values, report)
    session = api.StreamSession(built, on_change=ignore if printer.quiet else tell_change)
    printer.progress(*(f"note: {each}" for each in session.notes))
    done = running(session, lambda: [session.report()], lambda reports: figures(reports[0]), printer)
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
        when_away=values["when_away"],
        duration_s=values["duration"],
        preview=values["preview"],
        token=values["token"],
        report=report,
    )
