"""Frames brought to an encoder's format, size and colour, wherever they are not that already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from av.video.frame import VideoFrame

from vsr.core.color import Range
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.hwaccel import DeviceFrames
from vsr.media.frames.planes import av_from_frame, av_name
from vsr.media.frames.resize import Converter
from vsr.media.palette import Palettes
from vsr.media.write.encoders import EncoderPlan


class Encodable:
    """Converts vsr's frames to the encoder's, and keeps pts, duration and time_base."""

    def __init__(self, plan: EncoderPlan, size: tuple[int, int], *, on_device: bool) -> None:
        """size: width, height. on_device: frames that lie on a GPU as the encoder takes them stay there."""
        self._plan = plan
        self._size = size
        self._device_frames = DeviceFrames() if on_device else None
        self._converter: Converter | None = None
        self._converter_for: tuple[object, ...] = ()
        self._palettes = Palettes() if plan.pix_fmt == "pal8" else None

    def __call__(self, frame: Frame) -> VideoFrame:
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
                self._target(frame),
                self._size,
                plan.color,
            )
            self._converter_for = key
        converted = self._converter(given)
        return paletted(converted, self._palettes) if self._palettes else converted

    def _target(self, frame: Frame) -> str:
        if self._palettes is None:
            return self._plan.pix_fmt
        return "rgba" if frame.format.alpha else "rgb24"


def paletted(frame: VideoFrame, palettes: Palettes) -> VideoFrame:
    """A frame in rgb24 or rgba as one in pal8."""
    found = palettes(np.asarray(frame.to_ndarray(), np.uint8))
    # PyAV takes a palette as alpha, red, green, blue.
    argb = np.ascontiguousarray(found.colours[:, [3, 0, 1, 2]])
    result = VideoFrame.from_ndarray((found.indices, argb), "pal8")  # type: ignore[arg-type]
    result.pts, result.duration = frame.pts, frame.duration
    if frame.time_base:
        result.time_base = frame.time_base
    return result


def _same_color(frame: Frame, plan: EncoderPlan) -> bool:
    """Whether the samples mean the same to both; primaries and transfer are never converted, only tagged."""
    if frame.format.kind == "rgb":
        return True
    full = frame.color.range is Range.FULL, plan.color.range is Range.FULL
    return full[0] == full[1] and (frame.format.kind == "gray" or frame.color.matrix == plan.color.matrix)


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
