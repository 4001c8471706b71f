"""FFmpeg frames and ours, one made from the other; decoded planes are seen where they lie, without a copy."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from vsr.core.color import ChromaLocation, Color
from vsr.core.errors import DecodeError, EncodeError, reason
from vsr.core.frame import Frame, PixelFormat, Plane
from vsr.media.frames.color import color_after, color_from_av, tag_frame
from vsr.media.rational import fraction

Bytes = npt.NDArray[np.uint8]

_CHROMA = {"410": (2, 2), "411": (2, 0), "420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}


def _tables() -> tuple[dict[str, PixelFormat], dict[PixelFormat, str]]:
    """(formats by FFmpeg's names, for each FFmpeg format that lies in memory as one of ours; FFmpeg's name of each of ours)."""
    candidates: list[tuple[str, PixelFormat]] = []
    for bits in (8, 9, 10, 12, 14, 16):
        depth = "" if bits == 8 else f"{bits}le"
        for alpha in (False, True):
            a = "a" if alpha else ""
            candidates.append((f"gbr{a}p{depth}", PixelFormat("rgb", bits, alpha=alpha)))
            for name, chroma in _CHROMA.items():
                candidates.append((f"yuv{a}{name}p{depth}", PixelFormat("yuv", bits, chroma, alpha)))
        candidates.append((f"gray{depth}", PixelFormat("gray", bits)))
    known = {name: fmt for name, fmt in candidates if _exists(name)}
    names = {fmt: name for name, fmt in known.items()}
    names[PixelFormat("gray", 8, alpha=True)] = "ya8"
    names[PixelFormat("gray", 16, alpha=True)] = "ya16le"
    for name, chroma in _CHROMA.items():
        if _exists(f"yuvj{name}p"):
            known[f"yuvj{name}p"] = PixelFormat("yuv", 8, chroma)
    return known, names


def _exists(name: str) -> bool:
    try:
        VideoFormat(name)
    except ValueError:
        return False
    return True


_PLANAR, _NAMES = _tables()
_GRAY_ALPHA = {"ya8": 8, "ya16le": 16, "ya16be": 16}
# vsr has no float formats; float samples become 16 bits, which hold the values from 0 to 1.
_FLOAT = ("f16", "f32")


@lru_cache(maxsize=256)
def pixel_format(av_name: str) -> PixelFormat:
    """vsr's format for frames of FFmpeg's `av_name`: the same, or the nearest that holds all of it.

    Raises DecodeError for formats that live on a device or are unknown.
    """
    if av_name in _PLANAR:
        return _PLANAR[av_name]
    if av_name in _GRAY_ALPHA:
        return PixelFormat("gray", _GRAY_ALPHA[av_name], alpha=True)
    try:
        fmt = VideoFormat(av_name, 64, 64)
    except ValueError:
        raise DecodeError(f"unknown pixel format {av_name}") from None
    components = fmt.components
    if not components:
        raise DecodeError(f"pixel format {av_name} lies in device memory", hint="decode in software instead")
    is_float = any(mark in av_name for mark in _FLOAT)
    bits = 16 if is_float else max(c.bits for c in components)
    if fmt.has_palette:
        return PixelFormat("rgb", 8, alpha=True)
    if fmt.is_bayer or av_name.startswith("xyz"):
        return PixelFormat("rgb", 16 if "16" in av_name or not fmt.is_bayer else 8)
    if len(components) == 1:
        return PixelFormat("gray", _fitting("gray", bits, (0, 0), False))
    alpha = any(c.is_alpha for c in components)
    if fmt.is_rgb:
        return PixelFormat("rgb", _fitting("rgb", bits, (0, 0), alpha), alpha=alpha)
    chroma = _log2_ratio(64, fmt.chroma_width(64)), _log2_ratio(64, fmt.chroma_height(64))
    return PixelFormat("yuv", _fitting("yuv", bits, chroma, alpha), chroma, alpha)


def _fitting(kind: str, bits: int, chroma: tuple[int, int], alpha: bool) -> int:
    """The smallest depth of at least that many bits FFmpeg has planes for."""
    for fmt in sorted(_NAMES, key=lambda f: f.bits):
        if fmt.kind == kind and fmt.log2_chroma == chroma and fmt.alpha == alpha and fmt.bits >= bits:
            return fmt.bits
    raise DecodeError(f"{bits}-bit {kind} with chroma {chroma} has no planar form")


def _log2_ratio(full: int, part: int) -> int:
    return (full // part).bit_length() - 1


def av_name(fmt: PixelFormat) -> str:
    """FFmpeg's name of a format of ours, as `av_from_frame` writes it by default. Raises EncodeError where it has none."""
    try:
        return _NAMES[fmt]
    except KeyError:
        raise EncodeError(f"FFmpeg has no pixel format for {fmt.name}") from None


