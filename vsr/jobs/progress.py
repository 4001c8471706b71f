"""Measures the progress of a job."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.media.types import SinkCounters, SourceOptions
from vsr.pipeline import PipelineStats


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a job.

    frames_total: None if the header does not say. fps: output frames a second so far. speed: seconds of video done in a second
    of work, None for pictures. eta_s: seconds left, None where unknown; eta_all_s: seconds left for all inputs, if there are
    several. item: number of the input, from 0, of `items`. doing: a long step in progress, such as building an engine, else
    empty. share: the part of the input that is done, 0 to 1, None where unknown. bytes: size of the output so far.
    bytes_expected: estimated size of the whole output, by its growth so far; None where unknown. For a job in segments, both
    sizes are without copied streams.
    """

    input: str
    frames_done: int
    frames_total: int | None
    fps: float
    speed: float | None
    eta_s: float | None
    item: int = 0
    items: int = 1
    doing: str = ""
    eta_all_s: float | None = None
    share: float | None = None
    bytes: int = 0
    bytes_expected: int | None = None


OnProgress = Callable[[Progress], None]

# Most seconds by which a header's length differs from the real one, because of the last frame or of rounding.
_MOST_OVER_S = 1.0

_RECENT_S = 60.0
_BETWEEN_S = 1.0

# The first picture has many more bytes than the ones after it.
_LEAST_PACKETS = 24


class TimeLeft:
    """Seconds left, at the pace of the last minute, or of the last quarter of a long job: other programs come and go."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        # Pairs of a time and the share done by then, 0 to 1.
        self._seen: deque[tuple[float, float]] = deque()

    def at(self, share: float | None) -> float | None:
        """The time left now that this share is done. None where it is unknown, and at first."""
        if not share:
            return None
        now = self._clock()
        if self._began is None:
            self._began = now
        if not self._seen or now - self._seen[-1][0] >= _BETWEEN_S:
            self._seen.append((now, share))
        recent = max(_RECENT_S, (now - self._began) / 4)
        while len(self._seen) > 1 and now - self._seen[1][0] >= recent:
            self._seen.popleft()
        since, before = self._seen[0]
        return (now - since) * (1 - share) / (share - before) if share > before else None


class Pace:
    """The share of an input that is done, by the times of its frames if its length is known, otherwise by their count; and the
    time left.

    `wrote` may be called on another thread than `progress`. done_s: playing time of the written frames.
    """

    def __init__(
        self, info: VideoInfo, wanted: SourceOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._info = info
        self._left = TimeLeft(clock)
        self._span = span_s(info, wanted)
        self._is_part = wanted.start_s is not None or wanted.duration_s is not None
        self._first: Fraction | None = None
        self.done_s = 0.0

    def wrote(self, frame: Frame) -> None:
        """Note a frame that was handed to the encoder."""
        if frame.pts is None:
            return
        shown = frame.pts * frame.time_base
        if self._first is None:
            self._first = shown
        rate = self._info.frame_rate
        self.done_s = float(shown - self._first + (1 / rate if rate else 0))

    def progress(self, stats: PipelineStats, input: str, item: int, items: int, doing: str) -> Progress:
        """The progress of the job at this moment."""
        info, done = self._info, stats.stages[-1].items_in
        fps = done / stats.seconds if stats.seconds > 0 else 0.0
        speed = fps / float(info.frame_rate) if info.frame_rate and not info.is_picture else None
        total = None if self._is_part else info.num_frames_from_header
        # If the header counts too few frames, the progress must not exceed 100 %.
        known = total if total and total >= done else None
        share = self._share(done, known)
        return Progress(input, done, known, fps, speed, self._left.at(share), item, items, doing, share=share)

    def _share(self, done: int, total: int | None) -> float | None:
        # Once the header's length is passed, it says nothing about the rest.
        if self._span and self._first is not None and self.done_s <= self._span + _MOST_OVER_S:
            return min(1.0, self.done_s / self._span)
        return done / total if total else None


def expected_bytes(counters: SinkCounters, share: float | None) -> int | None:
    """The estimated bytes of the output, of which this share is encoded; None if unknown."""
    if not share or counters.packets < _LEAST_PACKETS:
        return None
    # The encoder holds frames back, so their bytes are still to come; the container holds packets back.
    video = counters.video_bytes * counters.frames / counters.packets
    return round((video + max(0, counters.bytes - counters.video_bytes)) / share)


def frames_wanted(info: VideoInfo, wanted: SourceOptions) -> int | None:
    """The estimated number of wanted frames of an input; None if unknown."""
    is_part = wanted.start_s is not None or wanted.duration_s is not None
    if info.num_frames_from_header and not is_part:
        return info.num_frames_from_header
    span = span_s(info, wanted)
    if info.is_picture or span is None or info.frame_rate is None:
        return 1 if info.is_picture else None
    return round(span * info.frame_rate)


def span_s(info: VideoInfo, wanted: SourceOptions) -> float | None:
    """The wanted seconds of an input; None if unknown."""
    if info.is_picture:
        return None
    whole = info.duration_s_from_header
    left = None if whole is None else whole - (wanted.start_s or 0)
    spans = [span for span in (left, wanted.duration_s) if span is not None and span > 0]
    return min(spans, default=None)
