"""ONNX Runtime's loop on the processor, in fp32."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import Loop, Task


class OnnxRuntimeLoop(Loop):
    name = "ONNX Runtime's loop"
    requirements = ("onnxruntime==1.32.0", "av==18.1.0", "numpy==2.4.6")
    licence = "MIT"

    def prepare(self, task: Task) -> None:
        import onnxruntime

        self.task = task
        path = str(task.folder / "compact.onnx")
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def enlarge(self, rgb: Any) -> Any:
        import numpy as np

        picture = rgb.transpose(2, 0, 1)[None].astype(np.float32) / 255
        large = self.session.run(None, {self.input: picture})[0][0]
        return np.ascontiguousarray((large.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


PEER = OnnxRuntimeLoop()
