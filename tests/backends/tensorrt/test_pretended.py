"""TensorRT's engines from planes to planes, on a GPU that is pretended."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.memory_network import moving, write_memory_network
from tests.support.pretend_gpu import Memory, locked, pretend, uploaded
from vsr.backends.base import CompileOptions
from vsr.backends.choose import has_nvidia_gpu, load_backend
from vsr.backends.guarded import Parity
from vsr.backends.openvino import BACKEND as OPENVINO
from vsr.backends.tensorrt import gpu
from vsr.backends.tensorrt.backend import TensorRTBackend, TensorRTEngine
from vsr.backends.tensorrt.build import build_engine, serving_engine
from vsr.backends.tensorrt.recipe import EngineRecipe, recipe_from_dict
from vsr.backends.tensorrt.store import EngineStore, Manifest
from vsr.cli import main
from vsr.core.errors import EngineBuildError, EngineNotFoundError, InferenceError
from vsr.core.frame import PixelFormat
from vsr.jobs.engine_builds import batches
from vsr.media.samples import CLIP
from vsr.models.registry import find_model
from vsr.upscale.memory import Portion
from vsr.upscale.network import Network
from vsr.upscale.planes import Kind
from vsr.upscale.recurrent import Memory as OfStream

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
    with engine_of(verified, store) as engine, pytest.raises(InferenceError, match="NaN or infinite"):
        engine.run(inputs)
    said: list[str] = []
    with TensorRTEngine(manifest, find_model("fast-x2"), store, said.append) as engine:
        for _ in range(2):  # Another thread may be told after the first.
            with pytest.raises(EngineBuildError, match="samples that are NaN or infinite, and was removed"):
                engine.run(inputs)
    assert said[-1] == ""
    with pytest.raises(EngineNotFoundError):
        store.named(manifest.identity.key)


@pytest.mark.parametrize(("batch", "frames", "compared"), [(1, 3, 3), (3, 1, 3), (2, 5, 4)])
def test_verifying_counts_the_frames_it_compared_and_finds_a_package_that_moved(
    batch: int, frames: int, compared: int, store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    package = tmp_path / "elsewhere"
    shutil.copytree(find_model("fast-x2").folder, package)
    recipe = recipe_from_dict(WANTED | {"batch": batch})
    manifest = build_engine(dataclasses.replace(recipe, model=str(package)), store).manifest
    shutil.rmtree(package)
    pretend(monkeypatch, manifest, recipe)
    key = manifest.identity.key
    assert main(["engine", "verify", key, "--frames", str(frames), "--store", str(store.folder)]) == 0
    assert f"over {compared} frames" in capsys.readouterr().out
    for cached in (gpu._device, gpu._primary):
        cached.cache_clear()


def test_memory_for_outputs_is_locked_once_and_never_overwritten_while_it_is_held(
    made: tuple[Manifest, EngineRecipe], store: EngineStore
) -> None:
    manifest, recipe = made
    verified = dataclasses.replace(manifest, parity=Parity(60.0, 1, 0, 4))
    one, other = list(batches(recipe, str(CLIP), 2))
    locked.clear()
    with engine_of(verified, store) as engine:
        kept = engine.run(one)["y_out"][0, 0, :, 4:]
        expected = kept.copy()
        for _ in range(10):
            engine.run(other)
        assert len(locked) <= 4 + 3 + 1, (
            "one frame is held, one is made, and each has three planes and a count"
        )
        assert (engine.run(other)["y_out"][0, 0, :, 4:] != expected).any()
    np.testing.assert_array_equal(kept, expected)


def test_the_gpu_that_is_named_is_used(
    made: tuple[Manifest, EngineRecipe], store: EngineStore, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["engine", "verify", made[0].identity.key, "--frames", "1", "--store", str(store.folder)]
    for number in (1, 0):
        Memory.used.clear()
        assert main([*words, "--device", f"cuda:{number}"]) == 0
        assert Memory.used == {number}
    assert main([*words, "--device", "cuda:2"]) == 3
    assert "this machine has no cuda:2\n" in (said := capsys.readouterr().err)
    assert "cuda:0 (NVIDIA Pretence 0), cuda:1 (NVIDIA Pretence 1)" in said
    assert main([*words, "--device", "gpu"]) == 2
    assert TensorRTBackend().devices().keys() == {"cuda:0", "cuda:1"}
    assert gpu.gpu_here(1)[:2] == ("NVIDIA Pretence 1", "8.9")
    assert "no cuda:2" in TensorRTBackend("cuda:2").probe().reason


def test_the_memory_of_a_stream_stays_on_the_gpu(
    store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first frame only planes go there, and two streams by turns get what each gets alone."""
    spec = write_memory_network(tmp_path / "memory-x2")
    settings = {"model": str(spec.folder), "layout": "yuv8-left", "precision": "fp32"}
    recipe = recipe_from_dict(WANTED | settings)
    pretend(monkeypatch, build_engine(recipe, store).manifest, recipe)
    manifest = dataclasses.replace(store.manifests()[0], parity=Parity(60.0, 1, 0, 4))
    monkeypatch.setattr(TensorRTBackend, "compile", lambda *_given: TensorRTEngine(manifest, spec, store))
    networks = [
        Network(spec, backend, CompileOptions(precision="fp32"), Portion(0, []))
        for backend in (TensorRTBackend(), OPENVINO)
    ]
    streams = [moving(4, PixelFormat("yuv", 8, (1, 1)), seed, (64, 48)) for seed in range(2)]
    memories = [[OfStream() for _stream in streams] for _network in networks]
    for number in range(4):
        for stream, frames in enumerate(streams):
            frame = frames[number]
            uploaded.clear()
            found, wanted = (
                network.run([list(frame.planes)], Kind.of(frame), memory=memory[stream])[0]
                for network, memory in zip(networks, memories, strict=True)
            )
            assert np.abs(found[0].astype(int) - wanted[0]).max() <= 1
            luma, chroma = 64 * 48, 32 * 24
            went = sorted(size for size in uploaded if size >= chroma)
            assert 4 * luma in went if number == 0 else went == [chroma, chroma, luma]
    for network in networks:
        network.close()
    for cached in (gpu._device, gpu._primary):
        cached.cache_clear()


