"""Interlaced frames made progressive: one frame out for each frame in, at the same time, or one for each field."""

from __future__ import annotations

import contextlib
from enum import Enum
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from vsr.core.errors import DecodeError, reason
from vsr.media.frames.planes import av_name, converted, is_direct, pixel_format
from vsr.media.rational import fraction
from vsr.media.types import DeinterlaceMode


class Parity(Enum):
    """The field of a frame that is shown first: the one with the top row of the frame, or the one with the bottom row."""

    TOP = "tff"
    BOTTOM = "bff"


class Deinterlacer:
    """bwdif over decoded frames. `on` takes every frame, `auto` and `field` skip frames that are not marked as interlaced.

    The filter starts at the first frame that is flagged interlaced, and passes progressive ones through from then on. It holds
    one frame back; frames are given and come with pts set. With `field` all times come in halves of a tick.

    told: the first field by the container, which says that all frames are interlaced; their codec cannot say it of each.
    """

    def __init__(self, mode: DeinterlaceMode, told: Parity | None = None) -> None:
        self.mode = mode
        self.active = False
        self._told = told
        self._graph: Graph | None = None
        self._key: tuple[object, ...] = ()
        self._originals: dict[int, VideoFrame] = {}
        self._first: VideoFrame | None = None
        self._seconds: set[int] = set()
        self.by_field = mode == "field"
        """Whether every field becomes a frame."""
        self.ticks = self.rate = 2 if self.by_field else 1
        """The factor for times in ticks, and the number of frames made from each frame."""
        each = "each field" if self.by_field else "each one in"
        self.note = f"interlaced: deinterlaced with bwdif, one frame out for {each}"

    def takes(self, frame: VideoFrame) -> bool:
        """Whether the frame would go through the filter."""
        if self.mode in ("on", "off"):
            return self.mode == "on"
        return bool(self.active or self._told or frame.interlaced_frame)

    def is_second(self, frame: VideoFrame) -> bool:
        """Whether a frame, asked for once, is the second field of one: it carries the same side data as the first."""
        if frame.pts in self._seconds:
            self._seconds.remove(frame.pts)
            return True
        return False

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """Give one frame; the frames that are ready. Raises DecodeError."""
        if not self.takes(frame):
            return [self._halved(frame) if self.by_field else frame]
        self.active = True
        if not is_direct(frame.format.name):
            frame = converted(frame, av_name(pixel_format(frame.format.name)))
        key = (frame.width, frame.height, frame.format.name, frame.time_base)
        ready: list[VideoFrame] = []
        if self._graph is not None and key != self._key:
            ready = self.flush()
        try:
            if self._graph is None:
                self._graph, self._key = self._open(frame), key
            self._originals[frame.pts or 0] = frame
            self._graph.vpush(frame)
        except (av.FFmpegError, ValueError) as error:
            raise DecodeError(f"cannot deinterlace {frame.format.name}: {reason(error)}") from error
        return ready + self._pull()

    def flush(self) -> list[VideoFrame]:
        """The frames held back. The filter then starts again."""
        if self._graph is None:
            return []
        with contextlib.suppress(av.FFmpegError):
            self._graph.vpush(None)
        ready = self._pull()
        self._graph = None
        self._originals.clear()
        return ready

    def _open(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=fraction(frame.time_base) or Fraction(1, 1000),
        )
        deint = "all" if self.mode == "on" or self._told else "interlaced"
        parity = self._told.value if self._told else "auto"
        send = "send_field" if self.by_field else "send_frame"
        bwdif = graph.add("bwdif", f"mode={send}:parity={parity}:deint={deint}")
        sink = graph.add("buffersink")
        graph.link_nodes(source, bwdif, sink)
        graph.configure()
        return graph

    def _pull(self) -> list[VideoFrame]:
        ready: list[VideoFrame] = []
        while self._graph is not None:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
            # bwdif halves the time base and doubles every pts; second fields lie in the middle.
            halves = frame.pts or 0
            frame.pts = halves // 2
            original = self._originals.pop(frame.pts, None) if halves % 2 == 0 else None
            for key in [key for key in self._originals if key < frame.pts]:
                del self._originals[key]
            if original is not None:
                frame.duration = original.duration
                frame.time_base = original.time_base or frame.time_base
            if self.by_field:
                self._time_field(frame, original)
            ready.append(frame)
        return ready

    def _time_field(self, frame: VideoFrame, original: VideoFrame | None) -> None:
        """Give a field half of the time of its frame. original: that frame, if the field is its first."""
        if original is not None:
            self._first = original
        first = self._first
        assert first is not None
        frame.pts, frame.duration = 2 * (first.pts or 0), first.duration or 0
        frame.time_base = (fraction(first.time_base) or Fraction(1, 1000)) / 2
        if original is None:
            frame.pts += frame.duration
            self._seconds.add(frame.pts)

    @staticmethod
    def _halved(frame: VideoFrame) -> VideoFrame:
        """The frame with its times in halves of a tick."""
        frame.pts, frame.duration = 2 * (frame.pts or 0), 2 * (frame.duration or 0)
        frame.time_base = (fraction(frame.time_base) or Fraction(1, 1000)) / 2
        return frame
