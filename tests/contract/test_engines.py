"""One suite over the engines of every backend that runs here; `vsr.backends.BACKENDS` says which there are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from tests.support.usable import backends
from vsr.backends.base import Backend, CompileOptions, Engine
from vsr.backends.choose import load_backend
from vsr.core.color import Color
from vsr.core.errors import InferenceError
from vsr.core.frame import PixelFormat
from vsr.models import GraphLayout, find_model
from vsr.upscale.graph_inputs import small_inputs

HEIGHT, WIDTH = 24, 32
GRAY = GraphLayout("gray", 1)


@dataclass(frozen=True)
class Compiled:
    """An engine of one plane, and inputs for it."""

    backend: Backend
    engine: Engine
    inputs: dict[str, np.ndarray]

    def other_inputs(self, seed: int) -> dict[str, np.ndarray]:
        noise = np.random.default_rng(seed).integers(0, 256, (1, 1, HEIGHT, WIDTH), np.uint8)
        return {**self.inputs, "y": noise}


@pytest.fixture(params=backends(), scope="module")
def compiled(request: pytest.FixtureRequest) -> Iterator[Compiled]:
    backend = load_backend(request.param)
    inputs = dict(small_inputs(PixelFormat("gray", 8), Color()))
    shape = (1, 1, HEIGHT, WIDTH)
    inputs["y"] = np.arange(HEIGHT * WIDTH, dtype=np.uint32).astype(np.uint8).reshape(shape)
    spec = find_model("bicubic")
    options = CompileOptions(threads=2, in_flight=backend.in_flight)
    with backend.compile(spec, GRAY, {"y": shape}, options) as engine:
        yield Compiled(backend, engine, inputs)


def test_planes_come_out_larger_and_nothing_else(compiled: Compiled) -> None:
    outputs = compiled.engine.run(compiled.inputs)
    assert list(outputs) == ["y_out"]
    assert outputs["y_out"].shape == (1, 1, 2 * HEIGHT, 2 * WIDTH)
    assert outputs["y_out"].dtype == np.uint8


def test_each_run_gives_new_arrays(compiled: Compiled) -> None:
    first = compiled.engine.run(compiled.inputs)["y_out"]
    kept = first.copy()
    second = compiled.engine.run(compiled.other_inputs(1))["y_out"]
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # the caller's
    np.testing.assert_array_equal(compiled.engine.run(compiled.inputs)["y_out"], kept)


def test_inputs_are_left_as_they_are(compiled: Compiled) -> None:
    before = {name: array.copy() for name, array in compiled.inputs.items()}
    compiled.engine.run(compiled.inputs)
    for name, array in before.items():
        np.testing.assert_array_equal(compiled.inputs[name], array)


def test_as_many_threads_as_the_backend_says_run_at_once(compiled: Compiled) -> None:
    given = [compiled.other_inputs(seed) for seed in range(4 * compiled.backend.in_flight)]
    alone = [compiled.engine.run(inputs)["y_out"] for inputs in given]
    with ThreadPoolExecutor(compiled.backend.in_flight) as threads:
        together = list(threads.map(lambda inputs: compiled.engine.run(inputs)["y_out"], given))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "shape", [(1, 1, HEIGHT, WIDTH + 2), (1, 1, HEIGHT - 2, WIDTH), (2, 1, HEIGHT, WIDTH)]
)
def test_other_shapes_are_refused_or_computed(shape: tuple[int, ...], compiled: Compiled) -> None:
    """Never computed as if they were those it was compiled for."""
    try:
        large = compiled.engine.run({**compiled.inputs, "y": np.zeros(shape, np.uint8)})["y_out"]
    except InferenceError:
        compiled.engine.run(compiled.inputs)  # and it still runs
        return
    assert large.shape == (*shape[:2], 2 * shape[2], 2 * shape[3])


@pytest.mark.parametrize("backend", backends())
def test_closing_twice_does_nothing(backend: str) -> None:
    engine = load_backend(backend).compile(find_model("bicubic"), GRAY, {"y": (1, 1, 8, 8)})
    engine.close()
    engine.close()
