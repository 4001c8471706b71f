"""An import finds out in which half precisions a network gives good pictures, and the package says which."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.convert.test_importing import saved
from vsr.backends.base import chosen_precision
from vsr.bench.synthetic import synthetic_frames
from vsr.convert.foreign import examine, load_onnx
from vsr.convert.importing import import_model
from vsr.evaluation.metrics import psnr
from vsr.models.spec import Precision, load_spec
from vsr.upscale.upscaler import Upscaler

OFFERED: tuple[Precision, ...] = ("bf16", "fp16", "fp32")


@pytest.mark.parametrize("channels", [1, 3])
def test_one_that_holds_is_computed_so_unasked(channels: int, tmp_path: Path) -> None:
    spec = import_model(saved(tmp_path / "net.onnx", channels=channels), tmp_path / "net-x2")
    assert spec.holds == ("bf16", "fp16", "int8")
    assert load_spec(tmp_path / "net-x2").holds == spec.holds
    assert chosen_precision(spec, None, OFFERED) == "bf16"
    assert chosen_precision(spec, None, ("int8", *OFFERED)) == "int8"
    with Upscaler(str(spec.folder), precision="bf16") as upscaler:
        assert not any("holds" in note for note in upscaler.notes)


@pytest.mark.parametrize("channels", [1, 3])
def test_int8_is_near_float32_where_it_holds(channels: int, tmp_path: Path) -> None:
    """On frames that it was neither calibrated nor tried on."""
    spec = import_model(saved(tmp_path / "net.onnx", channels=channels), tmp_path / "net-x2")
    assert "int8" in spec.holds
    frame = next(islice(synthetic_frames(96, 64, 5), 4, None))
    made = {}
    for precision in ("fp32", "int8"):
        with Upscaler(str(spec.folder), backend="openvino", precision=precision) as upscaler:
            made[precision] = upscaler.upscale(frame).planes
            assert upscaler.precision == precision
            assert not any("holds" in note for note in upscaler.notes)
    for exact, rounded in zip(made["fp32"], made["int8"], strict=True):
        assert psnr(np.asarray(exact), np.asarray(rounded)) > 46
    assert any(
        (np.asarray(exact) != np.asarray(rounded)).any()
        for exact, rounded in zip(made["fp32"], made["int8"], strict=True)
    )


def test_int8_that_loses_the_picture_is_there_when_asked_for(tmp_path: Path) -> None:
    """A feature that is 500 everywhere, and that nothing uses, leaves none of 255 steps to the others."""
    model = onnx.load(saved(tmp_path / "net.onnx", channels=1))
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if tensor.name == "b0":
            values[0] = 500
        elif tensor.name == "w1":
            values[:, 0] = 0
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "wild.onnx")
    spec = import_model(tmp_path / "wild.onnx", tmp_path / "wild-x2")
    assert "int8" not in spec.holds
    assert chosen_precision(spec, None, ("int8", *OFFERED)) != "int8"
    with Upscaler(str(spec.folder), backend="openvino", precision="int8") as upscaler:
        assert any("wild-x2 holds in int8" in note for note in upscaler.notes)
        upscaler.upscale(np.zeros((16, 16), np.uint8))
        assert upscaler.precision == "int8"


@pytest.mark.parametrize(("large", "holds"), [(2e4, ()), (5.0, ("fp16",))])
def test_one_that_does_not_stays_in_float32_unless_asked(
    large: float, holds: tuple[Precision, ...], tmp_path: Path
) -> None:
    """Layers that add much and take it away again: bfloat16 loses the picture first, beyond 65504 half precision does too."""
    model = onnx.load(saved(tmp_path / "net.onnx", channels=1, gain=0.002))
    for name, value in (("much", large), ("times", 10.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    add = helper.make_node
    model.graph.node[-1].output[0] = "made"
    model.graph.node.extend(
        [
            add("Mul", ["made", "times"], ["ten"]),
            add("Mul", ["much", "times"], ["far"]),
            add("Add", ["ten", "far"], ["moved"]),
            add("Sub", ["moved", "far"], ["back"]),
            add("Div", ["back", "times"], ["y"]),
        ]
    )
    onnx.save(model, tmp_path / "fragile.onnx")
    spec = import_model(tmp_path / "fragile.onnx", tmp_path / "fragile-x2")
    assert spec.holds == (*holds, "int8"), "its convolutions bear it"
    assert chosen_precision(spec, None, OFFERED) == (holds or ("fp32",))[0]
    assert chosen_precision(spec, "bf16", OFFERED) == "bf16"
    with Upscaler(str(spec.folder), precision="bf16") as upscaler:
        assert any("fragile-x2 holds in bf16" in note for note in upscaler.notes)


def test_multiply_adds_go_by_the_shapes_of_a_run(tmp_path: Path) -> None:
    """Also where weights are made in the graph, which shape inference alone does not see through."""
    model = onnx.load(saved(tmp_path / "net.onnx"))
    model.graph.node.insert(0, helper.make_node("Identity", ["w0"], ["same"]))
    model.graph.node[1].input[1] = "same"
    model.graph.node.insert(0, helper.make_node("Shape", ["x"], ["sizes"]))
    model.graph.node.insert(1, helper.make_node("Reshape", ["x", "sizes"], ["again"]))
    model.graph.node[3].input[0] = "again"
    onnx.save(model, tmp_path / "odd.onnx")
    assert examine(load_onnx(tmp_path / "odd.onnx")).macs_per_pixel == 9 * 8 * (3 + 12)


def test_transposed_convolutions_in_groups_count_each_sample_once(tmp_path: Path) -> None:
    kernel = np.full((4, 1, 2, 2), 0.25, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Concat", ["x"] * 4, ["four"], axis=1),
            helper.make_node("ConvTranspose", ["four", "k"], ["parts"], strides=[2, 2], group=4),
            helper.make_node("ReduceMean", ["parts", "axes"], ["mean"]),
            helper.make_node("Mul", ["mean", "gain"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, None, None])],
        [
            numpy_helper.from_array(kernel, "k"),
            numpy_helper.from_array(np.array([1]), "axes"),
            numpy_helper.from_array(np.array(4, np.float32), "gain"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        tmp_path / "up.onnx",
    )
    assert examine(load_onnx(tmp_path / "up.onnx")).macs_per_pixel == 4 * 4
