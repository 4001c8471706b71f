"""A live source read on a thread of its own, which can be left behind in a call of FFmpeg that does not return. Another thread
decodes, so that reading never waits and each packet's arrival is known."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.stream import Discard, Stream

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import MediaError, SourceOpenError, stage_failed
from vsr.core.frame import Frame
from vsr.media.closing import close_input
from vsr.media.live.address import Address
from vsr.media.live.backlog import Arrived, Backlog
from vsr.media.live.bridge import Bridge
from vsr.media.live.decoding import Decoding
from vsr.media.live.opening import opened
from vsr.media.live.pace import Pace
from vsr.media.live.refusals import lost_source, refused_source
from vsr.media.live.timeline import TIME_BASE, Timeline
from vsr.media.read.opening import IN_SEGMENTS
from vsr.media.read.streams import choose_stream

if TYPE_CHECKING:
    from av.video.stream import VideoStream

# Demuxers that make the times up: a packet's time of arrival is better.
_TIMELESS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc"})


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame with pts in ticks of the timeline.

    at: from when it could be decoded, on the clock: when the packet came, or was due, that released it. connection: which one
    it came from, 1 for the first.
    """

    frame: Frame
    at: float
    sar: Fraction
    frame_rate: Fraction | None
    has_audio: bool
    connection: int = 1


class Capture:
    """One connection to a source, from opening it to its end.

    on_frame and on_audio are called on the thread that decodes: audio with its time in ticks; `busy` is entered there.
    `heard_at`: the time at which data last came; `seen_at`: the same for pictures.
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
        self.heard_at = self.seen_at = clock.now()
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
        self._is_timeless = False
        self._backlog = Backlog(clock)
        self._decoding: Decoding | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-capture", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Frames decoded."""
        return self._decoding.frames if self._decoding is not None else 0

    @property
    def damaged_packets(self) -> int:
        """Packets that did not decode."""
        return self._decoding.damaged_packets if self._decoding is not None else 0

    @property
    def skipped(self) -> int:
        """Packets of pictures that were not decoded for lack of time."""
        return self._backlog.skipped

    def leave(self) -> None:
        """End it without waiting: no more frames are given, and the thread ends when its call into FFmpeg returns."""
        with self._lock:
            self._left.set()
        self._backlog.leave()
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
        try:
            container = opened(self.address, self._timeout_s, self._url, self._hear)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise self._explained(refused_source(self.address, error, self._timeout_s)) from error
        # Maybe no packet has come yet. FFmpeg's own timeout must come first, or the next connection would find the port taken.
        self._hear()
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
                f"{self.address.redacted}: none of its frames can be decoded",
                hint="check that it plays elsewhere",
            )

    def _url(self) -> str:
        """The URL for FFmpeg, at each attempt."""
        if not self.address.bridged:
            return self.address.url
        with self._lock:
            if self._left.is_set():
                raise TimeoutError
            old, self._bridge = self._bridge, Bridge(self.address.url, reads=True)
        if old is not None:
            old.close()
        return f"pipe:{self._bridge.descriptor}"

    def _hear(self, *, is_video: bool = True) -> float:
        """Something came; now."""
        now = self.heard_at = self._clock.now()
        if is_video:
            self.seen_at = now
        return now

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
        self._is_timeless = container.format.name in _TIMELESS
        lasts = not (self.address.ends or self._is_recorded)
        decoding = self._decoding = Decoding(
            self._backlog,
            video,
            self._give_frame,
            self._give_audio,
            self._busy,
            self._clock,
            barren=f"{self.address.redacted}: its frames can no longer be decoded; its codec may have changed"
            if lasts
            else None,
        )
        try:
            self._put_packets(container, video, audio, decoding)
        except BaseException:
            self._backlog.leave()
            raise
        finally:
            self._backlog.end()
            decoding.join()

    def _put_packets(
        self, container: InputContainer, video: VideoStream, audio: Stream | None, decoding: Decoding
    ) -> None:
        """Into the backlog, with their arrivals, until the source ends, or this is left."""
        pace = Pace(self._clock) if self.address.paced or self._is_recorded else None
        # FFmpeg's own test pictures are not marked as keyframes.
        alone = video.codec_context.codec.intra_only or video.codec_context.name == "wrapped_avframe"
        wanted: list[Stream] = [video] if audio is None else [video, audio]
        for packet in container.demux(*wanted):
            is_video = packet.stream_index == video.index
            at = self._hear(is_video=is_video)
            if self._left.is_set() or decoding.error is not None:
                return
            stamp = packet.dts if packet.dts is not None else packet.pts
            if pace is not None and stamp is not None and packet.time_base and packet.size:
                # A packet that is read after it was due has arrived only now.
                at = max(at, pace.due(stamp * packet.time_base))
                if self._clock.wait(self._left, max(0.0, at - self._clock.now())):
                    return
                self._hear(is_video=is_video)
            if is_video or packet.size:
                begins = packet.is_keyframe or alone
                self._backlog.put(Arrived(packet, "video" if is_video else "audio", at, begins))

    # On the thread that decodes

    def _give_frame(self, frame: Frame, at: float) -> None:
        stamp = None if self._is_timeless or frame.pts is None else frame.pts * frame.time_base
        frame.duration = round(frame.duration * frame.time_base / TIME_BASE)
        frame.time_base = TIME_BASE
        assert self._decoding is not None
        with self._lock:
            if self._left.is_set():
                return
            frame.pts = self._timeline.ticks("video", stamp, at)
            self._on_frame(
                Captured(frame, at, self._decoding.sar, self._decoding.rate, self.has_audio, self._connection)
            )

    def _give_audio(self, frame: AudioFrame, at: float) -> None:
        assert frame.pts is not None
        assert frame.time_base
        with self._lock:
            if not self._left.is_set() and self._on_audio is not None:
                self._on_audio(frame, self._timeline.ticks("audio", frame.pts * frame.time_base, at))
