"""Time of decoded frames: left alone where it is sound, made where it is missing."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from vsr.core.errors import DecodeError
from vsr.core.frame import Reset
from vsr.media.types import SourceCounters

# The same as ffmpeg's dts_delta_threshold.
_JUMP_S = 10
_BACKWARD_S = Fraction(1, 10)
_KEPT_OFFSETS = 4
_GAP_S = Fraction(1, 2)


class Discontinuities:
    """Closes the jumps of containers whose clock may start again (MPEG-TS cut, joined or damaged), forward ones as FFmpeg does:
    where sound or picture jumps by more than ten seconds. Shorter jumps are gaps, and stay.

    All streams share one offset, so they stay together. Packets from before a jump, that come after it, keep the one before.
    """

    def __init__(self) -> None:
        self.count = 0
        self._offsets = deque([Fraction(0)], maxlen=_KEPT_OFFSETS)
        self._last: dict[int, Fraction] = {}
        self._next: dict[int, Fraction] = {}
        self._jumps: dict[int, int] = {}

    def shift(self, packet: Packet[Stream]) -> bool:
        """Move the packet's pts and dts to the continuous clock; whether it is its stream's first behind a jump."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not packet.time_base:
            return False
        time = stamp * packet.time_base
        offset = self._offset(time, packet)
        self._last[packet.stream_index] = time + offset
        self._next[packet.stream_index] = time + offset + (packet.duration or 0) * packet.time_base
        if packet.pts is not None and not 0 <= (packet.pts - stamp) * packet.time_base < _JUMP_S:
            packet.pts = None  # damaged: pictures are not shown before they are decoded, or this much later
        if offset:
            ticks = round(offset / packet.time_base)
            if packet.pts is not None:
                packet.pts += ticks
            if packet.dts is not None:
                packet.dts += ticks
        if offset != self._offsets[0] or self._jumps.get(packet.stream_index, 0) == self.count:
            return False
        self._jumps[packet.stream_index] = self.count
        return True

    def _offset(self, time: Fraction, packet: Packet[Stream]) -> Fraction:
        latest, index = self._offsets[0], packet.stream_index
        if index not in self._last:
            return latest
        last, expected = self._last[index], self._next[index]
        # Subtitles and data may pause for any time.
        sparse = packet.stream.type not in ("video", "audio")
        if time + latest >= last - _BACKWARD_S and (sparse or time + latest <= expected + _JUMP_S):
            return latest
        for offset in self._offsets:
            if offset != latest and abs(time + offset - expected) < _JUMP_S:
                return offset
        # The packet goes after all earlier ones, so that no stream runs backwards.
        self._offsets.appendleft(max(self._next.values()) - time)
        self.count += 1
        return self._offsets[0]


def time_of(frame: VideoFrame) -> Fraction:
    """The time of a frame that has its pts, in seconds."""
    return (frame.pts or 0) * (frame.time_base or Fraction(1))


def without_silence(
    frames: Iterable[VideoFrame], end: Fraction | None, name: str, notes: list[str], *, strict: bool
) -> Iterator[VideoFrame]:
    """Pass the timed frames of an HLS or DASH input on. At the end, add a note with the gaps between them, in seconds after the
    first frame: FFmpeg leaves out missing segments without a message.

    end: the end by the playlist, in seconds. Raises DecodeError at the first gap if `strict`.
    """
    first: Fraction | None = None
    due = Fraction(0)
    gaps: list[str] = []
    for frame in frames:
        time = time_of(frame)
        if first is None:
            first = due = time
        if time - due > _GAP_S:
            gaps.append(f"from {float(due - first):.3f} s to {float(time - first):.3f} s")
            if strict:
                raise DecodeError(
                    f"{name}: no frames {gaps[0]}: segments are missing",
                    hint="leave out --strict to continue without them",
                )
        due = time + (frame.duration or 0) * (frame.time_base or 1)
        yield frame
    if gaps:
        later = len(gaps) - 1
        more = f" nor at {later} later place{'s' if later > 1 else ''}" if later else ""
        notes.append(f"there were no frames {gaps[0]}{more}: segments are missing")
    if first is not None and end is not None and end - due > _GAP_S:
        lasts = f"{float(due - first):.3f} s, where its playlist says {float(end - first):.3f} s"
        notes.append(f"the video ends after {lasts}")


