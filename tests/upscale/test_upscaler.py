"""What the Upscaler promises of pictures, whatever they are made of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.support.tiers import slow, slow_except
from tests.support.usable import backends
from vsr.backends.base import DEFAULTS, CompileOptions, Engine
from vsr.backends.openvino import OpenVinoBackend
from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import ConfigError, DeviceMemoryError, UnknownModelError, UnsupportedInputError
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.metrics import psnr
from vsr.evaluation.resize import resize_bicubic
from vsr.models import shipped_models
from vsr.upscale.pictures import array_from_frame, frame_from_array
from vsr.upscale.upscaler import Upscaler

FORMATS = [
    PixelFormat("yuv", 8, (1, 1)),
    PixelFormat("yuv", 8, (1, 0)),
    PixelFormat("yuv", 8, (0, 0)),
    PixelFormat("yuv", 8, (2, 0)),
    PixelFormat("yuv", 10, (1, 1)),
    PixelFormat("yuv", 12, (1, 0)),
    PixelFormat("yuv", 8, (1, 1), alpha=True),
    PixelFormat("gray", 8),
    PixelFormat("gray", 16),
    PixelFormat("gray", 8, alpha=True),
    PixelFormat("rgb", 8),
    PixelFormat("rgb", 16, alpha=True),
]
SIZES = [(2, 1), (5, 7), (64, 48)]
MODELS = ["bicubic", "fast", "balanced"]

_Y, _X = np.mgrid[:48, :64]
ALTERNATING = {
    "checker": (_Y + _X) % 2,
    "stripes": _X % 2,
    "noise": np.random.default_rng(0).integers(0, 2, _Y.shape),
    "hatching": (_Y + _X) % 3 // 2,
}


def _codes(plane: object, format: PixelFormat) -> np.ndarray:
    return np.ascontiguousarray(plane).view("u1" if format.bytes_per_sample == 1 else "<u2").astype(np.int64)


def _flat(format: PixelFormat, levels: list[int], width: int, height: int, color: Color) -> Frame:
    dtype = "u1" if format.bytes_per_sample == 1 else "<u2"
    planes = []
    for plane, level in zip(range(format.num_planes), levels, strict=False):
        w, h = format.plane_size(plane, width, height)
        planes.append(np.full((h, w), level, dtype).view(np.uint8))
    return Frame(
        planes, width, height, format, color, pts=7, duration=3, time_base=Fraction(1, 90000), index=5
    )


@pytest.fixture(params=MODELS)
def upscaler(request: pytest.FixtureRequest):
    with Upscaler(request.param) as upscaler:
        yield upscaler


NETWORKS = [spec.id for spec in shipped_models() if not spec.id.startswith("bicubic")]


@pytest.mark.parametrize("model", NETWORKS)
def test_single_pixels_that_alternate_stay_what_they_are(model: str) -> None:
    """Dither, hatching and pixel art: no network answers them with black and white of its own."""
    with Upscaler(model) as upscaler:
        for name, pattern in ALTERNATING.items():
            for low, high in ((0, 255), (64, 192)):
                small = np.where(pattern > 0, high, low).astype(np.uint8)
                blocks = small.repeat(upscaler.scale, 0).repeat(upscaler.scale, 1).astype(float)
                large = upscaler.upscale(small)
                assert np.abs(large - blocks).mean() < 56, (name, low, high)
                assert abs(large.mean() - blocks.mean()) < 20, (name, low, high)


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_a_flat_picture_keeps_its_level(upscaler: Upscaler, format: PixelFormat) -> None:
    """A mean level moves by less than half a code in 8 bits, in limited and full range, at dark, middle and bright."""
    unit = 1 << (format.bits - 8)
    for range_ in (Range.LIMITED, Range.FULL):
        for level in (16, 77, 128, 200, 235):
            levels = [level * unit + unit // 2, 100 * unit, 180 * unit, 255 * unit]
            if format.kind == "gray":
                levels[1] = 255 * unit
            frame = _flat(format, levels, 46, 34, Color(1, 1, 1, range_))
            large = upscaler.upscale(frame)
            assert (large.width, large.height) == (92, 68)
            for before, after in zip(frame.planes, large.planes, strict=True):
                moved = _codes(after, format).mean() - _codes(before, format).mean()
                assert abs(moved) < 0.5 * unit, (range_, level)


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("size", [(1, 1), (33, 19), *(pytest.param(size, marks=slow) for size in SIZES)])
def test_every_size_comes_out_twice_as_large(format: PixelFormat, size: tuple[int, int]) -> None:
    width, height = size
    random = np.random.default_rng(0)
    planes = []
    for plane in range(format.num_planes):
        w, h = format.plane_size(plane, width, height)
        codes = random.integers(0, format.max_code + 1, (h, w))
        planes.append(codes.astype("u1" if format.bytes_per_sample == 1 else "<u2").view(np.uint8))
    frame = Frame(planes, width, height, format, pts=3, duration=1, time_base=Fraction(1, 25), index=9)
    with Upscaler("fast") as upscaler:
        large = upscaler.upscale(frame)
    assert (large.width, large.height, large.pts, large.duration, large.time_base, large.index) == (
        2 * width,
        2 * height,
        3,
        1,
        Fraction(1, 25),
        9,
    )
    for plane, data in enumerate(large.planes):
        w, h = format.plane_size(plane, 2 * width, 2 * height)
        assert data.shape == (h, w * format.bytes_per_sample)
        assert _codes(data, format).max() <= format.max_code


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("model", slow_except("fast", MODELS))
def test_tiles_leave_no_seam(model: str, format: PixelFormat) -> None:
    width, height = 217, 131
    random = np.random.default_rng(3)
    planes = []
    for plane in range(format.num_planes):
        w, h = format.plane_size(plane, width, height)
        codes = random.integers(0, format.max_code + 1, (h, w))
        planes.append(codes.astype("u1" if format.bytes_per_sample == 1 else "<u2").view(np.uint8))
    frame = Frame(planes, width, height, format)
    with Upscaler(model, tile=0) as whole, Upscaler(model, tile=48) as tiled:
        expected, found = whole.upscale(frame), tiled.upscale(frame)
    for a, b in zip(expected.planes, found.planes, strict=True):
        # One code in 8 bits; wider samples see the same rounding of bfloat16 in finer steps.
        assert np.abs(_codes(a, format) - _codes(b, format)).max() <= 1 << (format.bits - 8)


def test_a_long_side_is_cut_however_narrow_the_picture() -> None:
    strip = np.random.default_rng(0).integers(0, 256, (34_000, 16), np.uint8)
    with Upscaler("fast", precision="fp32") as upscaler, Upscaler("fast", tile=0, precision="fp32") as whole:
        np.testing.assert_array_equal(upscaler.upscale(strip), whole.upscale(strip))
        sizes = [
            max(max(shape) for shapes in network.compiled for shape in shapes)
            for network in (upscaler.network, whole.network)
        ]
    assert sizes[0] <= 1024 + 32
    assert 31_000 < sizes[1] < 33_000, "although no tiles were asked for"


def test_chroma_goes_where_its_location_says() -> None:
    """A chroma ramp stays on the line it lay on, for each siting."""
    width, height = 64, 32
    yuv420p = PixelFormat("yuv", 8, (1, 1))
    for location, edge in (
        (ChromaLocation.LEFT, 0.25),
        (ChromaLocation.CENTER, 0.5),
        (ChromaLocation.TOPLEFT, 0.25),
    ):
        x = np.arange(width // 2)
        ramp = np.broadcast_to(20 + 6 * x, (height // 2, width // 2)).astype(np.uint8)
        luma = np.full((height, width), 100, np.uint8)
        frame = Frame([luma, ramp, ramp], width, height, yuv420p, Color(chroma_location=location))
        with Upscaler("bicubic") as upscaler:
            large = np.asarray(upscaler.upscale(frame).planes[1])
        position = (np.arange(width) + edge) / 2 - edge
        np.testing.assert_allclose(
            large[10, 6:-6], (20 + 6 * position)[6:-6], atol=0.51, err_msg=str(location)
        )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 56), (40, 56, 3), (40, 56, 4)])
def test_arrays_in_arrays_out(shape: tuple[int, ...], dtype: type) -> None:
    random = np.random.default_rng(0)
    array = random.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    if shape[2:] == (4,):
        array[..., 3] |= dtype(
            np.iinfo(dtype).max // 2 + 1
        )  # none so transparent that its colour is another's
    with Upscaler("bicubic") as upscaler:
        large = upscaler.upscale(array)
    assert large.dtype == dtype
    assert large.shape == (80, 112, *shape[2:])
    component = array if array.ndim == 2 else array[:, :, 1]
    found = large if large.ndim == 2 else large[:, :, 1]
    expected = np.clip(resize_bicubic(component.astype(float), 2), 0, np.iinfo(dtype).max)
    assert psnr(found[8:-8, 8:-8].astype(float), expected[8:-8, 8:-8], peak=np.iinfo(dtype).max) > 50


def test_pyav_frames_in_and_out() -> None:
    frame = av.VideoFrame.from_ndarray(
        np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), format="rgb24"
    )
    frame = frame.reformat(format="yuv420p")
    frame.pts, frame.time_base = 42, Fraction(1, 1000)
    with Upscaler("fast") as upscaler:
        large = list(upscaler.stream([frame, frame]))
    assert [(f.width, f.height, f.pts, f.time_base, f.format.name) for f in large] == [
        (128, 96, 42, Fraction(1, 1000), "yuv420p")
    ] * 2


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), "picture.png", None]
)
def test_what_is_no_picture_is_refused(picture: object) -> None:
    with Upscaler("bicubic") as upscaler, pytest.raises(UnsupportedInputError):
        upscaler.upscale(picture)  # type: ignore[call-overload]


def test_scales_are_reached_by_running_again() -> None:
    with Upscaler("fast", scale=4) as upscaler:
        assert (upscaler.passes, upscaler.scale) == (2, 4)
        assert upscaler.upscale(np.zeros((20, 30), np.uint8)).shape == (80, 120)
    with Upscaler("bicubic", scale=3) as upscaler:
        assert (upscaler.spec.id, upscaler.scale) == ("bicubic-x3", 3)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UnknownModelError) as error:
        Upscaler("ballanced")
    assert "balanced" in str(error.value.hint)
    for options in ({"scale": 0.0}, {"scale": 40.0}, {"tile": 3}, {"threads": -1}, {"precision": "fp9"}):
        with pytest.raises(ConfigError):
            Upscaler("fast", **options)  # type: ignore[arg-type]


class _SmallDevice(OpenVinoBackend):
    """OpenVINO with memory for so many pixels at a time."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels

    def compile(self, spec, layout, plane_shapes, options: CompileOptions = DEFAULTS) -> Engine:
        if np.prod(plane_shapes["y"]) > self._pixels:
            raise DeviceMemoryError("full")
        return super().compile(spec, layout, plane_shapes, options)


