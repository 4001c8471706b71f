"""Frames that stay on their device, as NV12 and P010, make the picture that planes on the host make.

The host counts as a device here: all that a GPU changes is where the memory lies.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.hwaccel import SEMI_PLANAR, DeviceFrames, frame_on_device
from vsr.media.frames.planes import av_from_frame, converted, frame_from_av
from vsr.upscale.upscaler import Upscaler

torch = pytest.importorskip("torch")

WIDTH, HEIGHT = 50, 32  # Rows in FFmpeg's memory are longer than that.


def frames(bits: int) -> tuple[Frame, Frame]:
    """A frame of noise on the host, and the same as a decoder on a device gives it."""
    fmt, rng = PixelFormat("yuv", bits, (1, 1)), np.random.default_rng(bits)
    planes = []
    for number in range(3):
        width, height = fmt.plane_size(number, WIDTH, HEIGHT)
        codes = rng.integers(0, fmt.max_code + 1, (height, width))
        planes.append(codes.astype("u1" if bits == 8 else "<u2").view(np.uint8))
    color = Color(1, 1, 1, Range.LIMITED, ChromaLocation.LEFT)
    here = Frame(planes, WIDTH, HEIGHT, fmt, color, pts=7, time_base=Fraction(1, 25), index=3)
    there = frame_on_device(converted(av_from_frame(here), SEMI_PLANAR[bits]), index=3, fallback=color)
    return here, there


def equal(one: Frame, other: Frame) -> None:
    same = ("width", "height", "format", "color", "pts", "time_base", "index")
    assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
    for mine, theirs in zip(one.planes, other.planes, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


@pytest.fixture(autouse=True)
def torch_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.backends.torch.backend.TorchBackend.device", "cpu")
    # On a GPU chroma goes through the graph, also from planes on the host.
    monkeypatch.setattr("vsr.upscale.network.is_enlarged_closely", lambda _bits, _scale: False)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_picture_is_the_same(bits: int, scale: int) -> None:
    here, there = frames(bits)
    equal(there, here)
    with Upscaler("fast-x2", scale=scale, backend="torch", precision="fp32") as upscaler:
        expected, found = upscaler.upscale(here), upscaler.upscale(there)
        assert not [note for note in upscaler.notes if "host" in note]
    equal(found, expected)
    # And as an encoder on the device takes it: NVENC finds chroma where luma ends, its rows as far apart.
    assert found.on_device
    luma, chroma = found.on_device.luma, found.on_device.chroma
    assert chroma.data_ptr() == luma.data_ptr() + luma.shape[0] * luma.stride(0) * luma.element_size()
    assert chroma.stride() == (luma.stride(0), 2, 1)
    assert luma.stride(0) % 4 == 0
    picture = DeviceFrames()(found)
    assert picture.format.name == SEMI_PLANAR[bits]
    assert (picture.pts, picture.time_base) == (7, Fraction(1, 25))
    equal(replace(frame_from_av(picture, index=3, fallback=expected.color), on_device=None), expected)


@pytest.mark.parametrize(
    ("why", "options"),
    [
        ("they are cut into tiles", {"backend": "torch", "tile": 16}),
        ("openvino runs there", {"backend": "openvino"}),
    ],
)
def test_what_cannot_stay_comes_to_the_host_and_it_is_said(why: str, options: dict[str, object]) -> None:
    here, there = frames(8)
    with Upscaler("fast-x2", precision="fp32", **options) as upscaler:  # type: ignore[arg-type]
        equal(upscaler.upscale(there), upscaler.upscale(here))
        upscaler.upscale(there)
        said = [note for note in upscaler.notes if "host" in note]
    assert said == [f"frames on the GPU pass through the host: {why}"]
