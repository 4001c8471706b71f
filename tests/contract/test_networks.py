"""One suite over networks: every layout on every backend that runs here, planes in, larger planes out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.usable import backends
from vsr.backends.base import CompileOptions
from vsr.backends.choose import load_backend
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.models import find_model
from vsr.upscale.memory import Portion
from vsr.upscale.network import Network
from vsr.upscale.planes import Kind

# The kinds of planes there are: a new one is one more line.
FORMATS = [
    PixelFormat("yuv", 8, (1, 1)),
    PixelFormat("yuv", 8, (1, 0)),
    PixelFormat("yuv", 8, (0, 0)),
    PixelFormat("yuv", 10, (1, 1)),
    PixelFormat("gray", 8),
    PixelFormat("gray", 16),
    PixelFormat("rgb", 8),
    PixelFormat("rgb", 16),
]
WIDTH, HEIGHT = 30, 22  # of which the halves are odd

Planes = list[np.ndarray]


def kind(format: PixelFormat, width: int = WIDTH, height: int = HEIGHT) -> Kind:
    return Kind(width, height, format, Color())


def picture(kind: Kind, seed: int = 0) -> Planes:
    random, unit = np.random.default_rng(seed), kind.format.bytes_per_sample
    planes = []
    for number in range(kind.format.num_planes):
        width, height = kind.format.plane_size(number, kind.width, kind.height)
        codes = random.integers(0, 1 << kind.format.bits, (height, width))
        planes.append(codes.astype("u1" if unit == 1 else "<u2").view(np.uint8))
    return planes


def assert_same(one: Planes, other: Planes) -> None:
    for plane, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(plane, same)


@pytest.fixture(params=backends(), scope="module")
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    network = made(request.param)
    yield network
    network.close()


def made(backend: str, tile: int | None = None) -> Network:
    return Network(
        find_model("bicubic"), load_backend(backend), CompileOptions(threads=1), Portion(tile, notes=[])
    )


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_each_plane_comes_out_larger(format: PixelFormat, network: Network) -> None:
    (large,) = network.run([picture(kind(format))], kind(format))
    assert len(large) == format.num_planes
    for number, plane in enumerate(large):
        width, height = format.plane_size(number, 2 * WIDTH, 2 * HEIGHT)
        assert plane.shape == (height, width * format.bytes_per_sample)
        assert plane.dtype == np.uint8


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_several_pictures_come_out_as_each_alone(format: PixelFormat, network: Network) -> None:
    pictures = [picture(kind(format), seed) for seed in range(3)]
    together = network.run(pictures, kind(format))
    for given, large in zip(pictures, together, strict=True):
        (alone,) = network.run([given], kind(format))
        assert_same(alone, large)


def test_results_are_the_callers(network: Network) -> None:
    small = kind(FORMATS[0])
    (first,) = network.run([picture(small)], small)
    kept = [plane.copy() for plane in first]
    network.run([picture(small, 1)], small)
    assert_same(first, kept)


def test_any_number_of_threads_and_of_sizes(network: Network) -> None:
    kinds = [kind(FORMATS[seed % 4], WIDTH + seed % 2 * 8) for seed in range(8)]
    alone = [network.run([picture(each, seed)], each) for seed, each in enumerate(kinds)]

    def run(seed: int) -> list[Planes]:
        return network.run([picture(kinds[seed], seed)], kinds[seed])

    with ThreadPoolExecutor(4) as threads:
        for (expected,), (found,) in zip(alone, threads.map(run, range(len(kinds))), strict=True):
            assert_same(expected, found)


@pytest.mark.parametrize("backend", backends())
def test_tiles_do_not_show(backend: str) -> None:
    large = kind(PixelFormat("gray", 8), 200, 140)
    whole, tiled = made(backend), made(backend, tile=64)
    assert_same(*(network.run([picture(large)], large)[0] for network in (whole, tiled)))
    whole.close()
    tiled.close()


@pytest.mark.parametrize("backend", backends())
def test_closing_twice_does_nothing(backend: str) -> None:
    network, small = made(backend), kind(PixelFormat("gray", 8))
    network.run([picture(small)], small)
    assert network.compiled
    network.close()
    network.close()
    assert not network.compiled
