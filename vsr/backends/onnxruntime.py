"""ONNX Runtime on the CPU: slower than OpenVINO, for machines without OpenVINO. It also computes fp8 as a GPU would, slowly."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import (
    DEFAULTS,
    Arrays,
    Availability,
    CompileOptions,
    Engine,
    chosen_precision,
    out_of_memory,
)
from vsr.backends.process import first_user
from vsr.core.errors import EngineBuildError, InferenceError, is_out_of_memory, reason
from vsr.models.spec import GraphLayout, ModelSpec, Precision, check_ports

if TYPE_CHECKING:
    import onnxruntime


class OnnxRuntimeEngine(Engine):
    """One session."""

    def __init__(self, session: onnxruntime.InferenceSession, precision: Precision) -> None:
        self.precision = precision
        self._session = session
        self.inputs = [value.name for value in session.get_inputs()]
        self.outputs = [value.name for value in session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        try:
            results = self._session.run(self.outputs, {name: inputs[name] for name in self.inputs})
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise InferenceError(f"ONNX Runtime: {reason(error)}") from error
        return dict(zip(self.outputs, results, strict=True))


class OnnxRuntimeBackend:
    """See vsr.backends.base.Backend."""

    name, kinds, device = "onnxruntime", ("cpu",), "cpu"
    in_flight = batch = 1

    def devices(self) -> dict[str, str]:
        return {"cpu": ""} if importlib.util.find_spec("onnxruntime") else {}

    def on(self, device: str) -> OnnxRuntimeBackend:
        return self

    def takes_any_size(self, spec: ModelSpec, options: CompileOptions) -> bool:
        return True

    def probe(self) -> Availability:
        if importlib.util.find_spec("onnxruntime") is None:
            return Availability(False, "onnxruntime is not installed", "pip install onnxruntime")
        import onnxruntime

        return Availability(True, f"ONNX Runtime {onnxruntime.__version__}, fp32")

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = DEFAULTS,
    ) -> OnnxRuntimeEngine:
        import onnxruntime

        first_user(self.name).check("ONNX Runtime")
        precision = chosen_precision(spec, options.precision, ["fp32", "int8", "fp8"])
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = options.threads
        # Waiting threads sleep: spinning would take the cores from the decoder and the encoder.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = spec.graph(layout, int8=precision == "int8")
        try:
            graph = _in_fp8(path, spec) if precision == "fp8" else str(path)
            session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise EngineBuildError(
                f"ONNX Runtime cannot load {spec.id} ({layout.name}): {reason(error)}"
            ) from error
        engine = OnnxRuntimeEngine(session, precision)
        memory = spec.memory_shapes(layout, plane_shapes)
        check_ports(path, layout, engine.inputs, engine.outputs, memory)
        return engine


def _in_fp8(path: Path, spec: ModelSpec) -> bytes:
    """The graph from which an fp8 engine would be made, weights included."""
    import onnx
    from onnx.numpy_helper import to_array

    from vsr.models.graphs.quantize import quantized

    model = onnx.load(str(path))
    kernels = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    data: bytes = quantized(model, kernels, spec.calibration, features="fp8").SerializeToString()
    return data


BACKEND = OnnxRuntimeBackend()
