"""HLS: segments of MPEG-TS as FFmpeg writes them, and the playlist that names them."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from io import FileIO
from pathlib import Path
from typing import Any

from vsr.core.clock import Clock
from vsr.files.checks import part_path
from vsr.files.whole import locked_part
from vsr.media.live.encoder import KEYFRAME_S
from vsr.media.live.files import LiveFiles
from vsr.media.live.playlist import Playlist, Segment
from vsr.media.write.encoded import Encoded
from vsr.media.write.targets import OutputNull

# Missing time between segments of this length or more is marked as a gap: players would otherwise wait there.
_GAP_S = 1.0
# FFmpeg's muxer "segment" begins another file with each packet that is a keyframe, and counts on across them.
MUXER = "segment"
_OPTIONS = {"segment_format": "mpegts", "segment_time": "0.001", "individual_header_trailer": "0"}


@dataclass(slots=True)
class _Begun:
    """A segment under way. begins, ends: of its pictures, in seconds of the timeline. duration_s: once the next has begun."""

    begins: float
    ends: float
    at: float
    discontinuity: bool
    frames: int = 0
    duration_s: float | None = None


class Segments(LiveFiles):
    """The files of one output into a playlist, which continues an existing list. They are locked until `close`.

    frames: in segments that the playlist has named.
    """

    def __init__(self, path: Path, rate: Fraction | None, clock: Clock) -> None:
        """rate: frames a second, by which the target duration goes.

        Raises OSError, and ConfigError where another run writes it.
        """
        lock = part_path(path)
        super().__init__(lock, locked_part(lock))
        self.frames = 0
        self._playlist_path = path
        self._clock = clock
        self._interval_s = float(1 / rate) if rate else 0.0
        needed_s = math.ceil(KEYFRAME_S + self._interval_s)
        there = self._there()
        before = Playlist.read(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else None
        if before is None:
            self._playlist = Playlist(needed_s, max(there.values(), default=-1) + 1)
        else:
            self._playlist = before.continued(needed_s, (entry.name for entry in path.parent.iterdir()))
        self._longest_s = self._playlist.duration_s
        # Segments that are no longer in the list: (time at which the file may be deleted, its name).
        named = {segment.name for segment in self._playlist.segments}
        self._gone = deque(
            (clock.now() + 2 * _most_s(self._playlist), name)
            for name, number in there.items()
            if number < self._playlist.next and name not in named
        )
        self._begun: deque[_Begun] = deque()
        # Unix time at second 0 of the timeline, valid since the last discontinuity.
        self._unix_at_0 = 0.0

    @property
    def pattern(self) -> str:
        """The segments' names, for FFmpeg."""
        return f"{self._stem.replace('%', '%%')}-%d.ts"

    @property
    def options(self) -> dict[str, str]:
        """The options of FFmpeg's muxer."""
        return {**_OPTIONS, "segment_start_number": str(self._playlist.next)}

    def begins(self, packet: Encoded) -> bool:
        """Whether another segment begins with that packet of video, the next one that FFmpeg is given."""
        begins = float(packet.pts * packet.time_base)
        ends = begins + (float(packet.duration * packet.time_base) or self._interval_s)
        last = self._begun[-1] if self._begun else None
        if last is None:
            self._begin(begins, ends, bool(self._playlist.segments), anew=True)
            return True
        passed_s = begins - last.begins
        # Later would be too late: the next keyframe may be this far away.
        least_s = self._playlist.target_s - KEYFRAME_S - self._interval_s
        gap = begins - last.ends > _GAP_S
        if not packet.keyframe or not (gap or passed_s >= least_s):
            last.ends = max(last.ends, ends)
            last.frames += 1
            return False
        broken = gap or round(passed_s) > self._playlist.target_s
        last.duration_s = last.ends - last.begins if broken else passed_s
        self._begin(begins, ends, broken, anew=broken)
        return True

    def open(self, url: str, _flags: int, _options: dict[str, str]) -> Any:
        """A segment, for FFmpeg: `io_open` of `av.open`."""
        path = self._playlist_path.with_name(url)
        if self.error is None:
            try:
                return self.file(path, FileIO(path, "w"))
            except OSError as error:
                self.error = error
        return OutputNull()

    def end(self) -> None:
        """No other segment will come: say so."""
        if self._playlist.segments and self.error is None:
            self._playlist.ended = True
            self._write()

    def closed(self, path: Path) -> None:
        begun = self._begun.popleft() if self._begun else None
        if self.error is not None or begun is None or not begun.frames:
            with contextlib.suppress(OSError):
                path.unlink()  # before a playlist names it
            return
        duration_s = begun.ends - begun.begins if begun.duration_s is None else begun.duration_s
        at = datetime.fromtimestamp(begun.at, UTC)
        now = self._clock.now()
        gone = self._playlist.append(Segment(path.name, duration_s, at, begun.discontinuity))
        self._longest_s = max(
            self._longest_s, self._playlist.duration_s + sum(one.duration_s for one in gone)
        )
        # RFC 8216, 6.2.2: a removed segment stays available for its own duration and that of the longest list that named it.
        self._gone += [(now + one.duration_s + self._longest_s, one.name) for one in gone]
        self._write()
        if self.error is None:
            self.frames += begun.frames
        while self._gone and self._gone[0][0] <= now:
            with contextlib.suppress(OSError):
                self._playlist_path.with_name(self._gone.popleft()[1]).unlink()

    @property
    def _stem(self) -> str:
        return self._playlist_path.stem

    def _there(self) -> dict[str, int]:
        """The existing segments, each with its number."""
        pattern = re.compile(rf"{re.escape(self._stem)}-(0|[1-9]\d*)\.ts")
        entries = self._playlist_path.parent.iterdir()
        return {
            entry.name: int(match[1])
            for entry in entries
            if (match := pattern.fullmatch(entry.name)) and entry.is_file()
        }

    def _begin(self, begins: float, ends: float, discontinuity: bool, *, anew: bool) -> None:
        if anew:
            # The dates of a list never go back, even if the machine's clock is set back.
            before = self._begun[-1] if self._begun else None
            least = before.at + (before.duration_s or 0.0) if before is not None else self._named_until()
            self._unix_at_0 = max(time.time(), least) - begins
        self._begun.append(_Begun(begins, ends, self._unix_at_0 + begins, discontinuity, frames=1))

    def _named_until(self) -> float:
        """Unix time at the end of the list."""
        last = self._playlist.segments[-1] if self._playlist.segments else None
        return last.at.timestamp() + last.duration_s if last is not None and last.at is not None else 0.0

    def _write(self) -> None:
        new = self._playlist_path.with_name(f"{self._playlist_path.name}.tmp")
        try:
            new.write_text(self._playlist.text(), encoding="utf-8")
            os.replace(new, self._playlist_path)
        except OSError as error:
            self.error = self.error or error
            with contextlib.suppress(OSError):
                new.unlink()


def _most_s(playlist: Playlist) -> float:
    """The most seconds that a list may have had before, because its length was not recorded."""
    return max(playlist.duration_s, float(8 * playlist.target_s))