def is_direct(name: str) -> bool:
    """Whether frames of that FFmpeg format are viewed without converting."""
    return name in _PLANAR


def frame_from_av(
    frame: VideoFrame,
    *,
    index: int = 0,
    location: ChromaLocation = ChromaLocation.UNSPECIFIED,
    fallback: Color | None = None,
    target: PixelFormat | None = None,
) -> Frame:
    """Our view of a decoded frame. Planes are uint8 arrays on FFmpeg's own memory, kept alive by them: don't write to them.

    A format that isn't planar little-endian is converted first, without loss. `target` forces another one, such as the one a
    stream began with. pts, duration and time_base are the frame's. Raises DecodeError when FFmpeg cannot convert.
    """
    target = target or pixel_format(frame.format.name)
    color = color_from_av(frame, target, location=location, fallback=fallback)
    if frame.format.name in _GRAY_ALPHA and target == pixel_format(frame.format.name):
        planes = _split_gray_alpha(frame)
    else:
        source = frame
        if _PLANAR.get(frame.format.name) != target:
            source = converted(frame, av_name(target))
        planes = [
            plane_view(source.planes[i], target, i, frame.width, frame.height)
            for i in range(target.num_planes)
        ]
    return Frame(
        planes=planes,
        width=frame.width,
        height=frame.height,
        format=target,
        color=color,
        pts=frame.pts,
        duration=frame.duration or 0,
        time_base=fraction(frame.time_base) or Fraction(1, 1000),
        index=index,
    )


def converted(frame: VideoFrame, name: str, *, size: tuple[int, int] | None = None) -> VideoFrame:
    """The frame in another format (and size: width, height) through swscale, with pts, duration and colour tags set; also from
    a device's memory.

    Between YUV formats and between RGB formats samples move without being mapped; between the two the frame's matrix and
    range hold, see `color_after`. Resizing is Lanczos. Raises DecodeError where swscale knows no way.
    """
    width, height = size or (frame.width, frame.height)
    source, target = pixel_format((frame.sw_format or frame.format).name), pixel_format(name)
    before = color_from_av(frame, source)
    after = color_after(before, source, target, (width, height))
    crosses = (source.kind == "rgb") != (target.kind == "rgb")
    interpolation = Interpolation.LANCZOS if size or crosses else Interpolation.POINT
    if crosses:
        interpolation |= (
            Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
        )
    try:
        result = _reformatter().reformat(
            frame,
            width=width,
            height=height,
            format=name,
            # Both ends get the same matrix if nothing is mapped: swscale refuses some matrices even if it does not use them.
            src_colorspace=_sws_matrix(before) if crosses else 5,
            dst_colorspace=_sws_matrix(after) if crosses else 5,
            interpolation=int(interpolation),
            src_color_range=int(before.range) or 1,
            dst_color_range=int(after.range) or 1,
            threads=1,
        )
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise DecodeError(f"cannot convert {frame.format.name} to {name}: {reason(error)}") from error
    if result is frame:  # PyAV returns the frame itself if there is nothing to do
        return frame
    tag_frame(result, after)
    result.pts, result.duration = frame.pts, frame.duration
    if frame.time_base:
        result.time_base = frame.time_base
    return result


_local = threading.local()


def _reformatter() -> VideoReformatter:
    """One swscale context a thread: making one costs more than a small frame's conversion."""
    if not hasattr(_local, "reformatter"):
        _local.reformatter = VideoReformatter()
    reformatter: VideoReformatter = _local.reformatter
    return reformatter


def _sws_matrix(color: Color) -> int:
    """swscale's number of a matrix; BT.601 for those it doesn't know."""
    return color.matrix if color.matrix in (1, 4, 5, 7, 9) else 5


def plane_view(plane: VideoPlane, fmt: PixelFormat, index: int, width: int, height: int) -> Bytes:
    """One plane as uint8 (rows, samples x bytes), rows `line_size` apart, on the frame's memory."""
    columns, rows = fmt.plane_size(index, width, height)
    stride = abs(plane.line_size)
    flat = _memory(plane)
    view = np.lib.stride_tricks.as_strided(flat, (rows, columns * fmt.bytes_per_sample), (stride, 1))
    return view[::-1] if plane.line_size < 0 else view