@pytest.mark.parametrize(
    ("pixels", "notes"),
    [
        (2 * 300 * 200, ["5 frames at a time; continuing with 2"]),
        (
            160 * 160,
            ["5 frames at a time; continuing with 2", "2 frames at a time; continuing with 1",
             "a whole frame; continuing with tiles of 256", "tiles of 256; continuing with tiles of 128"],
        ),
    ],
)  # fmt: skip
def test_where_memory_is_short_less_is_taken_at_a_time(
    pixels: int, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    pictures = [random.integers(0, 256, (200, 300), np.uint8) for _ in range(5)]
    frames = [frame_from_array(picture) for picture in pictures]
    with Upscaler("bicubic", backend="openvino") as whole:
        expected = [whole.upscale(picture) for picture in pictures]
    monkeypatch.setattr(
        "vsr.upscale.upscaler.choose_backend", lambda _name, _device: (_SmallDevice(pixels), [])
    )
    with Upscaler("bicubic") as upscaler:
        found = [array_from_frame(frame) for frame in upscaler.upscale_batch(frames)]
        np.testing.assert_array_equal(found, expected)
        assert upscaler.notes == [f"not enough memory for {note}" for note in notes]
        upscaler.upscale_batch(frames)
        assert len(upscaler.notes) == len(notes)  # What was learned is kept.
    monkeypatch.setattr(
        "vsr.upscale.upscaler.choose_backend", lambda _name, _device: (_SmallDevice(1000), [])
    )
    with Upscaler("bicubic") as upscaler, pytest.raises(DeviceMemoryError):
        upscaler.upscale_batch(frames)


def test_alpha_is_enlarged_as_its_picture_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no more memory, and building no more, than the picture."""
    asked: list[CompileOptions] = []

    class Small(OpenVinoBackend):
        def compile(self, spec, layout, plane_shapes, options: CompileOptions = DEFAULTS) -> Engine:
            asked.append(options)
            if layout.kind == "gray" and np.prod(plane_shapes["y"]) > 180 * 180:
                raise DeviceMemoryError("full")
            return super().compile(spec, layout, plane_shapes, options)

    picture = np.random.default_rng(3).integers(0, 256, (300, 300, 4), np.uint8)
    with Upscaler("bicubic") as whole:
        expected = whole.upscale(picture)
    monkeypatch.setattr("vsr.upscale.upscaler.choose_backend", lambda _name, _device: (Small(), []))
    with Upscaler("bicubic", build=False) as upscaler:
        np.testing.assert_array_equal(upscaler.upscale(picture), expected)
        assert [note for note in upscaler.notes if "tiles of 128" in note]
    assert not any(options.build for options in asked)
    assert len({options.say for options in asked}) == 1, "the picture's, which is shown"


@pytest.mark.parametrize("backend", backends())
def test_any_number_of_threads_may_use_one(backend: str) -> None:
    pictures = [np.full((48, 64), level, np.uint8) for level in range(16)]
    with Upscaler("bicubic", backend=backend) as upscaler, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(upscaler.upscale, pictures))
    assert [int(picture.max()) for picture in found] == [int(picture.min()) for picture in found]
    assert [int(picture.max()) for picture in found] == list(range(16))


def test_frames_that_are_too_many_for_one_run_go_in_several_and_whole() -> None:
    class Watching(OpenVinoBackend):
        def compile(self, spec, layout, plane_shapes, options: CompileOptions = DEFAULTS) -> Engine:
            shapes.append(plane_shapes["y"])
            return super().compile(spec, layout, plane_shapes, options)

    shapes: list[tuple[int, ...]] = []
    frames = [frame_from_array(np.full((720, 1280), level, np.uint8)) for level in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vsr.upscale.upscaler.choose_backend", lambda _name, _device: (Watching(), []))
        with Upscaler("bicubic") as upscaler:
            found = upscaler.upscale_batch(frames)
            assert upscaler.upscale_batch([]) == []
    assert [int(array_from_frame(frame).max()) for frame in found] == [0, 1, 2, 3, 4]
    assert shapes == [(4, 1, 720, 1280), (1, 1, 720, 1280)]


def test_the_precision_is_as_wanted_or_refused() -> None:
    picture = np.zeros((16, 16), np.uint8)
    with Upscaler("fast", precision="fp32") as upscaler:
        upscaler.upscale(picture)
        assert upscaler.precision == "fp32"
    for model, backend, message in (
        ("fast", "onnxruntime", "does not compute in fp16"),
        ("bicubic", "openvino", "bicubic-x2 needs fp32"),
    ):
        with (
            Upscaler(model, backend=backend, precision="fp16") as upscaler,
            pytest.raises(ConfigError, match=message),
        ):
            upscaler.upscale(picture)
