"""Open an output of any kind, and write frames to it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame

from vsr.core.color import Color, Range
from vsr.core.errors import EncodeError, VsrError
from vsr.core.frame import Frame, PixelFormat
from vsr.core.video import VideoInfo
from vsr.files.checks import check_writable
from vsr.files.whole import OutputFile
from vsr.media.frames.color import PRIMARIES, TRANSFERS
from vsr.media.frames.hwaccel import DeviceFrames
from vsr.media.frames.planes import av_from_frame, av_name
from vsr.media.frames.resize import Converter
from vsr.media.types import Carried, Sink, SinkCounters, SinkOptions
from vsr.media.write.animation import muxer_options
from vsr.media.write.captions import takes_captions
from vsr.media.write.containers import NULL, STDOUT, Container, container_for
from vsr.media.write.copy import CopyPlan, plan_copy
from vsr.media.write.encoders import EncoderPlan, plan_encoder
from vsr.media.write.hdr_params import hdr_options
from vsr.media.write.images import ImageSink, is_image_output
from vsr.media.write.mux import Muxer, Output
from vsr.media.write.targets import OutputNull, OutputPipe
from vsr.media.write.video_stream import VideoStreamWriter, video_info

# Of matrix, primaries and transfer.
_UNSPECIFIED = 2
# Codecs whose streams say what colours the samples stand for.
_TELLS_COLOR = frozenset("h264 hevc av1 vp9 mpeg2video".split())
# Codecs whose streams do not say the shape of a sample.
_NO_SAR = frozenset(
    "vp8 vp9 av1 prores utvideo huffyuv ffvhuff qtrle png rawvideo magicyuv jpeg2000 cfhd".split()
)


def open_sink(url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> Sink:
    """Open an output for frames that `info` describes; what isn't video is copied as `carried` says.

    url: a file whose ending names the container or picture format, a numbered sequence (`out/%06d.png`), `-` for standard
    output (NUT with raw pictures; Y4M where `container_format` is "yuv4mpegpipe") or `null:`, which counts and forgets.
    info: size, format, colour, sample aspect ratio and rotation of the frames `write` will be given, before
    `options.size`; its time_base is the source's.

    Nothing lies under the final name before `finish`. Raises ConfigError for options that cannot work and for outputs that
    exist, EncoderUnavailableError, EncodeError for what the container refuses, and FileError where the system does.
    """
    if is_image_output(url, info, options):
        return ImageSink(url, options, carried, info)
    if url == NULL and options.encoder is None and options.container_format is None:
        return NullSink()
    return VideoSink(url, options, carried, info)


class NullSink:
    """Counts frames and forgets them: what a pipeline costs without an encoder."""

    def __init__(self) -> None:
        self.name = NULL
        self.encoder: str | None = None
        self.warnings: list[str] = []
        self.counters = SinkCounters()

    def write(self, frame: Frame) -> None:
        self.counters.frames += 1

    def finish(self) -> Path | None:
        return None

    def keep_part(self) -> Path | None:
        return None

    def abandon(self) -> None:
        """Nothing was kept."""


class VideoSink:
    """A video file, pipe or encoded nothing. See `vsr.media.types.Sink`."""

    def __init__(self, url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> None:
        self.name = "standard output" if url == STDOUT else url
        self.counters = SinkCounters()
        self.warnings: list[str] = []
        self._ended = False
        container = container_for(url, options.container_format)
        path = None if url in (STDOUT, NULL) else Path(url)
        if path is not None:
            check_writable(path, overwrite=options.overwrite)
        self._size = size = options.size or (info.width, info.height)
        self._given = info.width, info.height, info.format
        self._color = info.color
        self._color_told = False
        self._plan = plan = _plan(container, info, size, options)
        said = (f"{k}={v}" for k, v in plan.options.items() if k not in plan.traits.options)
        self.encoder: str | None = " ".join((plan.name, plan.pix_fmt, *said))
        self._frame_time = 1 / info.frame_rate if info.frame_rate else Fraction(1, 25)
        self._converter: Converter | None = None
        self._converter_for: tuple[object, ...] = ()
        encoded = video_info(info, plan, size)
        writer = VideoStreamWriter(plan, container, encoded, carried, options.threads)
        try:
            _check_video(writer, container)
        except VsrError as error:
            if not writer.device_format:
                raise
            writer.device_format = None
            _check_video(writer, container)
            self.warnings.append(f"frames go to {plan.name} through the host: {error.message}")
        self._device_frames = DeviceFrames() if writer.device_format else None
        copied = plan_copy(carried.copied, container, writer.add_to, url if path is None else path.name)
        self.warnings += [*plan.warnings, *copied.warnings, *_lost(writer, container, carried, encoded)]
        self._file: Output
        self._file = OutputFile(path) if path else OutputPipe() if url == STDOUT else OutputNull()
        try:
            self._muxer = Muxer(self._file, writer, copied)
        except BaseException:
            self._file.drop()
            raise
        self.warnings += self._muxer.warnings
        self._muxer.warnings = self.warnings  # What it finds later is told too.
        self._captions_kept = takes_captions(writer.codec)
        self._captions_told = False

    def write(self, frame: Frame) -> None:
        """Encode one frame and mux what is ready, copied packets included. Raises EncodeError or FileError."""
        if self._ended:
            raise EncodeError(f"{self.name} is closed already")
        if (frame.width, frame.height, frame.format) != self._given:
            width, height, fmt = self._given
            raise EncodeError(
                f"got a frame of {frame.width}x{frame.height} {frame.format.name}, "
                f"but {self.name} was opened for {width}x{height} {fmt.name}"
            )
        captions = frame.side.get("a53_cc")
        if captions and not self._captions_kept and not self._captions_told:
            self._captions_told = True
            self.warnings.append(
                f"closed captions are left out: encoder {self._plan.name} has no place for them"
            )
        if not self._color_told and _told(frame.color) != _told(self._color):
            self._color_told = True
            self.warnings.append(
                f"primaries or transfer change at frame {self.counters.frames}, to {_told(frame.color)}: all frames are tagged "
                f"{_told(self._color)}, as the first"
            )
        if frame.pts is None:
            ticks = round(self.counters.frames * self._frame_time / frame.time_base)
            frame = replace(frame, pts=ticks)
        self._muxer.write(self._encodable(frame), bytes(captions) if captions else None)
        self.counters.frames += 1
        self.counters.video_bytes = self._muxer.video_bytes
        self.counters.bytes = self._file.bytes

    def _encodable(self, frame: Frame) -> VideoFrame:
        plan = self._plan
        if frame.format.kind == "gray" and plan.format.kind == "yuv":
            frame = gray_as_yuv(frame, plan.format)
        name = av_name(frame.format)
        direct = frame.format == plan.format and _same_color(frame, plan)
        direct = direct and (frame.width, frame.height) == self._size
        if direct and self._device_frames and frame.on_device:
            return self._device_frames(frame)
        if direct and name == plan.pix_fmt:
            return av_from_frame(frame, plan.pix_fmt)
        given = av_from_frame(frame)
        key = (given.format.name, frame.width, frame.height, frame.color)
        if self._converter is None or key != self._converter_for:
            self._converter = Converter(
                given.format.name,
                (frame.width, frame.height),
                frame.color,
                plan.pix_fmt,
                self._size,
                plan.color,
            )
            self._converter_for = key
        return self._converter(given)

    def finish(self) -> Path | None:
        """Drain encoder and shelf, write the trailer, make it last, rename.

        Raises EncodeError or FileError, with nothing left behind.
        """
        if self._ended:
            return None
        self._ended = True
        try:
            self._muxer.close()
            self._count()
            return self._file.commit()
        except BaseException:
            self._drop()
            raise

    def keep_part(self) -> Path | None:
        """Drain and write the trailer; the file plays, and stays under its `.part` name."""
        if self._ended:
            return None
        self._ended = True
        try:
            self._muxer.close()
            self._count()
            return self._file.keep()
        except BaseException:
            self._drop()
            raise

    def abandon(self) -> None:
        """Delete what was written."""
        if not self._ended:
            self._ended = True
            self._drop()

    def _count(self) -> None:
        self.counters.video_bytes = self._muxer.video_bytes
        self.counters.bytes = self._file.bytes

    def _drop(self) -> None:
        self._file.drop()
        self._muxer.discard()


def _plan(container: Container, info: VideoInfo, size: tuple[int, int], options: SinkOptions) -> EncoderPlan:
    name = options.encoder or container.default_encoder(info.format)
    fmt = info.format
    if container.format == "yuv4mpegpipe" and options.pix_fmt is None:
        # Y4M names few formats: planar YUV and gray.
        wanted = fmt if fmt.kind != "rgb" else PixelFormat("yuv", min(fmt.bits, 12))
        options = replace(options, pix_fmt=av_name(replace(wanted, alpha=False)))
    return plan_encoder(name, fmt, info.color, size[0], size[1], options)


def _check_video(writer: VideoStreamWriter, container: Container) -> None:
    """Raise ConfigError where the container cannot take the encoder's stream, before anything is created."""
    muxer = None
    nothing = OutputNull()
    try:
        muxer = Muxer(nothing, writer, CopyPlan())
    finally:
        nothing.drop()
        if muxer is not None:
            muxer.discard()


