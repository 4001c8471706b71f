"""Decodes the packets of a live source on a thread of its own. Each frame gets the time at which its packets had arrived."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.frame import AudioFrame

from vsr.core.clock import Clock
from vsr.core.color import Color
from vsr.core.errors import SourceLostError
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.color import color_from_codec, default_chroma_location
from vsr.media.frames.deinterlace import Deinterlacer
from vsr.media.frames.planes import frame_from_av
from vsr.media.live.backlog import Arrived, Backlog
from vsr.media.rational import fraction
from vsr.media.read.streams import frame_rate

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# All live video is converted to a format that every player and encoder accepts.
LIVE_FORMAT = PixelFormat("yuv", 8, (1, 1))

# If a decoder made frames, and then makes none from this number of packets in this time, the source has changed its format.
_BARREN_S = 1.0
_BARREN_PACKETS = 10


class Decoding:
    """Decodes the packets of a backlog until its end. frames, damaged_packets: their numbers so far. error: the error that
    ended it before.

    A frame could be decoded when the packet that released it came. This packet is later than the frame's own if pictures are
    sent in another order than they are shown in (B-frames).
    """

    def __init__(
        self,
        backlog: Backlog,
        video: VideoStream,
        on_video: Callable[[Frame, float], None],
        on_audio: Callable[[AudioFrame, float], None],
        busy: Callable[[], AbstractContextManager[None]],
        clock: Clock,
        *,
        barren: str | None,
    ) -> None:
        """on_video, on_audio: called with a frame, in its stream's own time, and from when it could be decoded. barren: said
        when nothing decodes any more; None where that does not matter.
        """
        self.frames = 0
        self.damaged_packets = 0
        self.error: Exception | None = None
        self._backlog = backlog
        self._decoder = _Decoder(video)
        self.sar = self._decoder.sar
        self.rate = self._decoder.rate
        self._on_video = on_video
        self._on_audio = on_audio
        self._busy = busy
        self._clock = clock
        self._barren = barren
        self._fruitful_at = 0.0
        self._barren_packets = 0
        self._thread = threading.Thread(target=self._run, name="vsr-decode", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end. Raises what ended it."""
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while (arrived := self._backlog.take()) is not None:
                with self._busy():
                    self._video(arrived) if arrived.kind == "video" else self._audio(arrived)
        except Exception as error:
            self.error = error
            self._backlog.leave()

    def _video(self, arrived: Arrived) -> None:
        try:
            frames = self._decoder.frames(arrived.packet)
        except av.FFmpegError:
            self.damaged_packets += 1
            frames = []
        self._check_fruit(bool(frames))
        for decoded in frames:
            self.frames += 1
            frame = frame_from_av(
                decoded, index=self.frames - 1, fallback=self._decoder.color, target=LIVE_FORMAT
            )
            self._on_video(frame, arrived.at)

    def _check_fruit(self, fruitful: bool) -> None:
        """Raise SourceLostError where packets come and none of them decodes any more: a new connection has a new decoder."""
        now = self._clock.now()
        if fruitful:
            self._fruitful_at, self._barren_packets = now, 0
            return
        self._barren_packets += 1
        lasting = self._barren_packets >= _BARREN_PACKETS and now - self._fruitful_at > _BARREN_S
        if lasting and self.frames and self._barren is not None:
            raise SourceLostError(self._barren)

    def _audio(self, arrived: Arrived) -> None:
        try:
            frames = arrived.packet.decode()
        except av.FFmpegError:
            self.damaged_packets += 1
            return
        for frame in frames:
            if isinstance(frame, AudioFrame) and frame.pts is not None and frame.time_base:
                self._on_audio(frame, arrived.at)


class _Decoder:
    """The video's decoder, set to give each frame as early as it can.

    Live code never asks a frame for its side data: that would tie the two together until the garbage collector comes, which
    stops every thread for longer than a frame takes.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        # Each frame thread would hold a frame back. FFmpeg's "low_delay" is not for B-frames: MPEG-2 and MPEG-4 then come out
        # of order, and H.264 and HEVC no earlier.
        self._context.thread_type = "SLICE"
        sar = fraction(stream.sample_aspect_ratio)
        self.sar = sar if sar and sar > 0 else Fraction(1)
        self.rate = frame_rate(stream)
        self.color: Color = color_from_codec(
            self._context, default_chroma_location(LIVE_FORMAT, self._context.name)
        )
        self._deinterlacer = Deinterlacer("auto")

    def frames(self, packet: Packet[Stream]) -> list[VideoFrame]:
        """The frames that a packet releases, in the order they are shown in."""
        found = []
        for frame in self._context.decode(packet if packet.size else None):
            frame.time_base = frame.time_base or packet.time_base
            found += self._deinterlacer.push(frame)
        return found
