"""Plans and reports, as lines and as JSON for `--report`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsr import __version__
from vsr.cli import text
from vsr.cli.terminal import json_of
from vsr.core.errors import ConfigError, VsrError
from vsr.core.secrets import masked, redacted
from vsr.files.checks import check_replaceable, is_folder
from vsr.files.whole import write_whole

if TYPE_CHECKING:
    from vsr.jobs.outlook import Preview
    from vsr.jobs.report import Report


def preview_lines(found: Preview) -> list[str]:
    """The plan for one input."""
    (width, height), (large_width, large_height) = found.size_in, found.size
    about = f", about {text.about(found.seconds)}" if found.seconds is not None else ""
    about += f", about {text.size(found.bytes)}" if found.bytes is not None else ""
    encoder = f", {found.encoder}" if found.encoder else ""
    made = f"{found.model} on {found.backend}, {found.device}{encoder}{about}"
    lines = [f"{found.input}: {width}x{height} to {large_width}x{large_height}, {made}"]
    lines += [f"  note: {said}" for said in found.notes]
    return lines + [f"  warning: {said}" for said in found.warnings]


def report_lines(report: Report, *, verbose: bool = False, known: Collection[str] = ()) -> list[str]:
    """The summary of one job. verbose: with a table of the stages. known: notes and warnings that were printed before."""
    (width, height), (large_width, large_height) = report.size_in, report.size_out
    done = f"{report.frames_out:,} frames in {text.duration(report.seconds)}"
    lines = [
        f"{report.input}: {width}x{height} to {large_width}x{large_height}",
        f"  {done}, {text.rate(report.fps)} fps end to end, {report.model} on {report.backend}, {report.device}",
    ]
    if (hour_s := report.seconds_an_hour) is not None:
        lines.append(f"  1 h of {width}x{height} takes about {text.about(hour_s)} here")
    if verbose:
        lines += _stage_lines(report)
    if report.damaged_packets:
        first = f" (the first: {report.first_error})" if report.first_error else ""
        lines.append(f"  skipped {report.damaged_packets:,} damaged packets{first}")
    lines += [f"  node {node}: {text.rate(fps)} fps" for node, fps in report.nodes.items()]
    lines += new_lines(report, known)
    if report.stopped_early:
        played = "; the finished part can be played:" if report.output else ""
        played = f"; the finished part is kept in {report.kept}" if report.kept else played
        lines.append(f"  stopped after {report.frames_out:,} frames{played}")
    if report.output:
        facts = (
            text.size(report.output_bytes) if report.output_bytes is not None else "",
            report.encoder or "",
        )
        written = f" ({', '.join(filter(None, facts))})" if any(facts) else ""
        lines.append(f"  wrote {report.output}{written}")
    return lines


def new_lines(report: Report, known: Collection[str]) -> list[str]:
    """Notes and warnings that were not said before."""
    lines = [f"  note: {note}" for note in report.notes if note not in known]
    return lines + [f"  warning: {warning}" for warning in report.warnings if warning not in known]


def _stage_lines(report: Report) -> list[str]:
    rows = [["stage", "fps alone", "busy", "starved", "blocked", ""]]
    rows += [
        [
            stage.name,
            text.rate(stage.rate_fps),
            text.duration(stage.busy_s),
            text.duration(stage.starved_s),
            text.duration(stage.blocked_s),
            "<- bottleneck" if stage.name == report.bottleneck else "",
        ]
        for stage in report.stages
    ]
    return text.table(rows, numbers=(1, 2, 3, 4), indent="  ")


def report_line(report: Report, number: int, of: int) -> str:
    """The same of one of several jobs."""
    done = f"{report.frames_out:,} frames in {text.duration(report.seconds)}, {text.rate(report.fps)} fps"
    where = f", wrote {report.output}" if report.output else f", kept in {report.kept}" if report.kept else ""
    return f"[{number + 1}/{of}] {report.input}: {done}{where}"


def check_report_path(path: Path | None, option: str = "--report") -> None:
    """Refuse a path that could not be written after all the work. Raises ConfigError."""
    if path is None:
        return
    if str(path) == "-" or is_folder(path):
        raise ConfigError(f"{option} {path} names no file", hint="give the name of a file to write")
    check_replaceable(path)
    if not path.absolute().parent.is_dir():
        raise ConfigError(
            f"{option} {path}: there is no folder {path.parent}", hint="create it first, or give another path"
        )


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs. Raises FileError."""
    write_whole(path, f"{json_of(content, indent=2)}\n".encode())


@dataclass
class Run:
    """The results of `vsr upscale`. reports: of finished inputs. previews: plans, with --dry-run. failed: input and error.
    not_begun: names of inputs."""

    reports: list[Report] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)
    failed: list[tuple[str, VsrError]] = field(default_factory=list)
    not_begun: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json` and of `--report`."""
        return {
            "vsr": __version__,
            "reports": self.reports,
            "previews": self.previews,
            "failed": [
                {
                    "input": redacted(url),
                    "error": masked(error.message),
                    "hint": masked(error.hint or ""),
                    "exit_code": error.exit_code,
                }
                for url, error in self.failed
            ],
            "not_begun": [redacted(url) for url in self.not_begun],
        }
