"""A network alone as one ONNX file, for other programs: luma in, luma out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from onnx.external_data_helper import load_external_data_for_model

from vsr.convert.builder import GraphBuilder
from vsr.convert.networks import Network
from vsr.core.errors import MissingDependencyError, WeightsError
from vsr.media.commit import write_whole

Precision = Literal["fp32", "fp16"]
Array = npt.NDArray[np.float32]

_PROBE = 64


@dataclass(frozen=True)
class OnnxFile:
    """What was written. `largest_difference` from the network in fp32, in code values of 255, over a probe picture."""

    path: Path
    scale: int
    precision: Precision
    largest_difference: float


def write_onnx(network: Network, path: Path, precision: Precision = "fp32") -> OnnxFile:
    """Write `network` as an ONNX file of its own.

    Input `luma` float32 [n, 1, h, w] in 0..1 (code value / 255), height and width multiples of the network's
    `size_multiple`; output `enlarged` float32 [n, 1, h*scale, w*scale], not clipped. Sizes and batch are dynamic. In fp16
    the convolutions and their weights are halved; the sum with the input stays float32. Raises WeightsError where fp16
    overflows.
    """
    whole = _model(network)
    model = whole if precision == "fp32" else _halved(whole)
    onnx.checker.check_model(model, full_check=True)
    difference = _difference(whole, model, _PROBE * network.size_multiple) if model is not whole else 0.0
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


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "making fp16 networks needs onnxruntime", hint="pip install onnxruntime"
        ) from error
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of weights too small for fp16: what they are worth is measured.
        halved: onnx.ModelProto = convert_float_to_float16(
            copied, keep_io_types=True, node_block_list=["sum", "enlarged"]
        )
    OnnxModel(halved).topological_sort()  # Its casts come last, wherever they belong.
    return halved


def _difference(whole: onnx.ModelProto, halved: onnx.ModelProto, side: int) -> float:
    rng = np.random.default_rng(0)
    # Noise and hard edges: what drives activations furthest.
    luma = rng.random((1, 1, side, side), dtype=np.float32)
    luma[..., side // 2 :] = np.round(luma[..., side // 2 :])
    wanted, found = (_run(model, luma) for model in (whole, halved))
    if not np.isfinite(found).all():
        raise WeightsError("this network overflows in fp16", hint="export it in fp32")
    return float(np.abs(wanted - found).max() * 255)


def _run(model: onnx.ModelProto, luma: Array) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (enlarged,) = session.run(None, {"luma": luma})
    result: Array = enlarged
    return result
