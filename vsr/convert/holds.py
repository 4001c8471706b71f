"""Whether a network of others may be computed in half precision or in 8 bits: by a run that comes out the same on every
machine."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from vsr.backends.base import Arrays
from vsr.backends.graphs.precision import rounded
from vsr.convert.calibrate import Ends, widest
from vsr.convert.examples import drawn, filmed
from vsr.models.graphs.quantize import quantized
from vsr.models.spec import GraphLayout, ModelSpec, Precision

_TRIED: tuple[Precision, ...] = ("bf16", "fp16")
# Limits of the difference from float32, in 8 bits: a code in the root mean square, more only at hard edges. Trained weights
# (animevideov3, x2) reach 52 dB and 5 codes in bf16, 61 dB and 1 code in fp16; in int8 animevideov3 (x4) reaches 35 dB,
# Real-CUGAN (x2) 33 dB.
_LEAST_DB, _FARTHEST = 48.0, 8


def held(spec: ModelSpec) -> tuple[Precision, ...]:
    """The precisions, bf16 or fp16, in which a package makes the picture that float32 makes.

    Its network runs in float32 by ONNX Runtime, with weights and what each layer makes rounded as the precision has them: no
    processor or GPU has a say. Pictures: gradients, noise and hard edges, of 8 bits. Half precision holds where no sample is
    infinite, the mean of squares is 48 dB below white, and no sample is off by more than 8 codes.
    """
    layouts = [GraphLayout("gray", 1)]
    if spec.domain == "rgb":
        layouts = [GraphLayout("rgb", 1), GraphLayout("yuv", 1, "left")]
    graphs = [(onnx.load(str(spec.graph(layout))), drawn(layout, spec.size_multiple)) for layout in layouts]
    wanted = [_run(model, picture) for model, picture in graphs]
    return tuple(
        precision
        for precision in _TRIED
        if all(
            _is_close(_run(rounded(model, precision), picture), codes)
            for (model, picture), codes in zip(graphs, wanted, strict=True)
        )
    )


def int8_ends(spec: ModelSpec) -> tuple[Ends, bool]:
    """The input ranges of a package's convolutions for int8 (see `ModelSpec.calibration`), and whether it holds in int8, as
    `held` says. The pictures are the ones of `held`, and parts of frames of vsr's clip: every other picture calibrates,
    the rest decide."""
    layout = GraphLayout("rgb" if spec.domain == "rgb" else "gray", 1)
    picture, frames = drawn(layout, spec.size_multiple), filmed(layout, spec.size_multiple)
    ends = widest(spec, layout, [picture, *frames[::2]])
    model = onnx.load(str(spec.graph(layout)))
    kernels = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    in_int8 = quantized(model, kernels, ends)
    others = [picture, *frames[1::2]]
    return ends, bool(ends) and all(_is_close(_run(in_int8, one), _run(model, one)) for one in others)


def _is_close(found: NDArray[np.int16], wanted: NDArray[np.int16]) -> bool:
    apart = np.abs(found - wanted)
    mean_square = float(np.square(apart, dtype=np.float64).mean())
    psnr = -10 * math.log10(mean_square / 255**2) if mean_square else math.inf
    return psnr >= _LEAST_DB and int(apart.max()) <= _FARTHEST


def _run(model: onnx.ModelProto, inputs: Arrays) -> NDArray[np.int16]:
    """All samples of the result. NaN becomes some code, far from the result of float32."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # No optimization may remove a pair of roundings.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = {port.name for port in session.get_inputs()}
    results = session.run(None, {name: array for name, array in inputs.items() if name in names})
    return np.concatenate([plane.ravel() for plane in results]).astype(np.int16)
