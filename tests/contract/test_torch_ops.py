"""What torch makes of ONNX operators that shipped packages don't hold and imported networks do."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from vsr.backends.torch.ops import UnknownOperatorError, compiled

SHAPE = (2, 6, 10, 14)


def network(op: str, extra: list[Any], outputs: int = 1, **attributes: Any) -> ModelProto:
    """One operator on "x" [2, 6, 10, 14]; `extra` inputs are constants, None for those left out."""
    constants = {f"c{n}": np.asarray(value) for n, value in enumerate(extra) if value is not None}
    names = ["x", *(f"c{n}" if value is not None else "" for n, value in enumerate(extra))]
    made = [f"y{n}" for n in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, made, **attributes)],
        op,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_empty_tensor_value_info(name) for name in made],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def f32(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


SIZES = np.array([2, 6, 25, 9])
SCALES = np.array([1, 1, 2, 2], np.float32)
RESIZES = [
    {"mode": mode, "coordinate_transformation_mode": where}
    for mode in ("nearest", "linear", "cubic")
    for where in ("half_pixel", "asymmetric", "align_corners")
]


@pytest.mark.parametrize(
    ("op", "extra", "attributes"),
    [
        *[("Resize", [None, None, SIZES], settings) for settings in RESIZES],
        *[("Resize", [None, SCALES], settings) for settings in RESIZES],
        *[("Resize", [None, SCALES], {"mode": "nearest", "nearest_mode": how}) for how in ("floor", "ceil")],
        ("Resize", [None, SCALES], {"mode": "cubic", "cubic_coeff_a": -0.5, "antialias": 0}),
        ("Shape", [], {}),
        ("Shape", [], {"start": 2, "end": 3}),
        ("Slice", [np.array([1, 2]), np.array([-1, 2**40]), np.array([3, 2]), np.array([2, 1])], {}),
        ("Slice", [np.array([1]), np.array([3])], {}),
        ("Gather", [np.array([3, 0])], {"axis": 1}),
        ("Gather", [np.array(1)], {"axis": 2}),
        ("ReduceMean", [np.array([2, 3])], {"keepdims": 1}),
        ("ReduceMean", [np.array([1])], {"keepdims": 0}),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("ConvTranspose", [f32(6, 3, 4, 4), f32(3)], {"pads": [1, 1, 1, 1], "strides": [2, 2], "kernel_shape": [4, 4]}),
        ("Conv", [f32(4, 6, 3, 3), f32(4)], {"pads": [1, 1, 1, 1], "dilations": [1, 1], "kernel_shape": [3, 3]}),
        ("Identity", [], {}),
        ("Pad", [np.array([0, 0, 1, 2, 0, 0, 3, 4]), np.float32(0.5)], {}),
        ("Pad", [np.array([0, 0, 1, 2, 0, 0, 3, 4])], {"mode": "edge"}),
        ("Split", [np.array([1, 5])], {"axis": 1}),
        ("Cast", [], {"to": int(TensorProto.INT64)}),
    ],
)  # fmt: skip
def test_the_same_numbers_as_onnx_runtime(op: str, extra: list[Any], attributes: dict[str, Any]) -> None:
    model, x = network(op, extra, 2 if op == "Split" else 1, **attributes), f32(*SHAPE)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted, *_ = session.run(None, {"x": x})
    values, steps = compiled(model.graph, torch.float32, torch.device("cpu"))
    values["x"] = torch.from_numpy(x)
    for step in steps:
        step(values)
    np.testing.assert_allclose(values["y0"].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("op", "extra", "attributes"),
    [
        ("Einsum", [], {"equation": "nchw->nhwc"}),
        ("Conv", [f32(4, 6, 3, 3)], {"dilations": [2, 2]}),
        ("Conv", [f32(4, 6, 3, 3)], {"pads": [0, 0, 1, 1]}),
        ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1])], {"mode": "wrap"}),
        ("Cast", [], {"to": int(TensorProto.DOUBLE)}),
        ("Resize", [None, SCALES], {"mode": "linear", "antialias": 1}),
        ("DepthToSpace", [], {"blocksize": 2, "mode": "DCR"}),
    ],
)
def test_what_it_cannot_do_it_says_before_running(
    op: str, extra: list[Any], attributes: dict[str, Any]
) -> None:
    graph = network(op, extra, **attributes).graph
    with pytest.raises(UnknownOperatorError, match=op):
        compiled(graph, torch.float32, torch.device("cpu"))
