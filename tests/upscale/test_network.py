"""A network takes planes and gives larger ones; one for the picture and one for alpha. Engines run with or without a State."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.support.memory_network import write_memory_network
from tests.support.usable import backends
from vsr.backends.base import CompileOptions, Engine
from vsr.backends.choose import choose_backend
from vsr.backends.openvino import BACKEND as OPENVINO
from vsr.backends.openvino import OpenVinoBackend, OpenVinoEngine
from vsr.bench.synthetic import synthetic_frames
from vsr.core.color import ChromaLocation, Color
from vsr.core.errors import WeightsError
from vsr.core.frame import Frame, PixelFormat
from vsr.models import GraphLayout, find_model
from vsr.models.spec import ALL_LAYOUTS, load_spec
from vsr.upscale import engine_cache
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.memory import Portion
from vsr.upscale.network import Network
from vsr.upscale.planes import Kind
from vsr.upscale.upscaler import Upscaler

YUV420 = PixelFormat("yuv", 8, (1, 1))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def network(model: str, tile: int | None = None) -> Network:
    return Network(find_model(model), OPENVINO, CompileOptions(), Portion(tile, []))


def test_planes_in_larger_planes_out() -> None:
    kind = Kind(31, 17, YUV420, Color())
    pictures = [
        [noise(17, 31), noise(9, 16), noise(9, 16)],
        [255 - noise(17, 31), noise(9, 16), noise(9, 16)],
    ]
    whole, tiled = network("bicubic"), network("bicubic", tile=16)
    large = whole.run(pictures, kind)
    assert [[plane.shape for plane in planes] for planes in large] == [[(34, 62), (17, 31), (17, 31)]] * 2
    for one, other in zip(large, tiled.run(pictures, kind), strict=True):
        for plane, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(plane, again)
    assert {luma[0] for luma, *_chroma in whole.compiled} == {2}, "both in one run"
    assert whole.run([], kind) == []
    whole.close()
    whole.close()
    tiled.close()


def test_alpha_goes_through_cubic_enlargement_like_a_gray_picture() -> None:
    luma, alpha, chroma = noise(24, 32), np.maximum(255 - noise(24, 32), 16), noise(12, 16)
    kind = Kind(32, 24, YUV420, Color())
    with Upscaler("fast", precision="fp32") as upscaler:
        (opaque,) = upscaler.network.run([[luma, chroma, chroma]], kind)
        with_alpha = PixelFormat("yuv", 8, (1, 1), alpha=True)
        found = upscaler.upscale(Frame([luma, chroma, chroma, alpha], 32, 24, with_alpha))
        assert len(upscaler.network.compiled) == 1, "the picture's, which alpha has no part in"
    ((cubic,),) = network("bicubic").run([[alpha]], Kind(32, 24, PixelFormat("gray"), Color()))
    for plane, expected in zip(found.planes, [*opaque, cubic], strict=True):
        np.testing.assert_array_equal(np.asarray(plane), expected)


@pytest.mark.parametrize("several", ["frames", "tiles"])
def test_as_many_are_in_the_engine_at_once_as_the_backend_wants(
    several: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(OPENVINO), "in_flight", 2)
    meeting, run = threading.Barrier(2, timeout=20), OpenVinoEngine.run

    def met(*given: Any) -> dict[str, np.ndarray]:
        if several == "tiles" or len(upscaler.network.compiled) > 1:
            meeting.wait()  # Raises where nobody else comes.
        return run(*given)

    # The first one by itself has all cores.
    frames = list(synthetic_frames(64, 32, 3 if several == "frames" else 1))
    with Upscaler("bicubic") as upscaler:
        alone = [upscaler.upscale(frame) for frame in frames]
    monkeypatch.setattr(OpenVinoEngine, "run", met)
    with Upscaler("bicubic", tile=32 if several == "tiles" else 0) as upscaler:
        at_once = 1 if several == "tiles" else None
        with upscaler.sequence(in_flight=at_once) as sequence:
            found = list(sequence.stream(frames))
    for one, other in zip(alone, found, strict=True):
        for plane, same in zip(one.planes, other.planes, strict=True):
            np.testing.assert_array_equal(plane, same)


def package(folder: Path, entries: str) -> Path:
    """A package of cubic enlargement whose model.toml has further entries."""
    shutil.copytree(find_model("bicubic").folder, folder)
    text = (folder / "model.toml").read_text(encoding="utf-8")
    (folder / "model.toml").write_text(f"{entries}\n{text}", encoding="utf-8")
    return folder


def test_what_a_package_says_of_its_memory(tmp_path: Path) -> None:
    spec = write_memory_network(tmp_path / "mine")
    assert (spec.states, spec.single) == (("input", "output"), "bicubic-x2")
    assert spec.as_dict()["states"] == ["input", "output"]
    assert spec.as_dict()["single"] == "bicubic-x2"
    shapes = {"y": (3, 1, 20, 60), "u": (3, 1, 10, 30), "v": (3, 1, 10, 30)}
    assert spec.memory_shapes(GraphLayout("yuv", 2, "left"), shapes) == {
        "y_before": (3, 1, 20, 60),
        "y_out_before": (3, 1, 40, 120),
        "keep": (3,),
    }
    of_rgb = write_memory_network(tmp_path / "small", states=["output"]).memory_shapes(
        GraphLayout("rgb", 1), dict.fromkeys("gbr", (1, 1, -1, -1))
    )
    assert of_rgb == {f"{name}_out_before": (1, 1, -1, -1) for name in "gbr"} | {"keep": (1,)}
    assert find_model("fast").memory_shapes(GraphLayout("gray", 1), {"y": (1, 1, 4, 4)}) == {}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("states = 1", r"states.* must be"),
        ("states = [1]", r"states.* must be"),
        ('states = "input"', r"states.* must be"),
        ('states = ["flow"]', r"states.* must be input or output"),
        ('states = ["output"]', "states and single go together"),
        ('single = "fast-x2"', "states and single go together"),
    ],
)
def test_a_wrong_memory_is_named(entries: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=said):
        load_spec(package(tmp_path / "model", entries))


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("y_out", "large", r"gray8\.onnx has outputs large; expected y_out"),
        ("max_code", "top", r"gray8\.onnx has inputs .*top.*; expected y and some of gain, "),
        (
            "scale = 2",
            "scale = 3",
            "makes y_out of 64x48 samples from 32x24; expected 3 times as many a side",
        ),
    ],
)
def test_a_package_that_is_not_what_it_says_is_one_line(
    backend: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(find_model("bicubic").folder, folder)
    spec = folder / "model.toml"
    spec.write_text(spec.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    graph = onnx.load(folder / "gray8.onnx")
    for port in (*graph.graph.input, *graph.graph.output):
        port.name = port.name.replace(old, new)
    for node in graph.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    onnx.save(graph, folder / "gray8.onnx")
    with (
        Upscaler(str(folder), backend=backend) as upscaler,
        pytest.raises(WeightsError, match=f"model package .*: .*{said}"),
    ):
        upscaler.upscale(noise(24, 32))


@pytest.mark.parametrize("location", [ChromaLocation.LEFT, ChromaLocation.CENTER, ChromaLocation.TOPLEFT])
@pytest.mark.parametrize("bits", [8, 10])
def test_chroma_beside_the_graph_is_as_in_it(
    bits: int, location: ChromaLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Luma the same, chroma within one code, and no graph of chroma is compiled."""
    random = np.random.default_rng(0)
    kind = Kind(33, 19, PixelFormat("yuv", bits, (1, 1)), Color(chroma_location=location))
    dtype = "u1" if bits == 8 else "<u2"
    sides = [kind.format.plane_size(number, 33, 19) for number in range(3)]
    picture = [random.integers(0, 1 << bits, (h, w)).astype(dtype).view(np.uint8) for w, h in sides]
    apart = network("bicubic")
    (found,) = apart.run([picture], kind)
    assert [len(shapes) for shapes in apart.compiled] == [1]
    together = network("bicubic")
    monkeypatch.setattr("vsr.upscale.network.is_enlarged_closely", lambda bits, scale: False)
    (wanted,) = together.run([picture], kind)
    assert [len(shapes) for shapes in together.compiled] == [3]
    np.testing.assert_array_equal(found[0], wanted[0])
    for plane, same in zip(found[1:], wanted[1:], strict=True):
        assert plane.shape == same.shape
        assert np.abs(plane.view(dtype).astype(int) - same.view(dtype)).max() <= 1


