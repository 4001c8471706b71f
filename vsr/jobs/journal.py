"""The journal of a job: what it is and which of its segments are finished, in lines that survive a power cut.

A line is a CRC-32 in hexadecimal, a space and JSON. It is written at once, and synced before anything relies on it. The first
line says what the job is; each further one what is finished. A line is trusted if its checksum fits and all before it are.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError
from vsr.files.checks import open_ordinary, os_error
from vsr.jobs.report import Report
from vsr.jobs.segments import Segment, SegmentPlan
from vsr.jobs.tasks import SegmentDone

SCHEMA = 1

Identity = Mapping[str, str | int | float | None]
"""All that must be the same for a job to go on, by names that users know: {"--crf": 18.0, "input": "/films/a.mkv"}."""


@dataclass(frozen=True, slots=True)
class JobHead:
    """What a job is. url: its input, an absolute path. identity: of all that its output depends on. config: as JSON has it."""

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
    """The file that becomes the output, as the system tells it apart from others, whatever its name."""

    device: int
    inode: int
    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Identified:
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What a journal says. head: None where its first line is not whole. joined: the output, which was about to get its name.

    length: bytes up to the end of the last line that is trusted. damage: a sentence about lines before the last that are
    not, "" for none.
    """

    head: JobHead | None = None
    finished: Mapping[int, Finished] = field(default_factory=dict)
    joined: Identified | None = None
    length: int = 0
    damage: str = ""


def read_journal(path: Path) -> JournalContent:
    """What is trusted of a journal; nothing where there is none. Raises FileError, and ConfigError for another schema."""
    try:
        with open(open_ordinary(path, os.O_RDONLY), "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return JournalContent()
    except OSError as error:
        raise os_error(str(path), error) from error
    return journal_content(data, path)


def journal_content(data: bytes, path: Path) -> JournalContent:
    """What is trusted of the bytes of a journal, which messages call by its path. Raises ConfigError as `read_journal`."""
    head: JobHead | None = None
    finished: dict[int, Finished] = {}
    joined: Identified | None = None
    length = 0
    lines = BytesIO(data).readlines()
    for number, line in enumerate(lines, 1):
        try:
            kind, entry = _entry(line)
            if head is None:
                head = _head(path, kind, entry)
            elif kind == "segment":
                one = _finished(entry, head.plan)
                finished[one.done.number] = one
            elif kind == "joined":
                joined = Identified(**entry)
        except (ValueError, KeyError, TypeError):
            damage = f"line {number} of {len(lines)} of {path} is damaged" if number < len(lines) else ""
            return JournalContent(head, finished, joined, length, damage)
        length += len(line)
    return JournalContent(head, finished, joined, length)


def _entry(line: bytes) -> tuple[str, Any]:
    """The only item of a line's object. Raises ValueError."""
    checksum, _, payload = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(payload):
        raise ValueError(line)
    ((kind, entry),) = json.loads(payload).items()
    return kind, entry


def _line(kind: str, entry: Mapping[str, Any]) -> bytes:
    payload = json.dumps({kind: entry}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _head(path: Path, kind: str, entry: Mapping[str, Any]) -> JobHead:
    if kind != "job":
        raise ValueError(kind)
    if entry["schema"] != SCHEMA:
        raise ConfigError(
            f"{path} is of another version of vsr (schema {entry['schema']}, not {SCHEMA})",
            hint="go on with that version, or --restart to begin anew",
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
    segments = [[s.begin, s.end, s.seek, s.frames] for s in head.plan.segments]
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


class Journal:
    """A journal that is written to; a context manager that closes it. Whoever has one holds the lock of the job's folder."""

    def __init__(self, path: Path, length: int) -> None:
        """Open or make it. length: what is trusted of it; the rest is cut off. Raises FileError."""
        self._path = path
        self._length = length
        try:
            self._file = open_ordinary(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            os.ftruncate(self._file, length)
        except OSError as error:
            raise os_error(str(path), error) from error

    def begin(self, head: JobHead) -> None:
        """Write the first line. Raises FileError."""
        self._append("job", _head_entry(head))

    def add(self, one: Finished) -> None:
        """Write that a segment is finished, whose file the disk has. Raises FileError."""
        self._append(
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
        self._append("joined", asdict(output))

    def _append(self, kind: str, entry: Mapping[str, Any]) -> None:
        line = _line(kind, entry)
        try:
            # A line that a full disk has cut off must not stand before the next one.
            os.ftruncate(self._file, self._length)
            left = memoryview(line)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError as error:
            raise os_error(str(self._path), error) from error
        self._length += len(line)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._file)
