"""The loop of PyTorch on an NVIDIA GPU, compiled, in half precision and channels last."""

from __future__ import annotations

from benchmarks.peers.peer import Task, no_gpu
from benchmarks.peers.torch_fp32 import TorchLoop


class TorchCompile(TorchLoop):
    name = "PyTorch's loop, compiled"
    dtype, device = "float16", "cuda"

    def left_out(self) -> str | None:
        return no_gpu()

    def prepare(self, task: Task) -> None:
        import torch

        super().prepare(task)
        self.network = torch.compile(self.network, mode="max-autotune")


PEER = TorchCompile()
