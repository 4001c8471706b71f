"""Open an output of any kind, and write frames to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vsr.core.color import Color
from vsr.core.errors import EncodeError, VsrError
from vsr.core.frame import Frame, PixelFormat
from vsr.core.video import VideoInfo
from vsr.files.checks import check_writable
from vsr.files.whole import OutputFile
from vsr.media.frames.color import PRIMARIES, TRANSFERS
from vsr.media.frames.planes import av_name
from vsr.media.types import Carried, Sink, SinkCounters, SinkOptions
from vsr.media.write.clock import OutputClock
from vsr.media.write.containers import NULL, STDOUT, Container, container_for
from vsr.media.write.copy_plan import CopyPlan, plan_copy
from vsr.media.write.encodable import Encodable
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.encoder_formats import played_pix_fmt
from vsr.media.write.encoders import EncoderPlan, encoder_named, plan_encoder
from vsr.media.write.endings import EndsOnce
from vsr.media.write.file_encoder import FileEncoder
from vsr.media.write.images import is_picture_output, open_pictures
from vsr.media.write.losses import lost_by_video
from vsr.media.write.mux import Muxer
from vsr.media.write.targets import OutputNull, OutputPipe, Target

# What these hold is for players, most of which take 4:2:0 alone.
_FOR_PLAYERS = frozenset({"mp4", "ipod", "webm"})


def open_sink(url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> Sink:
    """Open an output for frames that `info` describes; what isn't video is copied as `carried` says.

    url: a file whose ending names the container or picture format, a numbered sequence (`out/%06d.png`), `-` for standard
    output (NUT with raw pictures; Y4M where `container_format` is "yuv4mpegpipe") or `null:`, which counts and forgets.
    info: size, format, colour, sample aspect ratio and rotation of the frames `write` will be given, before
    `options.size`; its time_base is the source's.

    Nothing lies under the final name before `finish`. Raises ConfigError for options that cannot work and for outputs that
    exist, EncoderUnavailableError, EncodeError for what the container refuses, and FileError where the system does.
    """
    if is_picture_output(url, info, options):
        return open_pictures(url, options, carried, info)
    if url == NULL and options.encoder is None and options.container_format is None:
        return NullSink()
    return VideoSink(url, options, carried, info)


class NullSink(EndsOnce):
    """Counts frames and forgets them: what a pipeline costs without an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.name = NULL
        self.encoder: str | None = None
        self.counters = SinkCounters()

    def write(self, frame: Frame) -> None:
        self._check_open()
        self.counters.frames += 1

    def _finish(self) -> Path | None:
        return None

    def _keep_part(self) -> Path | None:
        return None

    def _abandon(self) -> None:
        """Nothing was kept."""


