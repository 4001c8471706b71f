"""Whether a network of others may be computed in half precision: by a run that comes out the same on every machine."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from vsr.backends.base import Arrays
from vsr.backends.graphs.precision import rounded
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.models.spec import GraphLayout, ModelSpec, Precision
from vsr.upscale.graph_inputs import small_inputs

_TRIED: tuple[Precision, ...] = ("bf16", "fp16")
# Beside float32 in 8 bits: a code in the root mean square, more only at hard edges. Trained weights (animevideov3, x2) reach
# 52 dB and 5 codes in bf16, 61 dB and 1 code in fp16.
_LEAST_DB, _FARTHEST = 48.0, 8
_SIDE = 96


def held(spec: ModelSpec) -> tuple[Precision, ...]:
    """Those of bf16 and fp16 in which a package makes the picture that float32 makes.

    Its network runs in float32 by ONNX Runtime, with weights and what each layer makes rounded as the precision has them: no
    processor or GPU has a say. Pictures: gradients, noise and hard edges, of 8 bits. Half precision holds where no sample is
    infinite, the mean of squares is 48 dB below white, and no sample is off by more than 8 codes.
    """
    layouts = [GraphLayout("gray", 1)]
    if spec.domain == "rgb":
        layouts = [GraphLayout("rgb", 1), GraphLayout("yuv", 1, "left")]
    graphs = [
        (onnx.load(str(spec.graph(layout))), _pictures(layout, spec.size_multiple)) for layout in layouts
    ]
    wanted = [_run(model, picture) for model, picture in graphs]
    return tuple(
        precision
        for precision in _TRIED
        if all(
            _is_close(_run(rounded(model, precision), picture), codes)
            for (model, picture), codes in zip(graphs, wanted, strict=True)
        )
    )


def _is_close(found: NDArray[np.int16], wanted: NDArray[np.int16]) -> bool:
    apart = np.abs(found - wanted)
    mean_square = float(np.square(apart, dtype=np.float64).mean())
    psnr = -10 * math.log10(mean_square / 255**2) if mean_square else math.inf
    return psnr >= _LEAST_DB and int(apart.max()) <= _FARTHEST


def _run(model: onnx.ModelProto, inputs: Arrays) -> NDArray[np.int16]:
    """All samples of the result. What is no number comes out as some code, far from what float32 makes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Whatever makes two roundings into none.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = {port.name for port in session.get_inputs()}
    results = session.run(None, {name: array for name, array in inputs.items() if name in names})
    return np.concatenate([plane.ravel() for plane in results]).astype(np.int16)


def _pictures(layout: GraphLayout, multiple: int) -> Arrays:
    """From left to right a gradient, noise about a wave, and blocks of black and white; planes differ."""
    random = np.random.default_rng(0)
    side = -(-_SIDE // multiple) * multiple
    planes = {}
    for number, name in enumerate(layout.plane_names):
        length = side // 2 if name in "uv" else side
        rows, columns = np.mgrid[0:length, 0:length] / length
        waves = (
            0.5 + 0.3 * np.sin(9 * rows + number) * np.cos(7 * columns) + random.normal(0, 0.02, rows.shape)
        )
        blocks = (rows * 12 // 1 + columns * 12 // 1 + number) % 2
        codes = np.select([columns < 1 / 3, columns < 2 / 3], [rows, waves], blocks)
        planes[name] = np.clip(np.rint(255 * codes), 0, 255).astype(np.uint8)[None, None]
    chroma = (1, 1) if layout.kind == "yuv" else (0, 0)
    return planes | small_inputs(PixelFormat(layout.kind, 8, chroma), Color())
