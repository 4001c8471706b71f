"""The encoder of an output: opened with everything it is to be told, and what it says when it refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import av
import av.logging
from av.codec.hwaccel import HWAccel
from av.stream import Disposition

from vsr.core.errors import ConfigError, EncoderUnavailableError, reason
from vsr.core.video import VideoInfo
from vsr.media.ffmpeg_log import libav_log
from vsr.media.frames.color import apply_color
from vsr.media.frames.hwaccel import SEMI_PLANAR
from vsr.media.frames.side_data import display_matrix
from vsr.media.write.containers import Container, output_time_base
from vsr.media.write.copy import MPEGTS_CODECS
from vsr.media.write.encoders import EncoderPlan, frame_rate_or_default, merged
from vsr.media.write.hdr_params import hdr_options

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from vsr.media.types import Carried

_FRAME_DURATION = 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION
_QSCALE = 1 << 1  # AV_CODEC_FLAG_QSCALE


class VideoStreamWriter:
    """The encoder, and the output stream its packets go to. Use `add_to` for a container, once each."""

    def __init__(
        self, plan: EncoderPlan, container: Container, info: VideoInfo, carried: Carried, threads: int
    ) -> None:
        self.plan = plan
        self.container = container
        self.info = info
        self.carried = carried
        self.threads = threads
        rate = info.frame_rate
        self.frame_rate = frame_rate_or_default(rate)
        self.time_base = output_time_base(container, info.time_base, self.frame_rate)
        self.codec = av.Codec(plan.name, "w").canonical_name
        # NVENC takes frames where they lie.
        there = info.on_device and plan.name.endswith("_nvenc") and plan.format.log2_chroma == (1, 1)
        self.device_format = SEMI_PLANAR.get(plan.format.bits) if there else None
        if container.format == "mpegts" and self.codec not in MPEGTS_CODECS:
            raise ConfigError(
                f"mpegts cannot hold {self.codec} from encoder {plan.name}: no stream type for that codec",
                hint="use libx264 or libx265, or an output ending in .mkv",
            )

    def options(self) -> dict[str, str]:
        """All options of the encoder, those of the user over ours."""
        options = dict(self.plan.options)
        hdr = hdr_options(self.plan.name, self.carried.mastering_display, self.carried.content_light)
        if hdr:
            options = merged(hdr, options)
        if not self.container.b_frames:
            options.setdefault("bf", "0")
        return options

    def add_to(self, output: OutputContainer) -> VideoStream:
        """Add the stream to a container, opened and ready. Raises what PyAV raises, or ConfigError for unknown options."""
        plan, info = self.plan, self.info
        device = HWAccel("cuda", options={"primary_ctx": "1"}) if self.device_format else None
        try:
            stream = cast("VideoStream", output.add_stream(plan.name, rate=self.frame_rate, hwaccel=device))
        except (av.FFmpegError, NotImplementedError) as error:
            if device is None:
                raise
            raise EncoderUnavailableError(f"{plan.name} finds no GPU: {reason(error)}") from error
        context = stream.codec_context
        context.width, context.height = info.width, info.height
        context.pix_fmt = self.device_format or plan.pix_fmt
        context.time_base = 1 / self.frame_rate if plan.traits.counts_frames else self.time_base
        stream.time_base = self.time_base
        context.framerate = self.frame_rate
        if self.container.sar:
            context.sample_aspect_ratio = info.sar
        apply_color(context, plan.color, plan.format)
        context.flags |= _FRAME_DURATION
        context.thread_type = "AUTO"
        context.thread_count = self.threads
        if plan.bitrate is not None:
            context.bit_rate = plan.bitrate
        if plan.qscale is not None:
            context.flags |= _QSCALE
            if plan.qscale == int(plan.qscale):
                context.global_quality = int(plan.qscale)
        if self.container.is_mov and self.codec == "hevc":
            context.codec_tag = "hvc1"  # the tag Apple's players insist on
        if (info.rotation or info.mirrored) and self.container.rotation:
            stream.set_display_matrix(display_matrix(info.rotation, info.mirrored))
        asked = {**context.options, **self.options()}
        context.options = asked
        said = self._opened(context, asked)
        left = [*sorted(context.options), *said]
        if left:
            raise ConfigError(
                f"encoder {plan.name} has no option {', '.join(repr(name) for name in left)}",
                hint=f"its own options: {', '.join(o.name for o in context.supported_options.private) or 'none'}",
            )
        stream.disposition = Disposition.default
        return stream

    def _opened(self, context: VideoCodecContext, asked: dict[str, str]) -> list[str]:
        """Open the encoder; returns options inside its `-params` list that it complained of and went on without."""
        lines: list[str] = []
        with libav_log() as logs:
            try:
                context.open()
            except (av.FFmpegError, ValueError, OSError, MemoryError) as error:
                lines = [line for _, _, line in logs]
                raise self._open_error(error, asked, lines) from error
            lines = [line for _, _, line in logs]
        found = (re.search(r"(?:Error parsing option|Unknown option:?) '?([\w-]+)", line) for line in lines)
        return [match[1] for match in found if match]

    def _open_error(
        self, error: BaseException, asked: dict[str, str], log: list[str]
    ) -> EncoderUnavailableError | ConfigError:
        plan = self.plan
        why = "; ".join(line.strip() for line in log[:2]) or reason(error)
        if plan.name.endswith(("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi")):
            return EncoderUnavailableError(
                f"encoder {plan.name} cannot run on this machine: {why}",
                hint="use libx264 or libx265 instead",
            )
        told = {key: value for key, value in asked.items() if key != "chroma_sample_location"}
        return ConfigError(
            f"encoder {plan.name} refuses {self.info.width}x{self.info.height} {plan.pix_fmt} "
            f"with {' '.join(f'{k}={v}' for k, v in told.items()) or 'no options'}: {why}",
            hint="check its options, the size and the pixel format",
        )


def video_info(info: VideoInfo, plan: EncoderPlan, size: tuple[int, int]) -> VideoInfo:
    """What the encoder is told of the video: the frames' facts with the size, format and colour they are brought to."""
    return replace(info, width=size[0], height=size[1], format=plan.format, color=plan.color)
