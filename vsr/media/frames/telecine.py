"""Film that was made 30 frames a second by showing fields twice (3:2 pulldown): its 24 frames."""

from __future__ import annotations

import contextlib
from collections import deque
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from vsr.core.errors import DecodeError, reason
from vsr.media.frames.deinterlace import Parity
from vsr.media.frames.planes import av_name, converted, is_direct, pixel_format
from vsr.media.rational import fraction

_CYCLE = 5  # frames of video for four of film


class InverseTelecine:
    """FFmpeg's fieldmatch and decimate over decoded frames: four out for each five in, spread evenly over their time.

    Frames that are not shown for a thirtieth of a second pass: 25 frames a second, or film whose decoder is to repeat fields
    (soft telecine), which has all its frames already. A frame whose fields find no partner goes through bwdif. Of 8 bits a
    sample only. Up to ten frames are held back; they are given and come with pts set, and all times come in quarters of a tick.
    """

    ticks = 4
    rate = Fraction(_CYCLE - 1, _CYCLE)
    note = "telecine removed: four frames out for each five in, at the rate of film"

    def __init__(self, told: Parity | None = None) -> None:
        """told: the first field by the container, for frames that do not say it."""
        self._order = told.value if told else "auto"
        self.active = False
        self._graph: Graph | None = None
        self._key: tuple[object, ...] = ()
        self._given: deque[VideoFrame] = deque()
        self._matched: deque[VideoFrame] = deque()
        self._count = 0

    def takes(self, frame: VideoFrame) -> bool:
        """Whether the frame would go through the filters."""
        return abs((frame.duration or 0) * (frame.time_base or Fraction(1)) * 30 - 1) < Fraction(1, 10)

    def is_second(self, frame: VideoFrame) -> bool:
        """Whether a frame has the side data of the previous one: none has."""
        return False

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """Give one frame; the frames that are ready. Raises DecodeError."""
        if not self.takes(frame):
            return [*self.flush(), _timed(frame, 4 * (frame.pts or 0), 4 * (frame.duration or 0))]
        if not is_direct(frame.format.name):
            frame = converted(frame, av_name(pixel_format(frame.format.name)))
        key = (frame.width, frame.height, frame.format.name, frame.time_base)
        ready = self.flush() if key != self._key or self._is_behind_a_gap(frame) else []
        pts, time_base = frame.pts, frame.time_base
        try:
            if self._graph is None:
                self._graph, self._key, self._count = _filters(frame, self._order), key, 0
            # decimate gets frames of equal length, however the container rounds.
            frame.pts, frame.time_base = self._count, Fraction(1, 30)
            self._graph.vpush(frame)
        except (av.FFmpegError, ValueError) as error:
            raise DecodeError(f"cannot remove telecine from {frame.format.name}: {reason(error)}") from error
        finally:
            frame.pts, frame.time_base = pts, time_base
        self._count += 1
        self._given.append(frame)
        self._pull()
        while len(self._given) > _CYCLE and len(self._matched) >= _CYCLE - 1:
            self.active = True
            ready += self._spread(_CYCLE, _CYCLE - 1)
        return ready

    def flush(self) -> list[VideoFrame]:
        """The frames held back. The filter then starts again."""
        if self._graph is None:
            return []
        with contextlib.suppress(av.FFmpegError):
            self._graph.vpush(None)
        self._pull()
        self._graph = None
        ready: list[VideoFrame] = []
        while len(self._given) >= _CYCLE and len(self._matched) >= _CYCLE - 1:
            self.active = True
            ready += self._spread(_CYCLE, _CYCLE - 1)
        if not self._matched or self._count < _CYCLE:
            self._matched = self._given.copy()
        if self._given:
            ready += self._spread(len(self._given), len(self._matched))
        return ready

    def _is_behind_a_gap(self, frame: VideoFrame) -> bool:
        last = self._given[-1] if self._given else None
        return last is not None and (frame.pts or 0) - (last.pts or 0) > 2 * (frame.duration or 0)

    def _pull(self) -> None:
        assert self._graph is not None
        with contextlib.suppress(av.BlockingIOError, av.EOFError):
            while True:
                frame = self._graph.vpull()
                if frame.format.name != self._key[2]:  # FFmpeg converts formats the filters lack
                    raise DecodeError(
                        f"cannot remove telecine from {self._key[2]}",
                        hint="only from 4:2:0, 4:2:2 and 4:4:4 of 8 bits",
                    )
                self._matched.append(frame)

    def _spread(self, given: int, matched: int) -> list[VideoFrame]:
        """Choose a number of matched frames for the time of a number of input frames."""
        taken = [self._given.popleft() for _ in range(given)]
        begin, last = taken[0].pts or 0, taken[-1]
        end = (self._given[0].pts or 0) if self._given else (last.pts or 0) + (last.duration or 0)
        times = [4 * begin + round(Fraction(4 * (end - begin) * n, matched)) for n in range(matched + 1)]
        ready = []
        for n in range(matched):
            frame = self._matched.popleft()
            frame.time_base = last.time_base or Fraction(1, 1000)
            ready.append(_timed(frame, times[n], times[n + 1] - times[n]))
        return ready


def _timed(frame: VideoFrame, pts: int, duration: int) -> VideoFrame:
    """The frame at that time, in quarters of its ticks."""
    frame.pts, frame.duration = pts, duration
    frame.time_base = (fraction(frame.time_base) or Fraction(1, 1000)) / 4
    return frame


def _filters(frame: VideoFrame, order: str) -> Graph:
    graph = Graph()
    graph.threads = 1
    # add_buffer sets no frame rate, and decimate needs one.
    size = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
    graph.link_nodes(
        graph.add("buffer", f"{size}:time_base=1/30:frame_rate=30"),
        graph.add("fieldmatch", f"order={order}:combmatch=full"),
        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        graph.add("decimate", f"cycle={_CYCLE}"),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph
