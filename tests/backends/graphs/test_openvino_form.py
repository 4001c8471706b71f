"""What OpenVINO is given instead of a package's graph makes the very same bytes."""

from __future__ import annotations

import numpy as np
import pytest

import vsr.backends.openvino
from vsr.backends.base import CompileOptions
from vsr.backends.graphs.openvino_form import in_openvino_form
from vsr.backends.openvino import BACKEND
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.models import find_model
from vsr.models.spec import ALL_LAYOUTS, GraphLayout, ModelSpec
from vsr.upscale.graph_inputs import small_inputs

HEIGHT, WIDTH = 18, 22


def _inputs(layout: GraphLayout, bits: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(bits)
    planes = {}
    for name in layout.plane_names:
        height, width = (HEIGHT // 2, WIDTH // 2) if name in "uv" else (HEIGHT, WIDTH)
        codes = random.integers(0, 1 << bits, (2, 1, height, width))
        planes[name] = codes.astype("u1" if bits == 8 else "<u2").view(np.uint8)
    chroma = (1, 1) if layout.kind == "yuv" else (0, 0)
    return planes | small_inputs(PixelFormat(layout.kind, bits, chroma), Color())


def _shapes(layout: GraphLayout, inputs: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: inputs[name].shape for name in layout.plane_names}


def _cases() -> list[object]:
    """Every layout for one network; factors of three and four for two."""
    few = (GraphLayout("yuv", 1, "left"), GraphLayout("rgb", 2, "center"))
    return [
        pytest.param(model, layout, bits, id=f"{model}-{layout.name}-{bits}")
        for model, layouts in (("fast-x2", ALL_LAYOUTS), ("bicubic-x3", few), ("balanced-x4", few))
        for layout in layouts
        for bits in ((8,) if layout.bytes_per_sample == 1 else (10, 16))
    ]


@pytest.mark.parametrize(("model", "layout", "bits"), _cases())
def test_every_code_stays(
    model: str, layout: GraphLayout, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, inputs = find_model(model), _inputs(layout, bits)

    def run() -> dict[str, np.ndarray]:
        with BACKEND.compile(spec, layout, _shapes(layout, inputs), CompileOptions(2, "fp32")) as engine:
            return engine.run(inputs)

    found = run()
    monkeypatch.setattr(vsr.backends.openvino, "in_openvino_form", lambda *_: None)
    as_shipped = run()
    assert found.keys() == as_shipped.keys()
    for name, plane in as_shipped.items():
        assert found[name].dtype == np.uint8
        np.testing.assert_array_equal(found[name], plane, err_msg=name)


def _converted(spec: ModelSpec, layout: GraphLayout) -> tuple[list[str], list[str]]:
    """The operators of a graph before and after."""
    import openvino

    model = openvino.Core().read_model(spec.graph(layout))
    model.reshape(_shapes(layout, _inputs(layout, 10)))
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    in_openvino_form(model, layout.plane_names, layout.bytes_per_sample)
    return before, [node.get_type_name() for node in model.get_ordered_ops()]


def test_samples_are_placed_as_whole_numbers() -> None:
    """No pairs are split and joined, and only the bytes of a result are moved."""
    before, after = _converted(find_model("fast-x2"), GraphLayout("yuv", 2, "left"))
    assert before.count("Floor") == 6
    assert after.count("Floor") == 3
    shuffles = [at for at, kind in enumerate(after) if kind == "DepthToSpace"]
    assert len(shuffles) == 3
    assert all(after[at - 1] == "Convert" for at in shuffles)


def test_a_graph_of_other_making_stays_as_it_is() -> None:
    import openvino
    from openvino import opset13

    plane = opset13.parameter([1, 1, 4, 4], np.uint8, "y")
    plane.output(0).set_names({"y"})
    result = opset13.depth_to_space(opset13.tile(plane, [1, 4, 1, 1]), "depth_first", 2)
    result.output(0).set_names({"y_out"})
    model = openvino.Model([opset13.result(result)], [plane], "other")
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    in_openvino_form(model, ["y"], 1)
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before