def av_from_frame(frame: Frame, pix_fmt: str | None = None) -> VideoFrame:
    """A frame for the encoder: planes copied once into FFmpeg's memory, with pts, duration, time_base and colour set.

    pix_fmt: the encoder's format, by default the one of the same planes; another is reached with swscale. Gray with alpha
    becomes ya8 or ya16le. Raises EncodeError when planes have the wrong shape or no conversion exists.
    """
    fmt = frame.format
    name = _NAMES.get(fmt)
    if name is None and fmt.kind == "gray" and fmt.alpha:
        return av_from_frame(_gray_alpha_16(frame), pix_fmt)
    if name is None:
        name = av_name(fmt)
    check_planes(frame)
    result = VideoFrame(frame.width, frame.height, name)
    if fmt.kind == "gray" and fmt.alpha:
        _join_gray_alpha(frame, result)
    else:
        for i, plane in enumerate(frame.planes):
            plane_view(result.planes[i], fmt, i, frame.width, frame.height)[...] = np.asarray(plane)
    tag_frame(result, frame.color)
    result.pts, result.duration, result.time_base = frame.pts, frame.duration, frame.time_base
    if pix_fmt is not None and pix_fmt != name and _PLANAR.get(pix_fmt) != fmt:
        try:
            result = converted(result, pix_fmt)
        except DecodeError as error:
            raise EncodeError(error.message) from error
    return result


def check_planes(frame: Frame) -> None:
    """Raise EncodeError unless each plane has the shape and dtype its format asks for."""
    fmt = frame.format
    if len(frame.planes) != fmt.num_planes:
        raise EncodeError(f"{fmt.name} has {fmt.num_planes} planes, the frame {len(frame.planes)}")
    for i, plane in enumerate(frame.planes):
        columns, rows = fmt.plane_size(i, frame.width, frame.height)
        array = np.asarray(plane)
        if array.dtype != np.uint8 or array.shape != (rows, columns * fmt.bytes_per_sample):
            wanted = (rows, columns * fmt.bytes_per_sample)
            raise EncodeError(f"plane {i} is {array.dtype} {array.shape}; {fmt.name} wants uint8 {wanted}")


def _memory(plane: VideoPlane) -> Bytes:
    """All bytes of a plane; the array holds the plane and with it the frame."""
    # A memoryview for the type checker's sake: Python 3.11 has no Buffer protocol to declare.
    return np.frombuffer(memoryview(plane), np.uint8)


def _packed_rows(frame: VideoFrame, bytes_per_pixel: int) -> Bytes:
    plane = frame.planes[0]
    flat = _memory(plane)
    stride = abs(plane.line_size)
    view = np.lib.stride_tricks.as_strided(flat, (frame.height, frame.width * bytes_per_pixel), (stride, 1))
    return view[::-1] if plane.line_size < 0 else view


def _split_gray_alpha(frame: VideoFrame) -> Sequence[Plane]:
    size = 1 if frame.format.name == "ya8" else 2
    pixels = _packed_rows(frame, 2 * size).reshape(frame.height, frame.width, 2, size)
    if frame.format.name.endswith("be"):
        pixels = pixels[..., ::-1]
    return [np.ascontiguousarray(pixels[:, :, c]).reshape(frame.height, -1) for c in (0, 1)]


def _join_gray_alpha(frame: Frame, result: VideoFrame) -> None:
    size = frame.format.bytes_per_sample
    rows = _packed_rows(result, 2 * size)
    pixels = np.lib.stride_tricks.as_strided(
        rows, (frame.height, frame.width, 2, size), (rows.strides[0], 2 * size, size, 1)
    )
    for c, plane in enumerate(frame.planes):
        pixels[:, :, c] = np.asarray(plane).reshape(frame.height, frame.width, size)


def _gray_alpha_16(frame: Frame) -> Frame:
    """Gray with alpha of a depth FFmpeg has no format for, its codes spread over 16 bits."""
    factor = 65535 / frame.format.max_code
    planes = []
    for plane in frame.planes:
        codes = np.ascontiguousarray(np.asarray(plane)).view("<u2").astype(np.float64)
        planes.append(np.rint(codes * factor).astype("<u2").view(np.uint8))
    return replace(frame, planes=planes, format=PixelFormat("gray", 16, alpha=True))
