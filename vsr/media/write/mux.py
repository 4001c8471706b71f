"""Frames into an encoder, packets into a container: every timestamp as it was given."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any

import av
import av.logging
from av.packet import Packet
from av.video.frame import VideoFrame

from vsr.core.errors import ConfigError, EncodeError, EncoderUnavailableError, FileError
from vsr.files.checks import os_error
from vsr.files.whole import OutputFile
from vsr.media.ffmpeg_log import libav_log
from vsr.media.write.animation import GUESSES_LAST, muxer_options, with_last_duration
from vsr.media.write.captions import takes_captions, with_captions
from vsr.media.write.containers import containers_of
from vsr.media.write.copied_packets import PacketCopier
from vsr.media.write.copy import (
    CopyPlan,
    add_copy,
    attach_cover,
    copy_container_facts,
    describe,
    kept_stream_metadata,
    muxer_reason,
)
from vsr.media.write.matroska import PADDING, TrackElements, amend_tracks
from vsr.media.write.targets import OutputNull, OutputPipe

if TYPE_CHECKING:
    from av.stream import Stream

    from vsr.media.write.video_stream import VideoStreamWriter


Output = OutputFile | OutputPipe | OutputNull

_IO_BYTES = 1 << 18
_FORMAT_TAKES_EQUAL_TIMES = 0x20000  # AVFMT_TS_NONSTRICT
_LATE_S = 0.1
_MAX_MOVIE_TIMESCALE = (1 << 31) - 1


@dataclass(slots=True)
class _LeftOut:
    """Packets of a copied stream that the muxer could make nothing of."""

    what: str
    first_s: float
    reason: str
    count: int = 0


@dataclass(slots=True)
class _Sent:
    """What goes with a picture while the encoder has it, and cannot go through it."""

    pts: int
    duration: int
    captions: bytes | None


class Muxer:
    """One output being written: its encoded video and everything copied beside it."""

    def __init__(self, output: Output, writer: VideoStreamWriter, copied: CopyPlan) -> None:
        """Open the encoder and write the header. Raises ConfigError, EncoderUnavailableError, EncodeError or FileError."""
        self.file = output
        self.writer = writer
        self.carried = writer.carried
        self.video_bytes = 0
        self.warnings: list[str] = []
        self._shift = -self.carried.start_offset
        self._copied = copied
        self._copier: PacketCopier | None = None
        self._sent: dict[int, _Sent] = {}
        self._next = 0
        self._last_pts: int | None = None
        self._span = 0, 0, 0  # where the first and the last frame begin, and the last one's end
        self._streams: dict[int, Stream] = {}
        self._left_out: dict[int, _LeftOut] = {}
        self._begun: set[int] = set()
        # A pipe cannot be gone back in; what it is given is final.
        # Of the formats with a constant rate only AVI numbers its frames.
        self._closes_gaps = writer.container.constant_rate and writer.container.format != "avi"
        self._amends = writer.container.is_matroska and isinstance(output, OutputFile)
        self._open = False
        self._said: list[tuple[int, str, str]] = []
        try:
            self._container = av.open(
                output,
                "w",
                format=writer.container.format,
                container_options=self._muxer_options(),
                buffer_size=_IO_BYTES,
            )
            self._video = writer.add_to(self._container)
            self._add_others()
            with libav_log() as self._said:
                self._container.start_encoding()
        except (ConfigError, EncoderUnavailableError):
            raise
        except (av.FFmpegError, ValueError, OSError) as error:
            raise self._refused(error) from error
        self._open = True
        self._captions = takes_captions(writer.codec)

    def _muxer_options(self) -> dict[str, str]:
        container = self.writer.container
        options = dict(container.muxer_options)
        if container.is_mov:
            # Edit lists, which hold start times, count in the movie's own ticks: they must hit those of all streams.
            scale = self._timescale()
            for stream in self._copied.streams:
                if stream.type == "audio" and stream.time_base:
                    joined = lcm(scale, stream.time_base.denominator)
                    scale = joined if joined <= _MAX_MOVIE_TIMESCALE else scale
            options["movie_timescale"] = str(scale)
        if container.format == "yuv4mpegpipe":
            options["strict"] = "-1"  # more than 8 bits
        tags = self.carried.image_tags
        if tags is not None and tags.plays is not None:
            options |= muxer_options(container.format, tags.plays) or {}
        return options

    def _timescale(self) -> int:
        """MP4's ticks a second for the video: FFmpeg doubles those below 10,000."""
        scale: int = self.writer.time_base.denominator
        while scale < 10000:
            scale *= 2
        return scale

    def _add_others(self) -> None:
        container = self.writer.container
        carried = self.carried
        # Attached files last: Matroska numbers its tracks without them.
        attached = {s.index for s in self._copied.streams if s.type == "attachment"} | set(
            self._copied.covers
        )
        for stream in sorted(self._copied.streams, key=lambda s: s.index in attached):
            if stream.index in self._copied.covers:
                attach_cover(self._container, stream, self._copied.covers[stream.index])
            else:
                copy = self._streams[stream.index] = add_copy(self._container, stream, container)
                if self._amends and stream.type == "audio":
                    copy.metadata["title"] = copy.metadata.get("title", "") + PADDING
        if carried.container is not None:
            self.warnings += copy_container_facts(
                carried.container, self._container, container, self._shift, carried.end
            )
        if carried.stream is not None:
            kept, lost = kept_stream_metadata(dict(carried.stream.metadata), container)
            self._video.metadata.update(kept)
            if lost:
                self.warnings.append(
                    f"video stream metadata {', '.join(sorted(lost))} is left out: {container.format} has no place for it"
                )
            self._video.disposition = carried.stream.disposition
        if self._amends and self.writer.info.sar != 1:
            self._video.metadata["title"] = self._video.metadata.get("title", "") + PADDING
        if self.writer.plan.format.alpha and container.is_matroska:
            self._video.metadata["alpha_mode"] = "1"

    def _refused(self, error: BaseException) -> ConfigError | EncodeError | FileError:
        if self.file.error is not None:
            return os_error(self.file.name.removeprefix("file:"), self.file.error)
        container, plan = self.writer.container, self.writer.plan
        # FFmpeg's error is often no more than "invalid argument": the reason is in its log.
        errors = [line.strip() for level, _, line in self._said if level <= av.logging.ERROR]
        reason = errors[-1].partition(". Set -strict")[0] if errors else muxer_reason(error)
        if isinstance(self.file, OutputPipe) and "non seekable" in reason:
            return ConfigError(
                f"{container.format} cannot be written to standard output, in which there is no going back",
                hint="name the format nut or matroska, or write to a file",
            )
        return ConfigError(
            f"{container.format} cannot hold {self.writer.codec} from encoder {plan.name}: {reason}",
            hint=f"outputs that hold {self.writer.codec} end in {', '.join(containers_of(self.writer.codec)) or '.nut'}",
        )

    def write(self, frame: VideoFrame, captions: bytes | None) -> None:
        """Encode a frame in the encoder's format whose pts and time_base are the source's; mux what comes out."""
        time_base = self.writer.time_base
        assert frame.time_base is not None
        assert frame.pts is not None
        seconds = frame.pts * frame.time_base + self._shift
        if self._copier is None:
            if seconds < 0:
                # No container here begins before zero: all streams move together.
                self._shift -= seconds
                seconds = Fraction(0)
            if self.writer.container.constant_rate and seconds:
                # Frames are numbered there, from the first on. What else there is moves along.
                self._shift -= seconds
                self.warnings.append(
                    f"the video begins at {float(seconds):.3f} s, which {self.writer.container.format} cannot say: "
                    "all streams are moved back by that, and sound before it is left out"
                )
                seconds = Fraction(0)
            self._copier = self._new_copier()
        pts = self._ticks(seconds)
        duration = round((frame.duration or 0) * frame.time_base / time_base)
        number = self._next
        self._span = self._span[0] if number else pts, pts, pts + duration
        self._next += 1
        frame.time_base = self._video.codec_context.time_base
        frame.duration = duration
        frame.pts = number if self.writer.plan.traits.counts_frames else pts
        if self.writer.plan.traits.counts_frames:
            frame.duration = 1
        self._sent[frame.pts] = _Sent(pts, duration, captions)
        self._encode(frame)

    def _new_copier(self) -> PacketCopier:
        """Once it is known where time begins."""
        source = self.carried.container
        # Audio before zero is ours to take care of; what comes from Matroska says it by itself.
        from_matroska = source is not None and "matroska" in source.format.name
        return PacketCopier(
            self._streams,
            self._shift,
            keeps_early_audio=self._amends and not from_matroska,
            strictly_rising=not self._container.format.flags & _FORMAT_TAKES_EQUAL_TIMES,
            from_zero=self.writer.container.constant_rate,
        )

    def _ticks(self, seconds: Fraction) -> int:
        time_base = self.writer.time_base
        exact = seconds / time_base
        pts: int = round(exact)
        if self.writer.container.constant_rate and abs(exact - pts) > Fraction(1, 4):
            raise EncodeError(
                f"{self.writer.container.format} holds a constant frame rate only; frame {self._next} at "
                f"{float(seconds):.3f} s is not on the grid of {self.writer.frame_rate} frames a second",
                hint="write to .mkv or .mp4, which keep variable rates",
            )
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1  # two frames at one time: the encoder takes them in order only
        if self._closes_gaps and self._last_pts is not None and pts > self._last_pts + 1:
            self._closes_gaps = False  # Said once.
            self.warnings.append(
                f"there is a gap before {float(seconds):.3f} s, which {self.writer.container.format} cannot say: what follows "
                "is earlier than it was (.mkv and .mp4 keep it)"
            )
        self._last_pts = pts
        return pts

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            packets = self._video.encode(frame)
            for packet in packets:
                self._mux_video(packet, is_last=frame is None and packet is packets[-1])
            self._mux_copied()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from error
        if self.file.error is not None:
            raise self._failed(self.file.error)

    def _mux_video(self, packet: Packet[Any], *, is_last: bool) -> None:
        sent = self._sent.pop(packet.pts, None) if packet.pts is not None else None
        if self.writer.plan.traits.counts_frames and sent is not None:
            packet.time_base = self.writer.time_base
            packet.pts = packet.dts = sent.pts
        if sent is not None:
            packet.duration = sent.duration
            if sent.captions and self._captions:
                packet = self._changed(packet, with_captions(bytes(packet), sent.captions, self.writer.codec))
        if is_last and self.writer.container.format in GUESSES_LAST:
            begin, last, end = (ticks * self.writer.time_base for ticks in self._span)
            data = with_last_duration(bytes(packet), self.writer.container.format, end - last, end - begin)
            packet = self._changed(packet, data)
        self.video_bytes += packet.size
        self._container.mux_one(packet)

    def _changed(self, packet: Packet[Any], data: bytes) -> Packet[Any]:
        """A packet like that one around other bytes."""
        changed: Packet[Any] = Packet(data)
        changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
        changed.time_base = packet.time_base
        changed.is_keyframe = packet.is_keyframe
        changed.stream = self._video
        return changed

    def _mux_copied(self) -> None:
        if self._copier is None:
            return
        for packet in self.carried.shelf.take_all():
            index, stream = packet.stream_index, packet.stream
            prepared = self._copier.prepared(packet)
            if prepared is None:
                continue
            if self.writer.container.constant_rate and index not in self._begun:
                self._begun.add(index)
                self._tell_late(stream, prepared)
            try:
                self._container.mux_one(prepared)
            except av.FFmpegError as error:
                if self.file.error is not None:
                    raise
                at = float((prepared.pts or prepared.dts or 0) * prepared.time_base)
                left_out = self._left_out.setdefault(
                    index, _LeftOut(describe(stream), at, muxer_reason(error))
                )
                left_out.count += 1
                if self.carried.strict:
                    raise EncodeError(
                        f"{self.carried.name}: damaged packet of {left_out.what} at {at:.3f} s: {left_out.reason}",
                        hint="leave out --strict to skip what is damaged",
                    ) from error

    def _tell_late(self, stream: Stream, first: Packet[Any]) -> None:
        """Say where sound begins after the video: with the frames numbered, so is what is heard."""
        at = float((first.pts or 0) * first.time_base)
        if stream.type == "audio" and at > _LATE_S:
            self.warnings.append(
                f"{describe(stream)} begins {at:.3f} s after the video, which {self.writer.container.format} cannot say: it is "
                "early by that (.mkv and .mp4 keep it)"
            )

    def _failed(self, error: BaseException) -> EncodeError | FileError:
        if self.file.error is not None:
            return os_error(self.file.name.removeprefix("file:"), self.file.error)
        return EncodeError(
            f"writing {self.file.name.removeprefix('file:')} failed after {self._next} frames: {muxer_reason(error)}",
            hint="try another container or encoder" if isinstance(error, av.FFmpegError) else None,
        )

    def close(self) -> None:
        """Drain the encoder and the shelf, write the trailer. Raises EncodeError or FileError; the file is then not whole."""
        if not self._open:
            return
        self._open = False
        if self._copier is None:
            self._copier = self._new_copier()
        if self._next:
            self._encode(None)
        else:
            self._mux_copied()
        for left in self._left_out.values():
            plural = "s" if left.count > 1 else ""
            self.warnings.append(
                f"{left.count} damaged packet{plural} of {left.what} left out, the first at {left.first_s:.3f} s: {left.reason}"
            )
        try:
            self._container.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from error
        if self.file.error is not None:
            raise self._failed(self.file.error)
        if self._amends:
            self._amend()

    def _amend(self) -> None:
        """Write into the Matroska header what its muxer was not told."""
        assert isinstance(self.file, OutputFile)
        assert self._copier is not None
        tracks = {index + 1: TrackElements(delay_s=delay) for index, delay in self._copier.delays.items()}
        if self.writer.info.sar != 1:
            tracks[self._video.index + 1] = TrackElements(sar=self.writer.info.sar)
        self.file.amend(lambda file: amend_tracks(file, tracks))

    def discard(self) -> None:
        """Let go of encoder and container without a trailer; the file must be closed already."""
        self._open = False
        container = getattr(self, "_container", None)
        if container is not None:
            with contextlib.suppress(Exception):
                container.close()
