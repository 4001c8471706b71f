"""The journal of a job: its description and its finished segments, in lines that survive a power cut.

The first line describes the job; each further line describes a finished segment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError
from vsr.jobs.lines import Lines, bytes_of, read_lines
from vsr.jobs.report import Report
from vsr.jobs.segments import Segment, SegmentPlan
from vsr.jobs.tasks import SegmentDone

SCHEMA = 1

Identity = Mapping[str, str | int | float | None]
"""All values that must be equal for a job to continue, by names that users know: {"--crf": 18.0, "input": "/films/a.mkv"}."""


@dataclass(frozen=True, slots=True)
class JobHead:
    """The description of a job. url: its input, an absolute path. identity: all values that its output depends on. config:
    as JSON values."""

    url: str
    identity: Identity
    config: Mapping[str, Any]
    plan: SegmentPlan


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished segment, and what its file must be: bytes long, with that CRC-32."""

    done: SegmentDone
    bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Identified:
    """The file that becomes the output, identified by the system whatever its name is."""

    device: int
    inode: int
    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Identified:
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class JournalContent:
    """The content of a journal. head: None if its first line is incomplete. joined: the output that was about to get its name.

    length: bytes up to the end of the last trusted line. damage: a sentence about untrusted lines before the last one, "" for
    none.
    """

    head: JobHead | None = None
    finished: Mapping[int, Finished] = field(default_factory=dict)
    joined: Identified | None = None
    length: int = 0
    damage: str = ""


def read_journal(path: Path) -> JournalContent:
    """The trusted part of a journal; empty if there is none. Raises FileError, and ConfigError for another schema."""
    return journal_content(bytes_of(path), path)


def journal_content(data: bytes, path: Path) -> JournalContent:
    """The trusted part of the bytes of a journal. path: for messages. Raises ConfigError as `read_journal`."""
    head: JobHead | None = None
    finished: dict[int, Finished] = {}
    joined: Identified | None = None

    def take(kind: str, entry: Any) -> None:
        nonlocal head, joined
        if head is None:
            head = _head(path, kind, entry)
        elif kind == "segment":
            one = _finished(entry, head.plan)
            finished[one.done.number] = one
        elif kind == "joined":
            joined = Identified(**entry)

    trusted = read_lines(data, path, take)
    return JournalContent(head, finished, joined, trusted.length, trusted.damage)


def _head(path: Path, kind: str, entry: Mapping[str, Any]) -> JobHead:
    if kind != "job":
        raise ValueError(kind)
    if entry["schema"] != SCHEMA:
        raise ConfigError(
            f"{path} is of another version of vsr (schema {entry['schema']}, not {SCHEMA})",
            hint="continue with that version, or discard the finished segments with --restart",
        )
    plan = entry["plan"]
    segments = tuple(Segment(number, *values) for number, values in enumerate(plan["segments"]))
    return JobHead(
        url=entry["url"],
        identity=dict(entry["identity"]),
        config=dict(entry["config"]),
        plan=SegmentPlan(Fraction(plan["time_base"]), segments, plan["length"], plan["note"]),
    )


def _head_entry(head: JobHead) -> dict[str, Any]:
    segments = [[s.begin, s.end, s.seek, s.frames, s.lead] for s in head.plan.segments]
    return {
        "schema": SCHEMA,
        "url": head.url,
        "identity": dict(head.identity),
        "config": dict(head.config),
        "plan": {
            "time_base": str(head.plan.time_base),
            "length": head.plan.length,
            "note": head.plan.note,
            "segments": segments,
        },
    }


def _finished(entry: Mapping[str, Any], plan: SegmentPlan) -> Finished:
    if not 0 <= entry["number"] < len(plan.segments):
        raise ValueError(entry["number"])
    done = SegmentDone(entry["number"], Report.from_dict(entry["report"]))
    return Finished(done, entry["bytes"], entry["crc32"])


class Journal(Lines):
    """A journal that is written to. Its writer holds the lock of the job's folder."""

    def begin(self, head: JobHead) -> None:
        """Write the first line. Raises FileError."""
        self.append("job", _head_entry(head))

    def add(self, one: Finished) -> None:
        """Write that a segment is finished, whose file the disk has. Raises FileError."""
        self.append(
            "segment",
            {
                "number": one.done.number,
                "bytes": one.bytes,
                "crc32": one.crc32,
                "report": one.done.report.as_dict(),
            },
        )

    def joined(self, output: Identified) -> None:
        """Write which file is about to get the name of the output. Raises FileError."""
        self.append("joined", asdict(output))
