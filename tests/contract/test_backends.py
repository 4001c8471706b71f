"""One suite over every backend: the same planes in, the same planes out, the same errors."""

from __future__ import annotations

import contextlib
import functools
import shutil
import threading
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tests.support.tiers import slow
from tests.support.usable import backends
from vsr.backends.base import CompileOptions
from vsr.backends.choose import choose_backend, load_backend
from vsr.backends.memory import memory_of_a_still
from vsr.core.color import Color
from vsr.core.errors import ConfigError, EngineBuildError, WeightsError
from vsr.core.frame import PixelFormat
from vsr.models import GraphLayout, Precision, find_model, shipped_models
from vsr.models.spec import ALL_LAYOUTS, CALIBRATED, ModelSpec, load_spec
from vsr.upscale.graph_inputs import small_inputs

HEIGHT, WIDTH = 36, 52
TWO_LAYOUTS = (GraphLayout("yuv", 1, "left"), GraphLayout("rgb", 2, "center"))


def _planes(layout: GraphLayout, batch: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    planes = {}
    for name in layout.plane_names:
        height, width = (HEIGHT // 2, WIDTH // 2) if name in "uv" else (HEIGHT, WIDTH)
        smooth = np.add.outer(np.arange(height) * 2, np.arange(width) * 3) + random.integers(
            0, 60, (batch, 1, height, width)
        )
        if layout.bytes_per_sample == 1:
            planes[name] = (smooth % 256).astype(np.uint8)
        else:
            planes[name] = (smooth * 3 % 1024).astype("<u2").view(np.uint8)
    return planes


def _small(layout: GraphLayout) -> dict[str, np.ndarray]:
    bits = 8 if layout.bytes_per_sample == 1 else 10
    chroma = (1, 1) if layout.kind == "yuv" else (0, 0)
    return small_inputs(PixelFormat(layout.kind, bits, chroma), Color())


def _run(
    name: str, spec: ModelSpec, layout: GraphLayout, batch: int = 1, precision: Precision | None = None
) -> dict[str, np.ndarray]:
    planes = _planes(layout, batch)
    shapes = {plane: array.shape for plane, array in planes.items()}
    options = CompileOptions(threads=2, precision=precision)
    with load_backend(name).compile(spec, layout, shapes, options) as engine:
        return engine.run(planes | _small(layout) | dict(memory_of_a_still(spec, layout, planes)))


def _precisions(name: str, spec: ModelSpec) -> list[Precision]:
    """Those the backend computes this network in here."""
    found = []
    for precision in get_args(Precision):
        with contextlib.suppress(ConfigError):
            options = CompileOptions(threads=2, precision=precision)
            load_backend(name).compile(spec, GraphLayout("gray", 1), {"y": (1, 1, 8, 8)}, options).close()
            found.append(precision)
    return found


def _codes(plane: np.ndarray, layout: GraphLayout) -> np.ndarray:
    return plane.view("u1" if layout.bytes_per_sample == 1 else "<u2").astype(int)


def _networks() -> list[object]:
    """Every model for two layouts, and the least of each architecture for all of them."""
    least = {
        spec.network["arch"]: spec for spec in sorted(shipped_models(), key=lambda spec: -spec.macs_per_pixel)
    }
    few = list(least.values())
    return [
        pytest.param(
            spec,
            layout,
            id=f"{spec.id}-{layout.name}",
            marks=() if spec in few and layout in TWO_LAYOUTS else slow,
        )
        for spec in shipped_models()
        for layout in (ALL_LAYOUTS if spec in few else TWO_LAYOUTS)
    ]


@functools.cache
def _reference(model: str, layout: GraphLayout, precision: Precision) -> dict[str, np.ndarray]:
    return _run("onnxruntime", find_model(model), layout, precision=precision)


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize(("spec", "layout"), _networks())
def test_all_backends_agree(backend: str, spec: ModelSpec, layout: GraphLayout) -> None:
    """Against ONNX Runtime in float32, or in the same 8 bits. Half precision may be off by what 8 bits of mantissa are off, on
    a picture of noise; by more where it wraps from white to black, which one in two hundred pixels may show."""
    for precision in _precisions(backend, spec):
        like: Precision = precision if precision in CALIBRATED else "fp32"
        reference = _reference(spec.id, layout, like)
        found = _run(backend, spec, layout, precision=precision)
        assert found.keys() == {f"{name}_out" for name in layout.plane_names}
        exact = precision == "fp32"
        allowed = (1 if exact else 4) * (1 if layout.bytes_per_sample == 1 else 4)
        for name, plane in reference.items():
            difference = np.abs(_codes(found[name], layout) - _codes(plane, layout))
            assert (difference.max() if exact else np.quantile(difference, 0.995)) <= allowed, (
                name,
                precision,
            )
            # The deepest network, at x4, is off by 33 codes at one such edge.
            assert difference.max() <= (allowed if exact else 12 * allowed), (name, precision)
            assert difference.mean() < allowed / 6, (name, precision)


@pytest.mark.parametrize("backend", backends())
def test_a_batch_is_its_frames_one_by_one(backend: str) -> None:
    layout, spec = GraphLayout("yuv", 1, "left"), find_model("bicubic")
    together = _run(backend, spec, layout, batch=3)
    planes = _planes(layout, 3)
    for number in range(3):
        one = {name: np.ascontiguousarray(plane[number : number + 1]) for name, plane in planes.items()}
        with load_backend(backend).compile(
            spec, layout, {name: plane.shape for name, plane in one.items()}
        ) as engine:
            alone = engine.run(one | _small(layout))
        for name, plane in alone.items():
            np.testing.assert_array_equal(plane[0], together[name][number])


@pytest.mark.parametrize("backend", backends())
def test_inputs_may_be_read_only(backend: str) -> None:
    layout = GraphLayout("gray", 1)
    planes = _planes(layout) | _small(layout)
    shapes = {"y": planes["y"].shape}
    with load_backend(backend).compile(
        find_model("fast"), layout, shapes, CompileOptions(threads=2)
    ) as engine:
        expected = engine.run(planes)
        for plane in planes.values():
            plane.flags.writeable = False
        found = engine.run(planes)
    for name, plane in expected.items():
        np.testing.assert_array_equal(found[name], plane)


@pytest.mark.parametrize("backend", backends())
def test_outputs_outlive_the_next_run(backend: str) -> None:
    layout, spec = GraphLayout("gray", 1), find_model("bicubic")
    planes = _planes(layout)
    with load_backend(backend).compile(spec, layout, {"y": planes["y"].shape}) as engine:
        first = engine.run(planes | _small(layout))["y_out"]
        kept = first.copy()
        engine.run({"y": 255 - planes["y"]} | _small(layout))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("backend", backends())
def test_running_leaves_the_interpreter_free(backend: str) -> None:
    """Other threads, the decoder's and the encoder's, go on while a network runs."""
    layout, spec = GraphLayout("gray", 1), find_model("fast")
    large = (2160, 3840) if load_backend(backend).probe().on_gpu else (720, 1280)
    plane = np.zeros((1, 1, *large), np.uint8)
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    with load_backend(backend).compile(spec, layout, {"y": plane.shape}, CompileOptions(threads=1)) as engine:
        engine.run({"y": plane} | _small(layout))
        thread = threading.Thread(target=tick)
        thread.start()
        begin = time.perf_counter()
        engine.run({"y": plane} | _small(layout))
        end = time.perf_counter()
        done.set()
        thread.join()
    assert sum(begin < moment < end for moment in ticks) >= 5


@pytest.mark.parametrize("backend", backends())
def test_a_damaged_graph_is_refused(backend: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(find_model("bicubic").folder, folder)
    spec = load_spec(folder)
    (folder / "gray8.onnx").write_bytes(b"not a graph at all")
    with pytest.raises(EngineBuildError):
        load_backend(backend).compile(spec, GraphLayout("gray", 1), {"y": (1, 1, 8, 8)})
    (folder / "gray8.onnx").unlink()
    with pytest.raises(WeightsError, match="gray8"):
        load_backend(backend).compile(spec, GraphLayout("gray", 1), {"y": (1, 1, 8, 8)})


def test_auto_takes_what_runs_on_a_gpu_else_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, passed_over = choose_backend("auto")
    if backend.probe().on_gpu:
        return
    assert (backend.name, passed_over) == ("openvino", [])
    monkeypatch.setattr("vsr.backends.choose.has_nvidia_gpu", lambda: True)
    backend, passed_over = choose_backend("auto")
    assert backend.name == "openvino"
    assert [note.split(":")[0] for note in passed_over] == ["tensorrt not used", "torch not used"]
    torch = pytest.importorskip("torch")
    # Of a GPU that runs nothing, as one too old for it.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    _backend, passed_over = choose_backend("auto")
    assert "cannot use the GPU" in passed_over[1]


def test_an_unknown_backend_names_the_known() -> None:
    with pytest.raises(ConfigError) as error:
        choose_backend("cuda")
    assert "openvino" in str(error.value.hint)
