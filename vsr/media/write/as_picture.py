"""A frame as the samples of a picture: gray, RGB or, for JPEG, YCbCr, made a few rows at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vsr.core.color import ChromaLocation, Color, Range, luma_coefficients
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.planes import av_from_frame, av_name, check_planes, frame_from_av
from vsr.media.frames.resize import Converter
from vsr.media.pictures.files import JPEG, Picture, PictureFormat, Rows


def as_picture(frame: Frame, fmt: PictureFormat, size: tuple[int, int]) -> Picture:
    """The frame, resized to (width, height), in the samples of a picture format.

    Gray stays gray, RGB RGB, alpha stays where the format has it, more than 8 bits become 16 where the format has them. JPEG
    takes YCbCr samples directly, converted to full range and BT.601.
    """
    frame = _resized(frame, size)
    if frame.format.alpha and not fmt.alpha:
        frame = _without_alpha(frame)
    if frame.format.kind == "yuv" and fmt is JPEG:
        return _ycbcr_picture(frame)
    return _picture_of(frame, bits=16 if frame.format.bits > 8 and fmt.bits > 8 else 8)


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    if (frame.width, frame.height) == size:
        return frame
    name = av_name(frame.format)
    resize = Converter(name, (frame.width, frame.height), frame.color, name, size, frame.color)
    result = frame_from_av(resize(av_from_frame(frame)), target=frame.format)
    return replace(result, color=frame.color, side=frame.side)


def _without_alpha(frame: Frame) -> Frame:
    """The frame with its last plane left out."""
    return replace(frame, planes=frame.planes[:-1], format=replace(frame.format, alpha=False))


def _codes(plane: object, fmt: PixelFormat, first: int, end: int) -> Rows:
    rows = np.asarray(plane)[first:end]
    codes: Rows = rows if fmt.bits == 8 else np.ascontiguousarray(rows).view("<u2")
    return codes


def _picture_of(frame: Frame, *, bits: int) -> Picture:
    """A frame as gray or RGB of 8 or 16 bits, made a few rows at a time, each code rounded once."""
    check_planes(frame)
    if frame.format.kind == "yuv":
        frame = _with_full_chroma(frame)
    fmt = frame.format
    channels = fmt.num_planes
    top = (1 << bits) - 1
    kr, kg, kb = luma_coefficients(frame.color.matrix)
    is_full = frame.color.full_range or fmt.kind == "rgb"
    unit = 1 << (fmt.bits - 8)
    black, luma, chroma = (0, fmt.max_code, fmt.max_code) if is_full else (16 * unit, 219 * unit, 224 * unit)
    order = {"rgb": (2, 0, 1), "gray": (0,), "yuv": (0, 1, 2)}[fmt.kind]

    def alpha_rows(first: int, end: int) -> Rows:
        codes = _codes(frame.planes[-1], fmt, first, end)
        return codes if bits == fmt.bits else _rounded(codes * np.float32(top / fmt.max_code), top)

    def rows(first: int, end: int) -> Rows:
        out = np.empty((end - first, frame.width, channels), np.uint8 if bits == 8 else np.uint16)
        planes = [_codes(frame.planes[i], fmt, first, end) for i in order]
        if fmt.kind == "yuv":
            y = (planes[0].astype(np.float32) - black) * np.float32(top / luma)
            middle = np.float32(1 << (fmt.bits - 1))
            u, v = ((p.astype(np.float32) - middle) * np.float32(2 * top / chroma) for p in planes[1:3])
            planes = [y + (1 - kr) * v, y - (kb * (1 - kb) * u + kr * (1 - kr) * v) / kg, y + (1 - kb) * u]
            planes = [_rounded(p, top) for p in planes]
        elif fmt.kind == "gray" and not is_full and frame.color.range is Range.LIMITED:
            planes = [_rounded((planes[0].astype(np.float32) - black) * np.float32(top / luma), top)]
        elif bits != fmt.bits:
            planes = [_rounded(p * np.float32(top / fmt.max_code), top) for p in planes]
        for i, plane in enumerate(planes):
            out[:, :, i] = plane
        if fmt.alpha:
            out[:, :, -1] = alpha_rows(first, end)
        return out

    return Picture(frame.width, frame.height, channels, bits, rows)


def _rounded(values: npt.NDArray[Any], top: int) -> Rows:
    rounded: Rows = np.clip(np.rint(values), 0, top).astype(np.uint8 if top == 255 else np.uint16)
    return rounded


def _with_full_chroma(frame: Frame) -> Frame:
    """Chroma brought to the size of luma, from where it sits."""
    if frame.format.log2_chroma == (0, 0):
        return frame
    target = replace(frame.format, log2_chroma=(0, 0))
    color = replace(frame.color, chroma_location=ChromaLocation.UNSPECIFIED)
    size = frame.width, frame.height
    convert = Converter(av_name(frame.format), size, frame.color, av_name(target), size, color)
    return replace(frame_from_av(convert(av_from_frame(frame)), target=target), color=color)


def _ycbcr_picture(frame: Frame) -> Picture:
    """Full-range BT.601 samples for JPEG: unchanged if they are that already."""
    target = PixelFormat("yuv", 8)
    color = Color(5, frame.color.primaries, frame.color.transfer, Range.FULL)
    given, size = replace(frame, color=_as_bt601(frame.color)), (frame.width, frame.height)
    if frame.format != target or given.color.range is not Range.FULL or given.color.matrix != 5:
        convert = Converter(av_name(frame.format), size, given.color, av_name(target), size, color)
        given = frame_from_av(convert(av_from_frame(given)), target=target)

    def rows(first: int, end: int) -> Rows:
        return np.stack([_codes(plane, target, first, end) for plane in given.planes[:3]], axis=2)

    return Picture(frame.width, frame.height, 3, 8, rows, is_ycbcr=True)


def _as_bt601(color: Color) -> Color:
    """The many names of the BT.601 matrix, and none, made one."""
    return replace(color, matrix=5) if color.matrix in (2, 5, 6) else color
