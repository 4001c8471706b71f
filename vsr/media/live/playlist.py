"""An HLS media playlist through its whole life (RFC 8216, 6.2): lines are added at its end and removed at its beginning."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

# Most segments in the list; fewer if they are long and last three times the target duration.
_KEPT = 6
_LEAST_TARGETS = 3

_NUMBERS = {
    "target": re.compile(r"#EXT-X-TARGETDURATION:(\d+)"),
    "sequence": re.compile(r"#EXT-X-MEDIA-SEQUENCE:(\d+)"),
    "discontinuities": re.compile(r"#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)"),
}
_DURATION = re.compile(r"#EXTINF:(\d+(?:\.\d*)?),")
_DISCONTINUITY = "#EXT-X-DISCONTINUITY"
_DATE = "#EXT-X-PROGRAM-DATE-TIME:"
_END = "#EXT-X-ENDLIST"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. at: when its first picture was taken. discontinuity: its times do not go on from the one before."""

    name: str
    duration_s: float
    at: datetime | None
    discontinuity: bool = False


class Playlist:
    """The segments in the playlist. target_s: the target duration, which never changes; whole seconds.

    sequence, discontinuities: the media and the discontinuity sequence number of the first segment.
    """

    def __init__(self, target_s: int, sequence: int = 0, discontinuities: int = 0) -> None:
        self.target_s = target_s
        self.sequence = sequence
        self.discontinuities = discontinuities
        self.segments: deque[Segment] = deque()
        self.ended = False

    @classmethod
    def read(cls, text: str) -> Playlist | None:
        """The playlist in a file; None if it is not one of vsr's playlists."""
        lines = text.splitlines()
        found = {
            name: next((int(match[1]) for line in lines if (match := pattern.fullmatch(line))), 0)
            for name, pattern in _NUMBERS.items()
        }
        if not lines or lines[0] != "#EXTM3U" or not found["target"]:
            return None
        playlist = cls(found["target"], found["sequence"], found["discontinuities"])
        duration_s, at, discontinuity = 0.0, None, False
        for line in lines:
            if match := _DURATION.match(line):
                duration_s = float(match[1])
            elif line == _DISCONTINUITY:
                discontinuity = True
            elif line.startswith(_DATE):
                at = _date(line.removeprefix(_DATE))
            elif line == _END:
                playlist.ended = True
            elif line and not line.startswith("#"):
                playlist.segments.append(Segment(line, duration_s, at, discontinuity))
                at, discontinuity = None, False
        return playlist

    def continued(self, target_s: int, there: Iterable[str]) -> Playlist:
        """The playlist after a restart: this one, or a new one whose numbers go on if this one must not be continued.

        target_s: the target duration needed from now on. there: the names of the existing files.
        """
        if (
            not self.ended
            and target_s <= self.target_s
            and {segment.name for segment in self.segments} <= set(there)
        ):
            return self
        passed = sum(segment.discontinuity for segment in self.segments)
        return Playlist(target_s, self.next, self.discontinuities + passed + 1)

    @property
    def next(self) -> int:
        """The media sequence number of the next segment."""
        return self.sequence + len(self.segments)

    @property
    def duration_s(self) -> float:
        return sum(segment.duration_s for segment in self.segments)

    def append(self, segment: Segment) -> list[Segment]:
        """Add a segment, and return the segments that leave the list."""
        self.segments.append(segment)
        gone = []
        while len(self.segments) > _KEPT:
            first = self.segments[0]
            if self.duration_s - first.duration_s < _LEAST_TARGETS * self.target_s:
                break
            gone.append(self.segments.popleft())
            self.sequence += 1
            self.discontinuities += first.discontinuity
        return gone

    def text(self) -> str:
        """The playlist's text, as it is served."""
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.sequence}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuities}",
            "#EXT-X-INDEPENDENT-SEGMENTS",
        ]
        for segment in self.segments:
            lines += [_DISCONTINUITY] * segment.discontinuity
            if segment.at is not None:
                lines.append(_DATE + segment.at.astimezone(UTC).isoformat(timespec="milliseconds"))
            lines += [f"#EXTINF:{segment.duration_s:.3f},", segment.name]
        return "\n".join([*lines, *[_END] * self.ended]) + "\n"


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
