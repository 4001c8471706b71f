"""TensorRT's engines from planes to planes, on a GPU that is pretended."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.pretend_gpu import Memory, pretend
from vsr.backends.base import CompileOptions
from vsr.backends.choose import has_nvidia_gpu, load_backend
from vsr.backends.guarded import Parity
from vsr.backends.tensorrt import TensorRTEngine
from vsr.backends.trt import gpu
from vsr.backends.trt.build import build_engine
from vsr.backends.trt.recipe import EngineRecipe, recipe_from_dict
from vsr.backends.trt.store import EngineStore, Manifest
from vsr.core.errors import EngineBuildError, EngineNotFoundError, InferenceError
from vsr.jobs.engines import batches
from vsr.media.samples import CLIP
from vsr.models.registry import find_model

pytestmark = pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU")
WANTED = {"model": "fast-x2", "width": 64, "height": 48, "compute_capabilities": ["8.9"]}


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path)


@pytest.fixture
def made(store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Manifest, EngineRecipe]]:
    recipe = recipe_from_dict(WANTED)
    manifest = build_engine(recipe, store).manifest
    pretend(monkeypatch, manifest, recipe)
    yield manifest, recipe
    for cached in (gpu._device, gpu._primary):
        cached.cache_clear()


def engine_of(manifest: Manifest, store: EngineStore) -> TensorRTEngine:
    return TensorRTEngine(manifest, find_model("fast-x2"), store)


def test_frames_come_out_as_from_float32_and_what_was_found_is_kept(
    made: tuple[Manifest, EngineRecipe], store: EngineStore
) -> None:
    manifest, recipe = made
    given = list(batches(recipe, str(CLIP), 6))
    shapes = {name: given[0][name].shape for name in recipe.graph_layout.plane_names}
    spec = find_model("fast-x2")
    exact = CompileOptions(precision="fp32")
    with load_backend("openvino").compile(spec, recipe.graph_layout, shapes, exact) as reference:
        expected = [reference.run(inputs) for inputs in given]
    found: dict[int, dict[str, Any]] = {}
    with engine_of(manifest, store) as engine:

        def run(number: int) -> None:
            found[number] = engine.run(given[number])

        threads = [threading.Thread(target=run, args=(number,)) for number in range(len(given))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, planes in enumerate(expected):
        assert found[number].keys() == planes.keys()
        for name, plane in planes.items():
            difference = np.abs(found[number][name].astype(int) - plane)
            assert difference.max() <= 2
            assert difference.mean() < 0.1
    kept = store.named(manifest.identity.key).parity
    assert kept is not None
    assert kept.psnr_db >= 50
    assert kept.not_finite == 0
    assert not Memory.by_address


def test_samples_that_are_no_numbers_are_an_error_or_refuse_the_engine(
    made: tuple[Manifest, EngineRecipe], store: EngineStore
) -> None:
    manifest, recipe = made
    inputs = dict(next(iter(batches(recipe, str(CLIP), 1))))
    inputs["gain"] = np.full_like(inputs["gain"], np.nan)
    verified = dataclasses.replace(manifest, parity=Parity(60.0, 1, 0, 4))
    with engine_of(verified, store) as engine, pytest.raises(InferenceError, match="no numbers"):
        engine.run(inputs)
    with engine_of(manifest, store) as engine, pytest.raises(EngineBuildError, match="was removed"):
        engine.run(inputs)
    with pytest.raises(EngineNotFoundError):
        store.named(manifest.identity.key)
