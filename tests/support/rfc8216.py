"""A checker of what RFC 8216 demands of a live media playlist, over the list's whole life."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise


@dataclass(frozen=True)
class Entry:
    uri: str
    duration_s: float
    discontinuity: bool
    date: str | None


@dataclass
class Life:
    """Give it what is served, again and again, with the time. faults: what was wrong, and where the RFC says so.

    exists: whether a segment can be fetched now; asked of those that are named and, for as long as they must be there, of
    those that were.
    """

    exists: Callable[[str], bool] = lambda _uri: True
    faults: list[str] = field(default_factory=list)
    versions: int = 0
    target: int | None = None
    sequence: int = 0
    discontinuities: int = 0
    entries: list[Entry] = field(default_factory=list)
    ended: bool = False
    _text: str = ""
    _longest_s: float = 0.0
    # Removed segments, and until when they must be there.
    _removed: list[tuple[str, float]] = field(default_factory=list)

    def see(self, text: str, at: float) -> None:
        """One version of the list."""
        if text != self._text:
            self._see_new(text, at)
        for uri in [uri for uri, until in self._removed if at < until] + [
            entry.uri for entry in self.entries
        ]:
            self._check(self.exists(uri), f"6.2.2: {uri} is not there (at {at:.1f})")

    def anew(self) -> None:
        """The server has been started again after the end of the list: it may be another one, whose numbers go on."""
        self._check(self.ended, "the list has not ended")
        self.ended, self.target = False, None

    def _see_new(self, text: str, at: float) -> None:
        self.versions += 1
        self._check(not self.ended, "6.2.1: a list with EXT-X-ENDLIST changed")
        self._check(text.startswith("#EXTM3U\n"), "4.3.1.1: EXTM3U is not the first line")
        self._check(text.endswith("\n") and "\ufeff" not in text, "4.1: not ended by a line's end, or a BOM")
        lines = text.splitlines()
        self._check(
            all(line == line.strip() and line for line in lines), "4.1: spaces around a line, or an empty one"
        )
        target, sequence = self._one(lines, "TARGETDURATION"), self._one(lines, "MEDIA-SEQUENCE", 0)
        discontinuities, version = (
            self._one(lines, "DISCONTINUITY-SEQUENCE", 0),
            self._one(lines, "VERSION", 1),
        )
        entries = self._parsed(lines)
        assert target is not None
        assert sequence is not None
        assert discontinuities is not None
        assert version is not None
        floats = any(re.match(r"#EXTINF:\d+\.", line) for line in lines)
        self._check(version >= 3 or not floats, "4.3.2.1: durations that are no integers need version 3")
        for entry in entries:
            self._check(round(entry.duration_s) <= target, f"4.3.3.1: {entry} is longer than {target}")
        self._check(len({entry.uri for entry in entries}) == len(entries), "two segments of one name")
        if self.target is not None:
            self._follow(target, sequence, discontinuities, entries, at)
        elif entries:
            self._check(
                sequence >= self.sequence + len(self.entries), "6.2.2: the media sequence number went back"
            )
            self._check(
                not entries[0].discontinuity,
                "4.3.2.3: a discontinuity before the first segment of a new list",
            )
        self._dates(entries)
        self.target, self.sequence, self.discontinuities = target, sequence, discontinuities
        self.entries, self._text, self.ended = entries, text, lines[-1] == "#EXT-X-ENDLIST"
        self._longest_s = max(self._longest_s, sum(entry.duration_s for entry in entries))

    def _follow(
        self, target: int, sequence: int, discontinuities: int, entries: list[Entry], at: float
    ) -> None:
        self._check(
            target == self.target, f"6.2.1: the target duration changed from {self.target} to {target}"
        )
        gone = sequence - self.sequence
        self._check(
            0 <= gone <= len(self.entries),
            f"6.2.2: the media sequence number went from {self.sequence} to {sequence}",
        )
        removed, kept = self.entries[:gone], self.entries[gone:]
        self._check(entries[: len(kept)] == kept, f"6.2.1: {kept} became {entries}")
        passed = sum(entry.discontinuity for entry in removed)
        self._check(
            discontinuities == self.discontinuities + passed,
            f"6.2.2: {passed} discontinuities left, not counted",
        )
        if removed:
            left_s = sum(entry.duration_s for entry in entries)
            self._check(left_s >= 3 * target, f"6.2.2: {left_s} s are left, less than three times {target}")
        self._removed += [(entry.uri, at + entry.duration_s + self._longest_s) for entry in removed]

    def _parsed(self, lines: list[str]) -> list[Entry]:
        entries: list[Entry] = []
        duration_s, discontinuity, date = None, False, None
        for line in lines:
            if match := re.fullmatch(r"#EXTINF:(\d+(\.\d+)?),.*", line):
                duration_s = float(match[1])
            elif line == "#EXT-X-DISCONTINUITY":
                discontinuity = True
            elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
                date = line.partition(":")[2]
            elif not line.startswith("#"):
                self._check(duration_s is not None, f"4.3.2.1: no EXTINF before {line}")
                entries.append(Entry(line, duration_s or 0.0, discontinuity, date))
                duration_s, discontinuity, date = None, False, None
        before = "\n".join(lines).partition("#EXTINF")[0]
        for tag in ("TARGETDURATION", "MEDIA-SEQUENCE", "DISCONTINUITY-SEQUENCE"):
            self._check(
                f"#EXT-X-{tag}:" in before or f"#EXT-X-{tag}:" not in "\n".join(lines),
                f"4.3.3: {tag} is late",
            )
        first = before.find("#EXT-X-DISCONTINUITY\n")
        self._check(
            first < 0 or before.find("#EXT-X-DISCONTINUITY-SEQUENCE:") < first,
            "4.3.3.3: sequence after the tag",
        )
        return entries

    def _dates(self, entries: list[Entry]) -> None:
        dates = [(datetime.fromisoformat(entry.date), entry) for entry in entries if entry.date]
        for (one, first), (other, second) in pairwise(dates):
            self._check(first.discontinuity or one.tzinfo is not None, "4.3.2.6: no time zone")
            apart_s = (other - one).total_seconds()
            goes_on = second.discontinuity or abs(apart_s - first.duration_s) < 0.01
            self._check(
                goes_on and apart_s > 0, f"4.3.2.6: dates are {apart_s} s apart, not {first.duration_s}"
            )

    def _one(self, lines: list[str], tag: str, otherwise: int | None = None) -> int | None:
        found = [line for line in lines if line.startswith(f"#EXT-X-{tag}:")]
        self._check(len(found) <= 1, f"4.3.3: more than one {tag}")
        self._check(bool(found) or otherwise is not None, f"4.3.3: no {tag}")
        return int(found[0].partition(":")[2]) if found else otherwise

    def _check(self, fulfilled: bool, what: str) -> None:
        if not fulfilled:
            self.faults.append(what)
