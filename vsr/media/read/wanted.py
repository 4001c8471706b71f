"""Gives the wanted frames of an opened input, decoded, each with its time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

import av
from av.video.frame import VideoFrame

from vsr.core.errors import SourceOpenError
from vsr.media.read.decode import Decoder
from vsr.media.read.opened import Opened
from vsr.media.read.opening import IN_SEGMENTS
from vsr.media.read.time_range import FORMAT_HAS_DISCONTINUITIES, TimeRange, stated_end
from vsr.media.read.timestamps import Clock, Starts, time_of, without_silence
from vsr.media.types import PacketShelf, SourceCounters, SourceOptions

# Seconds to step back if a container's index leads behind the wanted time; None for the beginning.
_SEEK_BACK_S = (0, 10, None)
_SEEK_MARGIN_S = 10


class WantedFrames:
    """The decoded frames of `Opened.wanted`, with pts, duration and time_base set. Iterate once.

    first: the first of them, decoded when this is made, which iterating gives too. decoder: their decoder. starts: the frames
    at which a sequence starts again.
    """

    def __init__(
        self,
        opened: Opened,
        options: SourceOptions,
        *,
        shelf: PacketShelf,
        counters: SourceCounters,
        notes: list[str],
    ) -> None:
        """Go to where it begins and decode until there is a frame. Raises SourceOpenError where none comes."""
        self.starts = Starts()
        self._opened = opened
        self._options = options
        self._shelf = shelf
        self._counters = counters
        self._notes = notes
        self.decoder, early, frames = self._begin()
        kept = _trimmed(frames, self.decoder, opened.wanted, counters)
        first = next(kept, None)
        if first is None:
            raise self._nothing(early)
        self.first = first
        self._frames = iter([first]) if opened.is_picture else itertools.chain([first], kept)

    def __iter__(self) -> Iterator[VideoFrame]:
        return self._frames

    def _begin(self) -> tuple[Decoder, VideoFrame | None, Iterator[VideoFrame]]:
        """The decoder, the first frame it gives, and that with all after it: at the wanted start or earlier."""
        start = None if self._opened.made_times else self._opened.wanted.start
        if start is not None:
            for back in _SEEK_BACK_S:
                if not self._seek(start, back):
                    continue
                begun = self._decoding()
                if back is None or (begun[1] is not None and not self._begins_late(begun[1], start)):
                    return begun
                self._forget()
        return self._decoding()

    def _decoding(self) -> tuple[Decoder, VideoFrame | None, Iterator[VideoFrame]]:
        decoder = Decoder(
            self._opened,
            shelf=self._shelf,
            counters=self._counters,
            starts=self.starts,
            strict=self._options.strict,
        )
        frames = self._timed(decoder)
        first = next(frames, None)
        return decoder, first, frames if first is None else itertools.chain([first], frames)

    def _seek(self, start: Fraction, back: int | None) -> bool:
        """Go to a keyframe `back` seconds before `start`, or to the beginning; False where the container can't."""
        opened = self._opened
        origin = opened.stream.start_time or 0
        if opened.container.format.flags & FORMAT_HAS_DISCONTINUITIES:
            # In these formats FFmpeg seeks by decoding times, which are earlier.
            origin -= int(_SEEK_MARGIN_S / opened.time_base)
        target = origin if back is None else max(origin, int((start - back) / opened.time_base))
        try:
            opened.container.seek(target, stream=opened.stream)
        except (av.FFmpegError, OSError, ValueError):
            return back is None
        opened.context.flush_buffers()
        return True

    def _begins_late(self, first: VideoFrame, start: Fraction) -> bool:
        origin = self._opened.stream.start_time
        return (origin is None or (first.pts or 0) > origin) and time_of(first) > start

    def _forget(self) -> None:
        """Nothing of an attempt that led behind the start counts."""
        self.starts.clear()
        self._shelf.take_all()
        self._counters.repaired_timestamps = self._counters.damaged_packets = 0
        self._counters.first_error = None

    def _timed(self, decoder: Decoder) -> Iterator[VideoFrame]:
        opened = self._opened
        clock = Clock(
            opened.time_base,
            opened.rate,
            self._counters,
            self.starts,
            made=opened.made_times,
            live=opened.live,
        )
        frames = clock.stamp(decoder)
        if opened.container.format.name in IN_SEGMENTS:
            end = stated_end(opened.container, opened.wanted)
            return without_silence(frames, end, opened.name, self._notes, strict=self._options.strict)
        return frames

    def _nothing(self, early: VideoFrame | None) -> SourceOpenError:
        """Why there is no frame; `early` is the first that decodes, outside the range asked for."""
        opened, first_error = self._opened, self._counters.first_error
        codec = opened.stream.codec_context.name if opened.stream.codec_context else "unknown"
        start, duration = self._options.start_s, self._options.duration_s
        if early is not None and duration is not None:
            begin = start or 0
            return SourceOpenError(
                f"{opened.name}: no frame from {begin:g} s to {begin + duration:g} s",
                hint="its video begins later or ends earlier; `vsr probe` shows when",
            )
        if opened.wanted.start is not None and not first_error:
            return SourceOpenError(
                f"{opened.name}: no frame at or after {start:g} s", hint="start earlier; it ends before that"
            )
        why = f": {first_error}" if first_error else ""
        return SourceOpenError(
            f"{opened.name}: no frame of its {codec} video decodes{why}",
            hint="it may be encrypted, cut off, or only the header of a segmented video",
        )


def _trimmed(
    frames: Iterator[VideoFrame], decoder: Decoder, wanted: TimeRange, counters: SourceCounters
) -> Iterator[VideoFrame]:
    """The frames in the range. No method, so that a source that is closed frees its decoder at once."""
    for frame in frames:
        if wanted.start is not None and time_of(frame) < wanted.start:
            continue
        if wanted.end is not None and time_of(frame) >= wanted.end:
            decoder.done = True
            for _ in frames:  # collects the copied packets that are still in the range
                pass
            return
        counters.damaged_frames += frame.is_corrupt
        yield frame
