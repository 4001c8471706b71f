"""Frames of FFmpeg's and ours, one made from the other."""

from __future__ import annotations

import dataclasses
import gc
import struct
from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame

from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import DecodeError, EncodeError
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.color import color_after
from vsr.media.frames.planes import av_from_frame, av_name, converted, frame_from_av, is_direct, pixel_format
from vsr.media.frames.side_data import (
    display_matrix,
    dolby_vision_from_bytes,
    mastering_display_from_bytes,
    orientation_from_matrix,
)

BT709 = Color(1, 1, 1, Range.LIMITED, ChromaLocation.LEFT)


def frame_of(fmt: PixelFormat, size: tuple[int, int] = (66, 34), color: Color = BT709) -> Frame:
    rng = np.random.default_rng(3)
    planes = []
    for i in range(fmt.num_planes):
        columns, rows = fmt.plane_size(i, *size)
        codes = rng.integers(0, fmt.max_code + 1, (rows, columns))
        planes.append(codes.astype(np.uint8) if fmt.bits == 8 else codes.astype("<u2").view(np.uint8))
    return Frame(planes, *size, fmt, color, pts=7, duration=2, time_base=Fraction(1, 50))


@pytest.mark.parametrize(("size", "matrix"), [((720, 576), 6), ((1280, 720), 1), ((576, 1024), 1)])
def test_rgb_becomes_bt601_below_hd_and_bt709_from_there(size: tuple[int, int], matrix: int) -> None:
    color = color_after(Color(0, 1, 13, Range.FULL), PixelFormat("rgb"), PixelFormat("yuv"), size)
    assert (color.matrix, color.range) == (matrix, Range.LIMITED)


OURS = [
    *(
        PixelFormat("yuv", bits, chroma)
        for bits in (8, 9, 10, 12, 14, 16)
        for chroma in ((1, 1), (1, 0), (0, 0))
    ),
    *(PixelFormat("yuv", bits, (1, 1), True) for bits in (8, 9, 10, 16)),
    *(PixelFormat("gray", bits) for bits in (8, 9, 10, 12, 14, 16)),
    *(PixelFormat("gray", bits, alpha=True) for bits in (8, 16)),
    *(PixelFormat("rgb", bits) for bits in (8, 9, 10, 12, 14, 16)),
    *(PixelFormat("rgb", bits, alpha=True) for bits in (8, 10, 12, 16)),
]


@pytest.mark.parametrize("fmt", OURS, ids=lambda f: f.name)
@pytest.mark.parametrize("size", [(66, 34), (67, 35), (1, 1)])
def test_there_and_back(fmt: PixelFormat, size: tuple[int, int]) -> None:
    color = BT709 if fmt.kind != "rgb" else Color(0, 1, 13, Range.FULL)
    if fmt.log2_chroma != (1, 1):
        color = dataclasses.replace(color, chroma_location=ChromaLocation.UNSPECIFIED)
    frame = frame_of(fmt, size, color)
    made = av_from_frame(frame)
    assert pixel_format(made.format.name) == fmt
    back = frame_from_av(made, location=color.chroma_location)
    assert all(
        np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(frame.planes, back.planes, strict=True)
    )
    assert (back.pts, back.duration, back.time_base, back.color) == (7, 2, Fraction(1, 50), color)


@pytest.mark.parametrize(
    "packed",
    "nv12 nv21 nv16 nv24 p010le p010be p016le p210le y210le yuyv422 uyvy422 yvyu422 rgb24 bgr24 argb rgba abgr bgra 0rgb rgb0 "
    "bgr0 rgb48le rgb48be bgr48le rgba64le rgba64be bgra64le gray16be gray10be yuv420p10be yuv422p16be gbrp12be gbrap16be "
    "ya16be ya8 x2rgb10le monob monow ayuv64le vuyx xv36le".split(),
)
@pytest.mark.parametrize("full", [False, True])
def test_packed_formats_lose_nothing(packed: str, full: bool) -> None:
    frame = VideoFrame(66, 34, packed)
    rng = np.random.default_rng(5)
    for plane in frame.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    frame.color_range = 2 if full else 1
    ours = frame_from_av(frame)
    assert max(int(np.asarray(p).max()) for p in ours.planes) > 100
    back = frame_from_av(converted(av_from_frame(ours), packed))
    assert all(
        np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(ours.planes, back.planes, strict=True)
    )


