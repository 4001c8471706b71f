"""A video encoder: opened with all of its options, then frames in and packets out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vsr.core.errors import ConfigError, EncodeError, EncoderUnavailableError, reason
from vsr.media.ffmpeg_log import said_during
from vsr.media.frames.color import apply_color
from vsr.media.write.encoded import nowhere
from vsr.media.write.encoders import EncoderPlan

# The settings that decide whether an encoder opens, beside its options.
_SETTINGS = (
    "width", "height", "pix_fmt", "time_base", "framerate", "sample_aspect_ratio", "flags", "global_quality", "max_b_frames",
    "gop_size", "colorspace", "color_primaries", "color_trc", "color_range",
)  # fmt: skip
_UNKNOWN = re.compile(r"(?:Error parsing option|Unknown option:?) '?([\w-]+)")
# If this encoder is freed before its end, it encodes all frames it has, while PyAV holds the interpreter's lock: 11 s for 60
# frames in 4K. Other encoders only finish the frames in progress.
_WORKS_OFF = frozenset({"libsvtav1"})
_ON_DEVICES = ("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi")


class VideoEncoder:
    """An encoder for frames of one size. Settings that are not in the plan are set on `context` before `open`.

    A `Template` is made from `stream`, which has the encoder's parameters once it is open.
    """

    def __init__(
        self,
        plan: EncoderPlan,
        size: tuple[int, int],
        frame_rate: Fraction,
        time_base: Fraction,
        *,
        device: HWAccel | None = None,
    ) -> None:
        """size: width, height. time_base: of the frames. device: where the frames lie, None for the host's memory.

        Raises EncoderUnavailableError where there is no such device.
        """
        self.plan = plan
        self.frames = 0
        self._on_device = device is not None
        self._nowhere = nowhere()
        try:
            stream = self._nowhere.add_stream(plan.name, rate=frame_rate, hwaccel=device)
        except (av.FFmpegError, NotImplementedError) as error:
            if device is None:
                raise
            raise EncoderUnavailableError(f"{plan.name} finds no GPU: {reason(error)}") from error
        self.stream = cast(VideoStream, stream)
        context = self.context
        context.width, context.height = size
        context.pix_fmt = plan.pix_fmt
        context.time_base, context.framerate = time_base, frame_rate
        apply_color(context, plan.color, plan.format)
        if plan.bitrate is not None:
            context.bit_rate = plan.bitrate
        if plan.qscale is not None:
            context.flags |= int(Flags.qscale)
            if plan.qscale == int(plan.qscale):
                context.global_quality = int(plan.qscale)

    @property
    def context(self) -> VideoCodecContext:
        return self.stream.codec_context

    def open(self, options: Mapping[str, str], *, global_header: bool) -> None:
        """Open it with FFmpeg's options. Raises EncoderUnavailableError, or ConfigError for options that it refuses or does not
        know.

        global_header: put parameter sets into the stream's parameters only.
        """
        context = self.context
        if global_header:
            context.flags |= int(Flags.global_header)
        asked = {**context.options, **options}
        context.options = asked
        settings = {name: getattr(context, name) for name in _SETTINGS}
        settings["bit_rate"] = context.bit_rate or 0
        again = _opened, self.plan.name, settings, asked, self._on_device
        try:
            context.open()
        except (av.FFmpegError, ValueError, OSError, MemoryError) as error:
            raise self._refused(error, asked, said_during(*again)) from error
        # The encoder removes options that it knows. It logs unknown entries of a list, and continues.
        unknown = sorted(context.options)
        if self.plan.has_list:
            unknown += _UNKNOWN.findall("\n".join(said_during(*again)))
        if unknown:
            own = ", ".join(option.name for option in context.supported_options.private)
            raise ConfigError(
                f"encoder {self.plan.name} has no option {', '.join(map(repr, unknown))}",
                hint=f"its own options: {own or 'none'}",
            )
        self._nowhere.start_encoding()

    def _refused(
        self, error: BaseException, asked: Mapping[str, str], said: list[str]
    ) -> EncoderUnavailableError | ConfigError:
        plan, context = self.plan, self.context
        why = "; ".join(said[:2]) or reason(error)
        if plan.name.endswith(_ON_DEVICES):
            return EncoderUnavailableError(
                f"encoder {plan.name} cannot run on this machine: {why}",
                hint="use libx264 or libx265 instead",
            )
        options = " ".join(f"{k}={v}" for k, v in asked.items() if k != "chroma_sample_location")
        return ConfigError(
            f"encoder {plan.name} refuses {context.width}x{context.height} {plan.pix_fmt} "
            f"with {options or 'no options'}: {why}",
            hint="check its options, the size and the pixel format",
        )

    def encode(self, frame: VideoFrame) -> list[Packet[Any]]:
        """Packets that are ready after a frame whose pts is in the encoder's time_base. Raises EncodeError."""
        self.frames += 1
        return self._packets(frame)

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that the encoder still holds, and end it. Raises EncodeError."""
        return self._packets(None)

    def close(self) -> None:
        """Let go of an encoder that has ended, once nobody reads `stream` any more. PyAV's container and its stream hold each
        other, so its memory, 150 MB for x264 in 1080p, would stay until Python's collector comes."""
        self._nowhere.close()

    def drop(self) -> None:
        """Drop the frames that the encoder holds, so that freeing it waits for little: see `_WORKS_OFF`."""
        if self.plan.name in _WORKS_OFF and self.frames:
            with contextlib.suppress(EncodeError):
                self.flush()

    def _packets(self, frame: VideoFrame | None) -> list[Packet[Any]]:
        try:
            return list(self.stream.encode(frame))
        except (av.FFmpegError, ValueError, OSError) as error:
            raise EncodeError(
                f"encoder {self.plan.name} failed after {self.frames} frames: {reason(error)}",
                hint="try another encoder",
            ) from error


def _opened(name: str, settings: Mapping[str, Any], options: Mapping[str, str], on_device: bool) -> None:
    """Open such an encoder once more."""
    device = HWAccel("cuda", options={"primary_ctx": "1"}) if on_device else None
    context = nowhere().add_stream(name, hwaccel=device).codec_context
    for attribute, value in settings.items():
        if value is not None:
            setattr(context, attribute, value)
    context.options = dict(options)
    context.thread_count = 1
    context.open()
