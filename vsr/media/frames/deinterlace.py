"""Interlaced frames made progressive: one frame out for each frame in, at the same time."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Literal

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from vsr.core.errors import DecodeError, reason
from vsr.media.frames.planes import av_name, converted, is_direct, pixel_format


class Deinterlacer:
    """bwdif over decoded frames. `auto` leaves alone what no frame flags as interlaced, `on` takes every frame.

    In `auto` the filter starts at the first frame flagged and passes progressive ones through from then on. It holds one
    frame back; frames are given and come with pts set.
    """

    def __init__(self, mode: Literal["auto", "on", "off"]) -> None:
        self.mode = mode
        self.active = False
        self._graph: Graph | None = None
        self._key: tuple[object, ...] = ()
        self._originals: dict[int, VideoFrame] = {}

    def takes(self, frame: VideoFrame) -> bool:
        """Whether the frame would go through the filter."""
        return self.mode == "on" or (self.mode == "auto" and bool(self.active or frame.interlaced_frame))

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """Give one frame; the frames that are ready. Raises DecodeError."""
        if not self.takes(frame):
            return [frame]
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
        """The frames held back. Frames pushed afterwards start anew."""
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
            time_base=frame.time_base or Fraction(1, 1000),
        )
        deint = "interlaced" if self.mode == "auto" else "all"
        bwdif = graph.add("bwdif", f"mode=send_frame:parity=auto:deint={deint}")
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
            # bwdif halves the time base and doubles every pts.
            pts = (frame.pts or 0) // 2
            for key in [key for key in self._originals if key < pts]:
                del self._originals[key]
            original = self._originals.get(pts)
            frame.pts = pts
            if original is not None:
                frame.duration = original.duration
                frame.time_base = original.time_base or frame.time_base
            ready.append(frame)
        return ready