def test_p010_holds_its_codes_in_the_high_bits() -> None:
    ours = frame_of(PixelFormat("yuv", 10, (1, 1)))
    packed = av_from_frame(ours, "p010le")
    words = np.frombuffer(bytes(packed.planes[0]), "<u2").reshape(34, -1)[:, :66]
    assert np.array_equal(words >> 6, np.ascontiguousarray(ours.planes[0]).view("<u2"))


def test_views_share_memory_and_keep_the_frame_alive() -> None:
    made = av_from_frame(frame_of(PixelFormat("yuv", 8, (1, 1)), (854, 480)))
    ours = frame_from_av(made)
    plane = np.asarray(ours.planes[0])
    assert plane.__array_interface__["data"][0] == made.planes[0].buffer_ptr
    before = plane.copy()
    del made, ours
    gc.collect()
    _ = [VideoFrame(854, 480, "yuv420p") for _ in range(4)]
    assert np.array_equal(plane, before)


def test_palette_comes_with_alpha() -> None:
    assert pixel_format("pal8") == PixelFormat("rgb", 8, alpha=True)
    assert not is_direct("pal8")


@pytest.mark.parametrize("name", ["cuda", "vaapi", "nonsense"])
def test_formats_out_of_reach_are_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        pixel_format(name)


def test_wrong_planes_are_refused() -> None:
    frame = frame_of(PixelFormat("yuv", 8, (1, 1)))
    with pytest.raises(EncodeError, match="plane 1"):
        av_from_frame(dataclasses.replace(frame, planes=[frame.planes[0]] * 3))
    with pytest.raises(EncodeError, match="3 planes"):
        av_from_frame(dataclasses.replace(frame, planes=frame.planes[:2]))
    with pytest.raises(EncodeError, match="no pixel format"):
        av_name(PixelFormat("yuv", 13, (1, 1)))


def test_gray_with_alpha_of_odd_depth_is_spread_over_16_bits() -> None:
    fmt = PixelFormat("gray", 10, alpha=True)
    made = av_from_frame(frame_of(fmt))
    assert made.format.name == "ya16le"


def test_rgb_to_yuv_and_back_is_close_and_tagged() -> None:
    fmt = PixelFormat("rgb", 8)
    smooth = [np.tile(np.linspace(20, 230, 64).astype(np.uint8), (32, 1)) for _ in range(3)]
    frame = Frame(smooth, 64, 32, fmt, Color(0, range=Range.FULL), pts=0)
    made = av_from_frame(frame, "yuv444p")
    assert (made.colorspace, made.color_range) == (6, 1)
    back = frame_from_av(converted(made, "gbrp"))
    error = np.abs(np.asarray(back.planes[0]).astype(int) - smooth[0].astype(int))
    assert error.max() <= 2
    expected = color_after(frame.color, fmt, PixelFormat("yuv"), (1920, 1080))
    assert (expected.matrix, expected.range) == (1, Range.LIMITED)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_display_matrix_round_trip(rotation: int, mirrored: bool) -> None:
    data = struct.pack("<9i", *display_matrix(rotation, mirrored))
    assert orientation_from_matrix(data) == (rotation, mirrored)


def test_damaged_side_data_says_nothing() -> None:
    assert orientation_from_matrix(b"") == (0, False)
    assert orientation_from_matrix(bytes(36)) == (0, False)
    assert mastering_display_from_bytes(bytes(88)) is None
    assert mastering_display_from_bytes(b"short") is None
    assert dolby_vision_from_bytes(b"").compatible
