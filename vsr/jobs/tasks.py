"""The task of making one segment, here or elsewhere, and its result. Both can be pickled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vsr.jobs.config import UpscaleConfig
from vsr.jobs.report import Report
from vsr.jobs.segments import Segment


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """A segment to be made. url, output, config: of the whole job. segment: its ticks are those of the input's video.

    The config names the threads of decoder and encoder, because packets depend on them. path: file for the encoded packets, in
    an existing folder; an existing file is replaced.
    """

    url: str
    output: str
    config: UpscaleConfig
    segment: Segment
    path: Path


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """A segment whose file is written and closed. report: as of a job of its own."""

    number: int
    report: Report


@dataclass(frozen=True, slots=True)
class Joined:
    """An output that was joined from its parts. output: its path. frames: pictures in it; bytes: its length. notes,
    warnings: as in `Report`, without the ones of the parts."""

    output: str
    frames: int
    bytes: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


RunSegment = Callable[[SegmentTask], SegmentDone]
"""Makes one segment. Raises VsrError, and Cancelled."""
