"""Frames in the memory of a GPU: from its decoder, and to its encoder."""

from __future__ import annotations

from functools import cache

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext
from av.video.frame import CudaContext, VideoFrame

from vsr.core.color import Color
from vsr.core.cuda import agree_on_context
from vsr.core.errors import ConfigError, EncodeError, reason
from vsr.core.frame import Fetched, Frame, SemiPlanar
from vsr.media.ffmpeg_log import said_during
from vsr.media.frames.color import color_from_av, tag_frame
from vsr.media.frames.planes import av_name, converted, frame_from_av, pixel_format
from vsr.media.rational import fraction

SEMI_PLANAR = {8: "nv12", 10: "p010le"}
"""The formats that stay on a device, by the bits of their 4:2:0 samples."""


def decoding_device(kind: str | None) -> tuple[HWAccel | None, str]:
    """The device to decode on, or None and why not. Raises ConfigError for a kind that this FFmpeg build does not know."""
    if kind is None:
        return None, ""
    known = hwdevices_available()
    if kind not in known:
        raise ConfigError(f"FFmpeg here decodes on no {kind!r}", hint=f"--hwaccel takes: {', '.join(known)}")
    if kind == "cuda":
        agree_on_context()
    try:
        _open_device(kind)
    except (av.FFmpegError, OSError, NotImplementedError) as error:
        return None, f"{kind} not used for decoding: {_missing(kind) or reason(error).lower()}"
    return _accelerator(kind), ""


def _accelerator(kind: str) -> HWAccel:
    # CUDA's frames stay on the GPU: networks and encoders can use them unchanged.
    return HWAccel(kind, allow_software_fallback=True, is_hw_owned=kind == "cuda")


def _open_device(kind: str) -> None:
    """Raises PyAV's errors, which say less about the missing part than FFmpeg's log."""
    _accelerator(kind).create(av.Codec("h264", "r"))


@cache
def _missing(kind: str) -> str:
    """FFmpeg's log about a device that does not open; read once, because there may be many inputs."""
    return next(iter(said_during(_open_device, kind)), "")


def decodes_on_device(accel: HWAccel, context: VideoCodecContext, first: VideoFrame) -> bool:
    """Whether the device really decodes: FFmpeg falls back on the processor where a stream is beyond it, unasked."""
    return context.is_hwaccel and not (accel.is_hw_owned and first.sw_format is None)


def stays_on_device(frame: VideoFrame) -> bool:
    """Whether a frame lies on a device, in a format and of a size that networks take there."""
    even = frame.width % 2 == frame.height % 2 == 0
    return even and frame.sw_format is not None and frame.sw_format.name in SEMI_PLANAR.values()


def on_host(frame: VideoFrame) -> VideoFrame:
    """The same frame in the host's memory, with pts, duration and tags. Raises DecodeError."""
    if frame.sw_format is None:
        return frame
    return converted(frame, av_name(pixel_format(frame.sw_format.name)))


def frame_on_device(frame: VideoFrame, *, index: int = 0, fallback: Color | None = None) -> Frame:
    """Our view of an NV12 or P010 frame, left where it lies; see `vsr.media.frames.planes.frame_from_av`."""
    target = pixel_format((frame.sw_format or frame.format).name)
    color = color_from_av(frame, target, fallback=fallback)
    given = Fetched(lambda: frame_from_av(on_host(frame)).planes)
    luma, chroma = frame.planes
    like = Frame(given, frame.width, frame.height, target, color, frame.pts, frame.duration or 0, index=index)
    like.time_base = fraction(frame.time_base) or like.time_base
    like.on_device = SemiPlanar(luma, chroma)
    return like


class DeviceFrames:
    """Makes frames that lie on a device into those its encoder takes, without a copy."""

    def __init__(self) -> None:
        # One context for all frames: encoders recognize their frames by it.
        self._context = CudaContext(device_id=0, primary_ctx=True)

    def __call__(self, frame: Frame) -> VideoFrame:
        """The frame for the encoder, with pts, duration, time_base and colour set. Raises EncodeError."""
        picture = frame.on_device
        assert picture is not None
        try:
            result = VideoFrame.from_dlpack(
                (picture.luma, picture.chroma),
                format=SEMI_PLANAR[frame.format.bits],
                width=frame.width,
                height=frame.height,
                cuda_context=self._context,
            )
        except (av.FFmpegError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
            raise EncodeError(f"the encoder cannot take a frame from the GPU: {reason(error)}") from error
        tag_frame(result, frame.color)
        result.pts, result.duration, result.time_base = frame.pts, frame.duration, frame.time_base
        return result