class PacketTimes:
    """Times for pictures whose packets have no time of presentation (AVI): the times of decoding, in order."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def note(self, packet: Packet[Any]) -> None:
        """Note a packet that goes to the decoder."""
        if packet.pts is None and packet.dts is not None and packet.size and not packet.is_discard:
            heapq.heappush(self._waiting, packet.dts)

    def drop(self, packet: Packet[Any]) -> None:
        """Forget the time of a packet that gives no picture."""
        if packet.pts is None and packet.dts in self._waiting:
            self._waiting.remove(packet.dts)
            heapq.heapify(self._waiting)

    def give(self, frame: VideoFrame) -> None:
        """Set the frame's pts where it has none."""
        if frame.pts is None and self._waiting:
            frame.pts = heapq.heappop(self._waiting)


class Starts:
    """The frames at which a sequence starts again, and the reasons: noted by pts while packets and frames come, and looked
    up for every frame in order."""

    def __init__(self) -> None:
        self._noted: dict[int, Reset] = {}

    def note(self, pts: int, why: Reset) -> None:
        """A sequence starts again at the frame with that pts or, if there is none, at the next one."""
        self._noted[pts] = why

    def at(self, pts: int) -> Reset | None:
        """Why one begins at the frame of that pts; pts rises from call to call."""
        why = None
        for noted in sorted(noted for noted in self._noted if noted <= pts):
            why = self._noted.pop(noted)
        return why

    def clear(self) -> None:
        """Forget all notes."""
        self._noted.clear()


class Clock:
    """Gives every frame a pts and a duration, in the stream's time base, strictly rising.

    What the frame brings stays. A missing pts is the packet's dts or, where the container has no times at all (`made`), the
    count over the rate. A pts that doesn't rise becomes the tick after the one before. A missing duration is the distance
    to the next frame, for which one frame is held back; the last one's comes from the rate. With `live` nothing is held.

    Where a frame comes more than half a second, and three frames' time, after the one before was to end, a gap is noted in
    `starts`. What a frame says of its own duration counts, so that a slide which is shown for long leaves no gap.
    """

    def __init__(
        self,
        time_base: Fraction,
        rate: Fraction | None,
        counters: SourceCounters,
        starts: Starts,
        *,
        made: bool = False,
        live: bool = False,
    ) -> None:
        self._time_base = time_base
        self._step = 1 / (rate or Fraction(25)) / time_base
        self._counters = counters
        self._starts = starts
        self._made = made
        self._live = live
        self._last: int | None = None
        self._exact = Fraction(0)
        self._stated = 0

    def stamp(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames with pts, duration and time_base set."""
        held: VideoFrame | None = None
        for frame in frames:
            before = self._last
            frame.time_base = self._time_base
            frame.pts = self._pts(frame)
            self._note_gap(frame.pts, before)
            self._stated = frame.duration or 0
            if self._made:  # FFmpeg's guess goes wrong after the first frames
                frame.duration = max(1, round(self._exact + self._step) - frame.pts)
            if held is not None:
                held.duration = (frame.pts or 0) - (held.pts or 0)
                yield held
                held = None
            if frame.duration:
                yield frame
            elif self._live:
                frame.duration = (
                    (frame.pts or 0) - before if before is not None else max(1, round(self._step))
                )
                yield frame
            else:
                held = frame
        if held is not None:
            held.duration = max(1, round(self._step))
            yield held

    def _note_gap(self, pts: int, before: int | None) -> None:
        """`before`: the pts of the frame before."""
        if self._made or before is None:
            return
        shown = Fraction(self._stated) or self._step
        missing = pts - before - shown
        if missing > 3 * max(shown, self._step) and missing * self._time_base > _GAP_S:
            self._starts.note(pts, Reset.GAP)

    def _pts(self, frame: VideoFrame) -> int:
        pts = None if self._made else frame.pts
        last = self._last
        if pts is None and not self._made:
            self._counters.repaired_timestamps += 1
            dts = frame.dts
            pts = dts if dts is not None and (last is None or dts > last) else None
        elif pts is not None and last is not None and pts <= last:
            self._counters.repaired_timestamps += 1
            pts = last + 1
        if pts is None:
            if last is not None:
                self._exact += self._step
            pts = round(self._exact)
            if last is not None and pts <= last:
                pts = last + 1
        else:
            self._exact = Fraction(pts)
        self._last = pts
        return pts