class _Elsewhere(OpenVinoBackend):
    """Says that it runs on a GPU."""

    device = "cuda:0"

    def compile(self, *arguments: Any) -> Engine:
        return OPENVINO.compile(*arguments)


@pytest.mark.parametrize("backend", backends())
def test_pictures_of_many_sizes_take_few_engines_and_look_as_with_one_for_each(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose_backend(backend)[0]
    if not chosen.takes_any_size(find_model("fast"), CompileOptions(precision="fp32")):
        pytest.skip("an engine for each size")
    compiled: list[Any] = []
    really = type(chosen).compile

    def counted(self: Any, *given: Any) -> Engine:
        compiled.append(given)
        return really(self, *given)

    monkeypatch.setattr(type(chosen), "compile", counted)
    rgb = PixelFormat("rgb", 8)
    kinds = [Kind(32 + 3 * n, 40 - 2 * n, kind, Color()) for n in range(6) for kind in (YUV420, rgb)]

    def stills() -> Network:
        options = CompileOptions(precision="fp32", stills=True)
        return Network(find_model("fast"), chosen, options, Portion(None, []))

    def planes(kind: Kind) -> list[np.ndarray]:
        sizes = [kind.format.plane_size(number, kind.width, kind.height) for number in range(3)]
        return [noise(height, width) for width, height in sizes]

    several = stills()
    found = [several.run([planes(kind)], kind)[0] for kind in (*kinds, *kinds)]
    several.close()
    assert len(compiled) == 2 * 3, "the first two sizes and any, of luma and of RGB"
    for number, kind in enumerate(kinds):
        alone = stills()
        (expected,) = alone.run([planes(kind)], kind)
        alone.close()
        for large in (found[number], found[number + len(kinds)]):
            for plane, wanted in zip(large, expected, strict=True):
                np.testing.assert_array_equal(plane, wanted)


def test_large_pictures_have_engines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever came before, and without what an engine for any size asks of others."""
    monkeypatch.setattr(engine_cache, "_LARGE", 40 * 32)
    compiled: list[tuple[tuple[int, ...], bool]] = []
    really = OpenVinoBackend.compile

    def counted(self: Any, spec: Any, layout: Any, shapes: Any, options: CompileOptions) -> Engine:
        compiled.append((shapes["y"][2:], options.stills))
        return really(self, spec, layout, shapes, options)

    monkeypatch.setattr(OpenVinoBackend, "compile", counted)
    options = CompileOptions(precision="fp32", stills=True)
    stills = Network(find_model("fast"), OPENVINO, options, Portion(None, []))
    gray = PixelFormat("gray", 8)
    sides = [(32, 40), (32, 38), (34, 36), (30, 36), (40, 40), (42, 40), (44, 40)]
    for height, width in sides:
        stills.run([[noise(height, width)]], Kind(width, height, gray, Color()))
    stills.close()
    any_size = OPENVINO.takes_any_size(find_model("fast"), options)
    shared = [((-1, -1), True)] if any_size else [((34, 36), True), ((30, 36), True)]
    assert compiled == [
        ((32, 40), False),
        ((32, 38), True),
        ((34, 36), True),
        *(shared if any_size else shared[1:]),
        ((40, 40), False),
        ((42, 40), False),
        ((44, 40), False),
    ]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("layout", ALL_LAYOUTS, ids=lambda layout: layout.name)
def test_an_engine_for_any_size_makes_the_codes_of_one_for_the_size(
    layout: GraphLayout, precision: Any
) -> None:
    spec, options = find_model("fast"), CompileOptions(precision=precision, stills=True)
    deep = layout.bytes_per_sample
    one = {
        name: noise(1, 1, *((20, 24 * deep) if layout.kind == "yuv" and name in "uv" else (40, 48 * deep)))
        for name in layout.plane_names
    }
    of_planes = PixelFormat(layout.kind, 8 * deep, (1, 1) if layout.kind == "yuv" else (0, 0))
    inputs = {**one, **small_inputs(of_planes, Color())}
    made = []
    for shapes in ({name: plane.shape for name, plane in one.items()}, dict.fromkeys(one, (1, 1, -1, -1))):
        with OPENVINO.compile(spec, layout, shapes, options) as engine:
            made.append(engine.run(inputs))
    for name, plane in made[0].items():
        np.testing.assert_array_equal(plane, made[1][name])


@pytest.mark.parametrize("backend", backends())
def test_steps_are_those_of_a_run_and_change_none(backend: str) -> None:
    """Also of planes that are padded to an even side, and of such as are no memory of their own."""
    kind, picture = Kind(31, 17, YUV420, Color()), [noise(17, 62)[:, ::2], noise(9, 16), noise(9, 16)]
    chosen = choose_backend(backend)[0]
    made = Network(find_model("bicubic"), chosen, CompileOptions(), Portion(None, []))
    (before,) = made.run([picture], kind)
    with made.steps(picture, kind) as steps:
        for step in (*steps.values(), *steps.values()):
            step()
        expected = {
            "openvino": ["copy in", "compute", "chroma"],
            "torch": ["copy in", "compute", "chroma" if chosen.device == "cpu" else "copy out"],
        }
        assert list(steps) == expected.get(backend, [])
    (after,) = made.run([picture], kind)
    for plane, again in zip(before, after, strict=True):
        np.testing.assert_array_equal(plane, again)
    tiled = network("bicubic", tile=16)
    with tiled.steps([noise(64, 64), noise(32, 32), noise(32, 32)], Kind(64, 64, YUV420, Color())) as steps:
        assert not steps
    tiled.close()
    made.close()


def test_where_a_gpu_runs_chroma_stays_in_the_graph() -> None:
    there = Network(find_model("bicubic"), _Elsewhere(), CompileOptions(), Portion(None, []))
    there.run([[noise(8, 8), noise(4, 4), noise(4, 4)]], Kind(8, 8, YUV420, Color()))
    assert [len(shapes) for shapes in there.compiled] == [3]