def planes(width: int, height: int) -> dict[str, tuple[int, ...]]:
    luma, chroma = (1, 1, height, width), (1, 1, height // 2, width // 2)
    return {"y": luma, "u": chroma, "v": chroma}


def test_what_is_in_the_store_serves_whatever_recipe_it_is_of(
    made: tuple[Manifest, EngineRecipe], store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, recipe = made
    monkeypatch.setenv("VSR_ENGINES", str(store.folder))
    spec, layout = find_model("fast-x2"), recipe.graph_layout
    unbuilt = CompileOptions(build=False)

    def taken(width: int, height: int, options: CompileOptions = unbuilt) -> str:
        with TensorRTBackend().compile(spec, layout, planes(width, height), options) as engine:
            return engine.manifest.identity.key

    assert taken(64, 48) == ahead.identity.key
    ranging, kept = (
        build_engine(recipe_from_dict(WANTED | settings), store).manifest.identity.key
        for settings in ({"width": [32, 64, 96], "batch": [1, 1, 2]}, {"keep_fp32": ["net/conv1"]})
    )
    assert taken(64, 48) == kept, "the newest"
    store.remove(kept)
    assert taken(64, 48) == ranging
    assert taken(96, 48) == ranging
    with pytest.raises(EngineNotFoundError):
        taken(98, 48)


@pytest.mark.parametrize(
    "settings",
    [
        {"compute_capabilities": ["12.0"]},
        {"layout": "rgb8"},
        {"chroma": "4:4:4"},
        {"precision": "bf16"},
        {"width": [66, 66, 96]},
        {"batch": 2},
        {"model": "balanced-x2"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_what_would_make_another_picture_or_none_here_does_not_serve(
    settings: dict[str, Any], made: tuple[Manifest, EngineRecipe], store: EngineStore
) -> None:
    here = dataclasses.replace(made[1], compute_capabilities=())
    assert serving_engine(here, store) == made[0]
    store.remove(made[0].identity.key)
    build_engine(recipe_from_dict(WANTED | settings), store)
    assert serving_engine(here, store) is None


def test_an_engine_of_other_weights_or_a_damaged_one_does_not_serve(
    made: tuple[Manifest, EngineRecipe], store: EngineStore, tmp_path: Path
) -> None:
    here = dataclasses.replace(made[1], compute_capabilities=())
    package = tmp_path / "mine"
    shutil.copytree(find_model("fast-x2").folder, package)
    weights = bytearray((package / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (package / "weights.safetensors").write_bytes(weights)
    assert serving_engine(dataclasses.replace(here, model=str(package)), store) is None
    (store.folder / made[0].identity.key / "engine.plan").write_bytes(b"damaged")
    assert serving_engine(here, store) is None
