"""Checks that the disk has room for the rest of a job."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from pathlib import Path

from vsr.core.errors import FileError
from vsr.jobs.journal import Finished
from vsr.jobs.segments import SegmentPlan

_REMEDY = "free some space on that disk"


class Room:
    """Estimates the bytes still to be written: the remaining segments, and the output, which is joined from all segments.

    estimated_bytes: of the output, 0 if unknown before segments are finished. said: gets a sentence, once, if the disk will be
    full before the end.
    """

    def __init__(
        self,
        folder: Path,
        plan: SegmentPlan,
        estimated_bytes: int,
        free_bytes: Callable[[Path], int],
        said: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._estimated_bytes = estimated_bytes
        self._free_bytes = free_bytes
        self._said = said
        self._warned = False

    def check_all(self, finished: Collection[Finished]) -> None:
        """Before a run: raise FileError if the rest of the output does not fit, as far as its size is known."""
        self._check(self._needed(finished), "to the end")

    def check_next(self, finished: Collection[Finished]) -> None:
        """Before a segment: raise FileError where one as large as the largest does not fit; say once where the end will not."""
        self._check(max((one.bytes for one in finished), default=0), "for the next segment")
        needed, free = self._needed(finished), self._free_bytes(self._folder)
        if needed > free and not self._warned:
            self._warned = True
            self._said(
                f"{self._folder.parent}: {said_bytes(free)} are free, about {said_bytes(needed)} are needed"
            )

    def check_join(self, finished: Collection[Finished]) -> None:
        """Before joining: raise FileError if the content of the segments does not fit a second time."""
        self._check(sum(one.bytes for one in finished), "to join the segments")

    def explained(self, error: FileError, finished: Collection[Finished]) -> FileError:
        """The same error, with how much is needed where it says that the disk is full."""
        cause = error.__cause__
        needed = self._needed(finished)
        if not needed or getattr(cause, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            return error
        return FileError(f"{error.message}; about {said_bytes(needed)} are needed there", hint=error.hint)

    def _needed(self, finished: Collection[Finished]) -> int:
        """The bytes still to be written, 0 if unknown."""
        there, frames = sum(one.bytes for one in finished), self._plan.frames
        made = sum(self._plan.segments[one.done.number].frames for one in finished)
        whole = there * frames // made if made else self._estimated_bytes
        return max(0, 2 * whole - there)

    def _check(self, needed: int, what: str) -> None:
        free = self._free_bytes(self._folder)
        if needed > free:
            raise FileError(
                f"{self._folder.parent}: about {said_bytes(needed)} are needed {what}, {said_bytes(free)} are free",
                hint=_REMEDY,
            )


def said_bytes(count: int) -> str:
    """A number of bytes in words for people: 12 kB, 3.4 GB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
