"""`vsr upscale`"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli import options
from vsr.cli.app import tell_error
from vsr.cli.defaults import drop_excluded
from vsr.cli.interrupt import interrupts
from vsr.cli.printer import Printer, printing
from vsr.cli.progress import progress_bar
from vsr.cli.show import (
    Run,
    check_report_path,
    new_lines,
    preview_lines,
    report_line,
    report_lines,
    write_json,
)
from vsr.cli.terminal import note, say
from vsr.core.errors import ConfigError, VsrError
from vsr.core.secrets import redacted
from vsr.files.checks import is_folder, stat_of
from vsr.jobs.config import MAX_WORKERS

if TYPE_CHECKING:
    from vsr.jobs.config import UpscaleConfig
    from vsr.jobs.outlook import Preview
    from vsr.jobs.report import Report

EPILOG = """\b
Examples:
  vsr upscale in.mp4                          writes in_x2.mp4
  vsr upscale in.mp4 out.mkv --size 1920x1080
  vsr upscale a.mp4 b.mp4 photos/ larger/     several inputs, into a folder
  vsr upscale frames/%06d.png out.mp4 --frame-rate 25
  ffmpeg ... -f nut - | vsr upscale - - --format nut | ffplay -"""


def split_paths(paths: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """(inputs, output): one path is an input; of more, the last is the output. Raises ConfigError."""
    if len(paths) == 1:
        return (paths[0],), None
    *inputs, output = paths
    if not output:
        raise ConfigError("the name of the output is empty", hint="leave it out to name it after the input")
    one_for_all = output in ("-", "null:") or output.endswith(("/", os.sep))
    if len(inputs) > 1 and not one_for_all and not is_folder(Path(output)):
        if stat_of(Path(output)) is not None or Path(output).suffix:
            raise ConfigError(
                f"{len(inputs)} inputs cannot go to one file, {output}",
                hint="the last path is the output: name a folder; end a new folder's name with a slash",
            )
        output += "/"
    return tuple(inputs), output


_picture_options = options.group(
    options.scale,
    click.option(
        "--size",
        type=options.OUTPUT_SIZE,
        help="Displayed size in pixels, instead of --scale: 1920x1080; or 1920x, x1080 or 1080p (the shorter side), which keep "
        "the shape.",
    ),
    options.model,
    options.backend,
)
_source_options = options.group(
    options.video_stream,
    click.option("--start", type=options.SECONDS, help="Time at which to begin."),
    click.option("--duration", type=options.SECONDS, help="Length to upscale."),
    click.option(
        "--deinterlace",
        type=click.Choice(["auto", "on", "field", "telecine", "off"]),
        default="auto",
        show_default=True,
        help="Deinterlace by bwdif. auto: the frames that are marked as interlaced, by themselves or by the container. field: "
        "the same, and each field becomes a frame, so that 50i and 60i keep all motion. telecine: restore film in 30 frames a "
        "second (3:2 pulldown) to 24.",
    ),
    click.option("--frame-rate", type=options.RATE, help="Rate of numbered pictures and raw streams."),
    click.option(
        "--hwaccel", metavar="DEVICE", help="Device that decodes: cuda is NVDEC.  [default: the processor]"
    ),
    click.option("--strict", is_flag=True, help="Stop at the first damaged packet instead of skipping it."),
)
_sink_options = options.group(
    click.option("--encoder", help="An FFmpeg encoder, such as libx265.  [default: the container's]"),
    click.option("--crf", type=float, help="Constant quality, as the encoder counts it."),
    click.option("--bitrate", type=options.BITRATE, help="Instead of --crf: 8M, 800k."),
    click.option("--preset", help="The encoder's preset."),
    click.option("--pix-fmt", help="Pixel format of the output.  [default: the input's]"),
    click.option(
        "--encoder-option",
        "encoder_options",
        type=options.KEY_VALUE,
        multiple=True,
        help="Option of the encoder; may be repeated. JPEG, WebP and AVIF have quality=0..100.",
    ),
    click.option("--format", "container_format", help="Container, if the output's name does not say it."),
    click.option(
        "--convert-streams",
        is_flag=True,
        help="Convert sound and text that the container cannot hold, instead of leaving them out.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace an output that exists."),
    click.option("--skip-existing", is_flag=True, help="Skip inputs whose output exists."),
    click.option("--recursive", is_flag=True, help="Include subfolders; the outputs keep them."),
)
_run_options = options.group(
    click.option(
        "--segment",
        type=options.SECONDS,
        help="Length of the segments. A finished segment is kept, whatever ends the run; 0 for one pass.  [default: half a "
        "minute of work, if the job has more than a minute of it]",
    ),
    click.option(
        "--restart", is_flag=True, help="Discard the finished segments of an earlier run, and begin again."
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, MAX_WORKERS),
        metavar="N",
        help="Processes that make segments side by side, and share the processor.  [default: one, unless `vsr bench tune` "
        "found more of them faster; one on each of several devices of a kind: --device cuda:0,cuda:1]",
    ),
    click.option(
        "--cluster",
        metavar="auto|local|ray://HOST:PORT",
        help="Distribute segments to a Ray cluster: the cluster of this machine, a new one on this machine, or the one at an "
        "address.",
    ),
    options.batch,
    options.running,
    click.option(
        "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a JSON report to this file."
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Show the plan and write nothing. The exit code is that of the first check that fails.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Also print a table of the stages."),
    click.option(
        "--progress",
        "shown",
        type=click.Choice(["auto", "json"]),
        default="auto",
        show_default=True,
        help="json: a line a second on standard error for programs, also with -q.",
    ),
)


@click.command("upscale", epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="INPUT... [OUTPUT]")
@_picture_options
@_source_options
@_sink_options
@_run_options
@printing
def command(
    paths: tuple[str, ...],
    report: Path | None,
    printer: Printer,
    verbose: bool,
    shown: str,
    dry_run: bool,
    **values: Any,
) -> int:
    """Upscale the video or pictures of INPUT, and copy everything else.

    INPUT is a video, a picture, a folder of these, a quoted glob pattern, a sequence (frames/%06d.png, where %% is a per cent
    sign), a URL, or - for standard input.

    A single path is the input; the output is named after it. With two or more paths, the last one is OUTPUT: a file, a folder,
    or - for standard output. For several inputs it must be a folder, or null:, which keeps nothing.
    """
    from vsr import api

    check_report_path(report)
    drop_excluded(values, ("crf", "bitrate"), ("scale", "size"), ("overwrite", "skip_existing"))
    config = build_config(paths, values, report)
    if printer.as_json and config.output == "-":
        raise ConfigError(
            "--json and the output both go to standard output", hint="--report FILE writes the same JSON"
        )
    control = api.JobControl()
    run = Run()
    known: set[str] = set()

    def failed(url: str, error: VsrError) -> None:
        run.failed.append((url, error))
        tell_error(error)

    if dry_run:
        run.previews = api.preview_many(config, on_failure=failed)
        if printer.quiet:
            note(*_warnings(warning for found in run.previews for warning in found.warnings))
        printer.show(
            run,
            lambda: [
                line
                for found in run.previews
                for line in (*preview_lines(found), f"  would write {found.output}")
            ],
        )
        return run.failed[0][1].exit_code if run.failed else 0

    def begins(found: Preview, number: int, of: int) -> None:
        known.update((*found.notes, *found.warnings))
        note(*(_warnings(found.warnings) if printer.quiet else preview_lines(found)))

    def done(item: Report, number: int, of: int) -> None:
        run.reports.append(item)
        if report is not None:
            write_json(report, run)
        if printer.quiet:
            note(*_warnings(warning for warning in item.warnings if warning not in known))
        elif of > 1:
            show(report_line(item, number, of), *new_lines(item, known))
        else:
            show(*report_lines(item, verbose=verbose, known=known))
        known.clear()

    show = note if printer.as_json or config.output == "-" else say

    def said(sentence: str) -> None:
        known.add(sentence)
        note(sentence)

    def skipped(output: str) -> None:
        # Nothing is wrong here, so a job that runs every night prints nothing with --quiet.
        if not printer.quiet:
            note(f"{output} exists, so its input is skipped")

    with interrupts(control), progress_bar(quiet=printer.quiet, as_json=shown == "json") as progress:
        # Contains the reports of an unfinished earlier run, too.
        run.reports = api.upscale_many(
            config,
            progress=progress,
            control=control,
            on_failure=failed,
            on_left=run.not_begun.extend,
            on_said=said,
            on_skip=skipped,
            on_begin=begins,
            on_report=done,
        )
    if report is not None:
        write_json(report, run)
    if printer.as_json:
        printer.show(run, list)
    note(*_unfinished(run))
    if run.not_begun or any(item.stopped_early for item in run.reports):
        return 130
    return run.failed[0][1].exit_code if run.failed else 0


def _unfinished(run: Run) -> list[str]:
    """Lines that name failed inputs, and inputs that were not begun."""
    lines = []
    failed, left = run.failed, run.not_begun
    count = len(run.reports) + len(failed) + len(left)
    if failed and count > 1:
        lines.append(f"{len(failed)} of {count} inputs failed:")
        names = [(redacted(url), error.message) for url, error in failed]
        lines += [f"  {said if name in said else f'{name}: {said}'}" for name, said in names]
    if left:
        others = f" and {len(left) - 1} more" if len(left) > 1 else ""
        lines.append(f"stopped: {left[0]}{others} not begun")
    return lines


def _warnings(sentences: Iterable[str]) -> list[str]:
    return [f"warning: {sentence}" for sentence in sentences]


def build_config(paths: Sequence[str], values: dict[str, Any], report: Path | None = None) -> UpscaleConfig:
    """The job the command line describes. Raises ConfigError."""
    from vsr.jobs.config import UpscaleConfig
    from vsr.media.types import SinkOptions, SourceOptions

    inputs, output = split_paths(paths)
    return UpscaleConfig(
        inputs=inputs,
        output=output,
        network=options.network(values),
        size=values["size"],
        source=SourceOptions(
            video_stream=values["video_stream"],
            start_s=values["start"],
            duration_s=values["duration"],
            deinterlace=values["deinterlace"],
            strict=values["strict"],
            frame_rate=values["frame_rate"],
            hwaccel=values["hwaccel"],
        ),
        sink=SinkOptions(
            encoder=values["encoder"],
            crf=values["crf"],
            bitrate=values["bitrate"],
            preset=values["preset"],
            pix_fmt=values["pix_fmt"],
            encoder_options=dict(values["encoder_options"]),
            overwrite=values["overwrite"],
            container_format=values["container_format"],
            convert_streams=values["convert_streams"],
        ),
        report=report,
        segment=values["segment"],
        restart=values["restart"],
        recursive=values["recursive"],
        skip_existing=values["skip_existing"],
        workers=values["workers"],
        cluster=values["cluster"],
    )
