"""Frame graphs in half precision: the network alone changes, and it still makes the same picture."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from vsr.backends.graphs.precision import in_precision
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.models import GraphLayout, find_model
from vsr.upscale.graph_inputs import small_inputs


@pytest.mark.parametrize("model", ["fast", "balanced"])
def test_half_a_network_makes_the_same_picture(model: str) -> None:
    spec, layout = find_model(model), GraphLayout("yuv", 1, "left")
    path = spec.graph(layout)
    # As it lies, and with its weights inside.
    referring, holding = onnx.load(str(path), load_external_data=False), onnx.load(str(path))
    rows, columns = np.mgrid[0:32, 0:48]
    y = ((np.sin(rows / 3) * np.cos(columns / 5) + 1) * 110 + 10).astype(np.uint8)[None, None]
    inputs = {"y": y, "u": y[:, :, ::2, ::2].copy(), "v": y[:, :, 1::2, 1::2].copy()}
    small = small_inputs(PixelFormat("yuv", 8, (1, 1)), Color())
    inputs |= {name: small[name] for name in ("gain", "bias", "max_code")}
    found = {}
    for precision in ("fp32", "fp16"):
        changed = in_precision(holding, precision)
        onnx.checker.check_model(changed, full_check=True)
        session = onnxruntime.InferenceSession(
            changed.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found[precision] = [plane.astype(int) for plane in session.run(None, inputs)]
    for exact, half in zip(*found.values(), strict=True):
        assert np.abs(exact - half).max() <= 1
    for precision, kind in (("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)):
        changed = in_precision(referring, precision)
        assert not any(tensor.data_type == kind for tensor in changed.graph.initializer)
        casts = [node for node in changed.graph.node if node.op_type == "Cast" and _to(node) == kind]
        assert {name for node in casts for name in node.input} >= {"convs.0.weight", "luma/normal"}
        assert "y/bytes" not in {name for node in casts for name in node.input}


def _to(node: onnx.NodeProto) -> int:
    return next(int(attribute.i) for attribute in node.attribute if attribute.name == "to")
