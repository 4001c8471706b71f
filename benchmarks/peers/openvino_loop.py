"""OpenVINO's five lines around the network, in bf16 where the processor has it."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import Loop, Task, flags


class OpenVinoLoop(Loop):
    name = "OpenVINO's five lines"
    requirements = ("openvino==2026.4.1", "av==18.1.0", "numpy==2.4.6")
    licence = "Apache-2.0"

    def prepare(self, task: Task) -> None:
        import openvino as ov

        self.task = task
        core = ov.Core()
        model = core.read_model(task.folder / "compact.onnx")
        model.reshape([1, 3, task.height, task.width])
        hint = "bf16" if flags() & {"amx_bf16", "avx512_bf16"} else "f32"
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()

    def enlarge(self, rgb: Any) -> Any:
        import numpy as np

        picture = rgb.transpose(2, 0, 1)[None].astype(np.float32) / 255
        large = self.request.infer([picture])[0][0]
        return np.ascontiguousarray((large.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


PEER = OpenVinoLoop()