def _lost(writer: VideoStreamWriter, container: Container, carried: Carried, info: VideoInfo) -> list[str]:
    """Sentences for what of the video, beside its samples, the output cannot hold."""
    lost = []
    plan = writer.plan
    if (info.rotation or info.mirrored) and not container.rotation:
        lost.append(f"rotation by {info.rotation} degrees is left out: {container.format} cannot hold it")
    if info.sar != 1 and (not container.sar or (container.takes_sar_from_codec and writer.codec in _NO_SAR)):
        lost.append(
            f"the sample aspect ratio {info.sar} is left out: {container.format} cannot hold it with {writer.codec}"
        )
    if plan.format.kind != "rgb" and not container.tags_color and writer.codec not in _TELLS_COLOR:
        told = (plan.color.primaries, plan.color.transfer, plan.color.matrix)
        if plan.color.full_range or set(told) != {_UNSPECIFIED}:
            lost.append(
                f"matrix, range and the like are left out, and players will guess them: {container.format} cannot hold "
                f"them with {writer.codec}"
            )
    plays = carried.image_tags.plays if carried.image_tags else None
    if plays not in (None, 1) and muxer_options(container.format, 1) is None:
        often = f"{plays} times" if plays else "endlessly"
        lost.append(f"that it plays {often} is left out: {container.format} has no place for it")
    if hdr_options(plan.name, carried.mastering_display, carried.content_light) is None:
        lost.append(
            f"mastering display and content light metadata are left out: encoder {plan.name} cannot write them"
        )
    if carried.image_tags and carried.image_tags.icc_profile:
        lost.append("the ICC profile is left out: videos carry colour tags only")
    return lost


