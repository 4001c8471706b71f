"""A network alone as one ONNX file, for other programs: luma in, luma out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from onnx.external_data_helper import load_external_data_for_model

from vsr.backends.graphs.precision import in_precision
from vsr.core.errors import WeightsError
from vsr.files.whole import write_whole
from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.networks import Network

OnnxPrecision = Literal["fp32", "fp16"]
Array = npt.NDArray[np.float32]

_PROBE = 64
_FP16_MAX = 65504


@dataclass(frozen=True)
class OnnxFile:
    """A written ONNX file. `largest_difference`: from the network in fp32, in code values of 255, over a probe picture."""

    path: Path
    scale: int
    precision: OnnxPrecision
    largest_difference: float


def write_onnx(network: Network, path: Path, precision: OnnxPrecision = "fp32") -> OnnxFile:
    """Write `network` as an ONNX file of its own.

    Input `luma` float32 [n, 1, h, w] in 0..1 (code value / 255), height and width multiples of the network's
    `size_multiple`; output `enlarged` float32 [n, 1, h*scale, w*scale], not clipped. Sizes and batch are dynamic. In fp16
    the convolutions and their weights are halved; the sum with the input stays float32. Raises WeightsError where fp16
    overflows.
    """
    whole = _model(network)
    model = in_precision(whole, precision)
    onnx.checker.check_model(model, full_check=True)
    difference = _difference(whole, model, _PROBE * network.size_multiple) if precision != "fp32" else 0.0
    write_whole(path, model.SerializeToString())
    return OnnxFile(path, network.scale, precision, difference)


def _model(network: Network) -> onnx.ModelProto:
    graph = GraphBuilder(network.weights_file)
    luma = graph.input("luma", TensorProto.FLOAT, ["n", 1, "h", "w"])
    total = graph.add("Add", [network.add_to(graph, luma), luma], "sum")
    enlarged = graph.add("DepthToSpace", [total], "enlarged", blocksize=network.scale, mode="CRD")
    graph.output(enlarged, TensorProto.FLOAT, ["n", 1, "h_out", "w_out"])
    model = graph.model("network")
    if network.weights_file:
        load_external_data_for_model(model, str(network.weights_file.parent))
    for node in model.graph.node:
        node.name = node.output[0]
    facts = {"scale": network.scale, "size_multiple": network.size_multiple, "halo": network.halo}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
    return model


def _difference(whole: onnx.ModelProto, halved: onnx.ModelProto, side: int) -> float:
    rng = np.random.default_rng(0)
    # Noise and hard edges drive activations furthest.
    luma = rng.random((1, 1, side, side), dtype=np.float32)
    luma[..., side // 2 :] = np.round(luma[..., side // 2 :])
    watched = onnx.ModelProto()
    watched.CopyFrom(whole)
    # Runtimes without fp16 leave out the casts between two nodes, so that nothing overflows there.
    names = [node.output[0] for node in whole.graph.node if node.output[0].startswith("net/")]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    wanted, *inside = _run(watched, luma)
    for name, values in zip(names, inside, strict=True):
        if values.dtype == np.float32 and not np.abs(values).max() <= _FP16_MAX:
            raise WeightsError(
                f"this network overflows in fp16: {name} reaches {np.abs(values).max():.3g}",
                hint="export it in fp32",
            )
    (found,) = _run(halved, luma)
    return float(np.abs(wanted - found).max() * 255)


def _run(model: onnx.ModelProto, luma: Array) -> list[npt.NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results: list[npt.NDArray[Any]] = session.run(None, {"luma": luma})
    return results