class VideoSink(EndsOnce):
    """A video file, pipe or encoded nothing. See `vsr.media.types.Sink`."""

    def __init__(self, url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> None:
        super().__init__()
        self.name = "standard output" if url == STDOUT else url
        self.counters = SinkCounters()
        container = container_for(url, options.container_format)
        if carried.container is not None:
            container = container.holding(carried.container.metadata)
        carried = self._from_zero(carried, container)
        path = None if url in (STDOUT, NULL) else Path(url)
        if path is not None:
            check_writable(path, overwrite=options.overwrite)
        size = options.size or (info.width, info.height)
        self._given = info.width, info.height, info.format
        self._color = info.color
        self._color_told = self._captions_told = False
        self._plan = plan = _plan(container, info, size, options)
        said = (f"{k}={v}" for k, v in plan.options.items() if k not in plan.traits.options)
        self.encoder: str | None = " ".join((plan.name, plan.pix_fmt, *said))
        self._frame_time = 1 / info.frame_rate if info.frame_rate else Fraction(1, 25)
        # The frames' facts, with the size, format and colour they are brought to.
        encoded = replace(info, width=size[0], height=size[1], format=plan.format, color=plan.color)
        encoder = self._encoder = self._opened(container, encoded, carried, options.threads)
        self._encodable = Encodable(plan, size, on_device=encoder.on_device)
        template = encoder.template
        _check_container(container, template, carried)
        copied = plan_copy(
            carried.copied,
            container,
            template.add_to,
            url if path is None else path.name,
            converts=options.convert_streams,
        )
        self.notes += copied.notes
        lost = lost_by_video(plan, template.codec, container, carried, encoded)
        self.warnings += [*plan.warnings, *copied.warnings, *lost]
        self._clock = OutputClock(
            container, encoder.time_base, encoder.frame_rate, carried.start_offset, self.warnings
        )
        self._target: Target = OutputFile(path) if path else OutputPipe() if url == STDOUT else OutputNull()
        try:
            self._muxer = Muxer(self._target, container, template, copied, carried, self.warnings)
        except BaseException:
            self._target.drop()
            raise

    def _from_zero(self, carried: Carried, container: Container) -> Carried:
        """The same, moved to where a file begins, unless the container keeps the clock of a broadcast."""
        if not carried.origin or carried.start_offset or container.keeps_clock:
            return carried
        self.notes.append(
            f"its clock begins at {float(carried.origin):.3f} s: all streams are moved, to begin at 0"
        )
        return replace(carried, start_offset=carried.origin)

    def _opened(self, container: Container, info: VideoInfo, carried: Carried, threads: int) -> FileEncoder:
        """The encoder, on the device where the frames lie if it takes them there."""
        plan = self._plan
        if info.on_device and plan.takes_device_frames:
            try:
                return FileEncoder(plan, container, info, carried, threads=threads, on_device=True)
            except VsrError as error:
                self.warnings.append(f"frames go to {plan.name} through the host: {error.message}")
        return FileEncoder(plan, container, info, carried, threads=threads)

    def write(self, frame: Frame) -> None:
        """Encode one frame and mux what is ready, copied packets included. Raises EncodeError or FileError."""
        self._check_open()
        if (frame.width, frame.height, frame.format) != self._given:
            width, height, fmt = self._given
            raise EncodeError(
                f"got a frame of {frame.width}x{frame.height} {frame.format.name}, "
                f"but {self.name} was opened for {width}x{height} {fmt.name}"
            )
        captions = frame.side.get("a53_cc")
        self._tell_losses(frame, bool(captions))
        if frame.pts is None:
            ticks = round(self.counters.frames * self._frame_time / frame.time_base)
            frame = replace(frame, pts=ticks)
        assert frame.pts is not None
        encodable = self._encodable(frame)
        pts = self._clock.ticks(frame.pts * frame.time_base)
        self._mux(self._encoder.encode(encodable, pts, bytes(captions) if captions else None))
        self.counters.frames += 1

    def _tell_losses(self, frame: Frame, has_captions: bool) -> None:
        """Say once what of the frames is lost that the first one did not show."""
        if has_captions and not self._encoder.takes_captions and not self._captions_told:
            self._captions_told = True
            self.warnings.append(
                f"closed captions are left out: encoder {self._plan.name} has no place for them"
            )
        if not self._color_told and _tags(frame.color) != _tags(self._color):
            self._color_told = True
            self.warnings.append(
                f"primaries or transfer change at frame {self.counters.frames}, to {_tags(frame.color)}: all frames are tagged "
                f"{_tags(self._color)}, as the first"
            )

    def _mux(self, packets: list[Encoded]) -> None:
        """Write packets of the video, and those copied that came meanwhile."""
        for packet in packets:
            self._muxer.mux(packet)
        self._muxer.copy(self._clock.shift)
        self._count()

    def _count(self) -> None:
        self.counters.video_bytes = self._muxer.video_bytes
        self.counters.bytes = self._target.bytes

    def _finish(self) -> Path | None:
        return self._whole(self._target.commit)

    def _keep_part(self) -> Path | None:
        return self._whole(self._target.keep)

    def _whole(self, end: Callable[[], Path | None]) -> Path | None:
        """Drain encoder and shelf, write the trailer, end the target.

        Raises EncodeError or FileError, with nothing left behind.
        """
        try:
            self._mux(self._encoder.flush())
            self._muxer.close()
            self._count()
            return end()
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self._target.drop()
        self._muxer.discard()
        self._encoder.drop()


def _plan(container: Container, info: VideoInfo, size: tuple[int, int], options: SinkOptions) -> EncoderPlan:
    name = options.encoder or container.default_encoder(info.format)
    fmt = info.format
    if container.format == "yuv4mpegpipe" and options.pix_fmt is None:
        # Y4M names few formats: planar YUV and gray.
        wanted = fmt if fmt.kind != "rgb" else PixelFormat("yuv", min(fmt.bits, 12))
        options = replace(options, pix_fmt=av_name(replace(wanted, alpha=False)))
    if fmt.kind == "rgb" and options.pix_fmt is None and container.format in _FOR_PLAYERS:
        options = replace(options, pix_fmt=played_pix_fmt(encoder_named(name), fmt, size))
    return plan_encoder(name, fmt, info.color, size[0], size[1], options)


def _check_container(container: Container, video: Template, carried: Carried) -> None:
    """Raise ConfigError where the container cannot hold the encoder's stream, before anything is created."""
    nothing = OutputNull()
    try:
        muxer = Muxer(nothing, container, video, CopyPlan(), carried, [])
    finally:
        nothing.drop()
    muxer.discard()


def _tags(color: Color) -> str:
    """What is never converted, in FFmpeg's names: primaries and transfer."""
    primaries = PRIMARIES.get(color.primaries, color.primaries)
    return f"{primaries}/{TRANSFERS.get(color.transfer, color.transfer)}"