def _same_color(frame: Frame, plan: EncoderPlan) -> bool:
    """Whether the samples mean the same to both; primaries and transfer are never converted, only told."""
    if frame.format.kind == "rgb":
        return True
    full = frame.color.range is Range.FULL, plan.color.range is Range.FULL
    return full[0] == full[1] and (frame.format.kind == "gray" or frame.color.matrix == plan.color.matrix)


def _told(color: Color) -> str:
    """What is never converted, in FFmpeg's names: primaries and transfer."""
    primaries = PRIMARIES.get(color.primaries, color.primaries)
    return f"{primaries}/{TRANSFERS.get(color.transfer, color.transfer)}"


def gray_as_yuv(frame: Frame, like: PixelFormat) -> Frame:
    """A gray frame with chroma planes that say "no colour", subsampled as `like` is; swscale would stretch its range."""
    fmt = PixelFormat("yuv", frame.format.bits, like.log2_chroma, frame.format.alpha)
    width, height = fmt.plane_size(1, frame.width, frame.height)
    if fmt.bits == 8:
        neutral = np.full((height, width), 128, np.uint8)
    else:
        neutral = np.full((height, width), 1 << (fmt.bits - 1), "<u2").view(np.uint8)
    planes = [frame.planes[0], neutral, neutral, *frame.planes[1:]]
    return replace(frame, planes=planes, format=fmt)
