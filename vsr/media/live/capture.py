"""A live source read on a thread of its own, which can be left behind in a call of FFmpeg that does not return."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.frame import VideoFrame

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.color import Color
from vsr.core.errors import MediaError, SourceLostError, SourceOpenError, stage_failed
from vsr.core.frame import Frame, PixelFormat
from vsr.media.closing import close_input
from vsr.media.frames.color import color_from_codec, default_chroma_location
from vsr.media.frames.deinterlace import Deinterlacer
from vsr.media.frames.planes import frame_from_av
from vsr.media.live.address import Address
from vsr.media.live.bridge import Bridge
from vsr.media.live.pace import Lag, Pace
from vsr.media.live.refusals import lost_source, refused_source
from vsr.media.live.timeline import TIME_BASE, Timeline
from vsr.media.read.opening import IN_SEGMENTS
from vsr.media.read.streams import choose_stream, frame_rate

if TYPE_CHECKING:
    from av.video.stream import VideoStream

# Everything live is brought to what every player and encoder takes.
LIVE_FORMAT = PixelFormat("yuv", 8, (1, 1))

# Demuxers that make the times up: the time a packet arrived at is better.
_TIMELESS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc"})
_KEPT_ARRIVALS = 256
# Up to this, a packet is late because of the network. A later one has waited for us, and was captured before it arrived.
_UNEVEN_S = 0.5
# Decoding that is this far behind goes on with the next keyframe that is up to date.
_BEHIND_S = 2.0
# A decoder that made frames and then, of so many packets in so long, makes none was made for what the source sent before.
_BARREN_S = 1.0
_BARREN_PACKETS = 10


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame with pts in ticks of the timeline.

    at: when its packet came, or was due, on the clock. connection: which one it came from, 1 for the first.
    """

    frame: Frame
    at: float
    sar: Fraction
    frame_rate: Fraction | None
    has_audio: bool
    connection: int = 1


