"""Whether frames that are compared by their number also belong to the same moments."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vsr.core.frame import Frame
from vsr.media.address import is_sequence
from vsr.media.types import Source

# Matroska and FLV round to milliseconds, both the input's first frame and the compared frame.
_SLACK_S = Fraction(2, 1000)
# 24 and 23.976 frames a second are 0.001 apart.
_RATE_SLACK = 0.0005


class Moments:
    """Compares the times of the compared frames; `notes` says how each input's times differ from the first input's.

    Pictures and sequences have no time of their own and are left alone.
    """

    def __init__(self, sources: Sequence[Source], inputs: Sequence[str], labels: Sequence[str]) -> None:
        self.notes: list[str] = []
        self._labels = labels
        self._timed = [
            at
            for at, source in enumerate(sources)
            if not source.info.is_picture and not is_sequence(inputs[at])
        ]
        self._starts: list[Fraction] = []
        self._told: set[int] = set()
        for at in self._timed[1:]:
            first, rate = sources[self._timed[0]].info.frame_rate, sources[at].info.frame_rate
            if first and rate and abs(rate / first - 1) > _RATE_SLACK:
                self._tell(at, f"has {float(rate):.6g} frames a second", f"{float(first):.6g}")

    def see(self, number: int, frames: Sequence[Frame]) -> None:
        """The frames of one number, one of each input; in order, from 0 on."""
        times = [(frame.pts or 0) * frame.time_base for frame in frames]
        if not self._starts:
            self._starts = times
            for at in self._timed[1:]:
                start, first = times[at], times[self._timed[0]]
                if abs(start - first) > _SLACK_S:
                    self._tell(at, f"begins at {float(start):.3f} s", f"at {float(first):.3f} s")
        since = [time - start for time, start in zip(times, self._starts, strict=True)]
        for at in self._timed[1:]:
            first = since[self._timed[0]]
            if at not in self._told and abs(since[at] - first) > _SLACK_S:
                self._told.add(at)
                what = f"shows frame {number} {float(since[at]):.3f} s after its first"
                self._tell(at, what, f"{float(first):.3f} s")

    def _tell(self, at: int, what: str, of_first: str) -> None:
        first = self._labels[self._timed[0]]
        self.notes.append(f"{self._labels[at]} {what}, {first} {of_first}: frames are compared by number")