class Capture:
    """One connection to a source, from opening it to its end.

    on_frame and on_audio are called on its thread: audio with its time in ticks; `busy` is entered while it decodes.
    `heard_at`: when something last came.
    `done` is set at the end, with `error` (None where the source came to its own end).
    """

    def __init__(
        self,
        address: Address,
        timeline: Timeline,
        timeout_s: float,
        on_frame: Callable[[Captured], None],
        on_audio: Callable[[AudioFrame, int], None] | None,
        busy: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        *,
        connection: int = 1,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.address = address
        self.error: BaseException | None = None
        self.done = threading.Event()
        self.heard_at = clock.now()
        self.frames = 0
        self.damaged_packets = 0
        self.skipped = 0
        self.has_audio = False
        self._timeline = timeline
        self._timeout_s = timeout_s
        self._on_frame = on_frame
        self._on_audio = on_audio
        self._busy = busy
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._bridge: Bridge | None = None
        self._is_recorded = False
        self._fruitful_at = 0.0
        self._barren_packets = 0
        self._thread = threading.Thread(target=self._run, name="vsr-capture", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """End it without waiting: no more frames are given, and the thread ends when its call into FFmpeg returns."""
        with self._lock:
            self._left.set()
        if self._bridge is not None:
            self._bridge.close()

    def join(self, timeout_s: float) -> bool:
        """Whether its thread has ended within that time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._read()
        except MediaError as error:
            self.error = error
        except Exception as error:
            self.error = stage_failed("capture", self.frames or None, error)
            self.error.__cause__ = error
        finally:
            if self._bridge is not None:
                self._bridge.close()
            self.done.set()

    def _read(self) -> None:
        began = time.monotonic()
        try:
            container = self._open()
        except (av.FFmpegError, ValueError, OSError) as error:
            if time.monotonic() - began >= self._timeout_s and not isinstance(error, av.HTTPError):
                # Interrupted while it reads an answer, FFmpeg reports invalid data. Its timeout runs on the machine's clock.
                error = TimeoutError()
            raise self._explained(refused_source(self.address, error, self._timeout_s)) from error
        # Nothing may have come yet. FFmpeg's own timeout has to come first, or the next connection would find the port taken.
        self.heard_at = self._clock.now()
        try:
            self._demux(container)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise self._explained(lost_source(self.address, error, self._timeout_s)) from error
        finally:
            close_input(container)
        if self._left.is_set():
            return
        if not self.address.ends and not self._is_recorded:
            raise self._explained(lost_source(self.address, av.EOFError(0, "end of file"), self._timeout_s))
        if not self.frames:
            raise SourceOpenError(
                f"{self.address.redacted}: no frame of it decodes", hint="check that it plays elsewhere"
            )

    def _open(self) -> InputContainer:
        address = self.address
        url = address.url
        if address.bridged:
            self._bridge = Bridge(url, reads=True)
            url = f"pipe:{self._bridge.descriptor}"
        # Its own interrupt, which FFmpeg asks for most waits, though not for all.
        timeout = None if address.paced or address.device else (self._timeout_s, self._timeout_s)
        return av.open(url, "r", format=address.demuxer, options=address.options, timeout=timeout)

    def _explained(self, error: MediaError) -> MediaError:
        if self._bridge is not None and self._bridge.said:
            return type(error)(f"{error.message} ({self._bridge.said})", hint=error.hint)
        return error

    def _demux(self, container: InputContainer) -> None:
        video = choose_stream(container, None, self.address.redacted)
        audio = container.streams.best("audio") if self._on_audio is not None else None
        for stream in container.streams:
            if stream not in (video, audio):
                stream.discard = Discard.all
        self.has_audio = audio is not None
        self._is_recorded = container.format.name in IN_SEGMENTS or bool(
            container.duration and self.address.url.startswith(("http://", "https://"))
        )
        decoder = _Decoder(video)
        paced = self.address.paced or self._is_recorded
        pace = Pace(self._clock) if paced else None
        timeless = container.format.name in _TIMELESS
        lag = None if paced or timeless else Lag()
        wanted: list[Stream] = [video] if audio is None else [video, audio]
        for packet in container.demux(*wanted):
            arrived_at = self._clock.now()
            self.heard_at = arrived_at
            if self._left.is_set():
                return
            is_video = packet.stream_index == video.index
            if packet.size == 0 and not is_video:
                continue
            stamp = packet.dts if packet.dts is not None else packet.pts
            if pace is not None and stamp is not None and packet.time_base and packet.size:
                arrived_at = pace.due(stamp * packet.time_base)
                if self._clock.wait(self._left, max(0.0, arrived_at - self._clock.now())):
                    return
                self.heard_at = self._clock.now()
            if is_video and lag is not None and stamp is not None and packet.time_base and packet.size:
                behind_s = lag.behind_s(stamp * packet.time_base, arrived_at)
                if not decoder.takes(packet, behind_s):
                    self.skipped += 1
                    continue
                arrived_at -= behind_s if behind_s > _UNEVEN_S else 0.0
            with self._busy():
                if is_video:
                    self._video(decoder, packet, arrived_at, timeless)
                else:
                    self._audio(packet, arrived_at)

    def _video(self, decoder: _Decoder, packet: Packet[Stream], arrived_at: float, timeless: bool) -> None:
        try:
            frames = decoder.frames(packet, arrived_at)
        except av.FFmpegError:
            self.damaged_packets += 1
            frames = []
        self._check_fruit(bool(frames))
        for decoded, at in frames:
            self.frames += 1
            frame = frame_from_av(decoded, index=self.frames - 1, fallback=decoder.color, target=LIVE_FORMAT)
            told = not timeless and frame.pts is not None
            stamp = (frame.pts or 0) * frame.time_base if told else None
            frame.duration = round(frame.duration * frame.time_base / TIME_BASE)
            frame.time_base = TIME_BASE
            with self._lock:
                if self._left.is_set():
                    return
                frame.pts = self._timeline.ticks("video", stamp, at)
                self._on_frame(
                    Captured(frame, at, decoder.sar, decoder.rate, self.has_audio, self._connection)
                )

    def _check_fruit(self, fruitful: bool) -> None:
        """Raise SourceLostError where packets come and none of them decodes any more: a new connection has a new decoder."""
        now = self._clock.now()
        if fruitful:
            self._fruitful_at, self._barren_packets = now, 0
            return
        self._barren_packets += 1
        lasting = self._barren_packets >= _BARREN_PACKETS and now - self._fruitful_at > _BARREN_S
        if lasting and self.frames and not (self.address.ends or self._is_recorded):
            where = self.address.redacted
            raise SourceLostError(f"{where}: nothing of it decodes any more; its codec may have changed")

    def _audio(self, packet: Packet[Stream], arrived_at: float) -> None:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self.damaged_packets += 1
            return
        for frame in frames:
            if not isinstance(frame, AudioFrame) or frame.pts is None or frame.time_base is None:
                continue
            with self._lock:
                if self._left.is_set() or self._on_audio is None:
                    return
                stamp = frame.pts * frame.time_base
                self._on_audio(frame, self._timeline.ticks("audio", stamp, arrived_at))


class _Decoder:
    """The video's decoder, set to give each frame as early as it can.

    Nobody here asks a frame for its side data: that would tie the two together until the garbage collector comes, which
    stops every thread for longer than a frame takes.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        # Threads on frames would hold as many of them back.
        self._context.thread_type = "SLICE"
        self._context.flags |= int(Flags.low_delay)
        sar = stream.sample_aspect_ratio
        self.sar = sar if sar and sar > 0 else Fraction(1)
        self.rate = frame_rate(stream)
        self.color: Color = color_from_codec(
            self._context, default_chroma_location(LIVE_FORMAT, self._context.name)
        )
        self._deinterlacer = Deinterlacer("auto")
        self._arrivals: dict[int, float] = {}
        self._skips = False

    def takes(self, packet: Packet[Stream], behind_s: float) -> bool:
        """Whether it is worth decoding, or the decoder too far behind."""
        if self._skips:
            self._skips = not packet.is_keyframe or behind_s > _UNEVEN_S
        elif behind_s > _BEHIND_S:
            self._skips = True
        return not self._skips

    def frames(self, packet: Packet[Stream], arrived_at: float) -> list[tuple[VideoFrame, float]]:
        """The frames that a packet completes, each with the time its own packet arrived at."""
        if packet.pts is not None:
            self._arrivals[packet.pts] = arrived_at
            while len(self._arrivals) > _KEPT_ARRIVALS:
                del self._arrivals[next(iter(self._arrivals))]
        found = []
        for frame in self._context.decode(packet if packet.size else None):
            frame.time_base = frame.time_base or packet.time_base
            at = self._arrivals.pop(frame.pts, arrived_at) if frame.pts is not None else arrived_at
            found += [(ready, at) for ready in self._deinterlacer.push(frame)]
        return found
