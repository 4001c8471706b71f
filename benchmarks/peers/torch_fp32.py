"""The loop of PyTorch, in fp32 and channels last, which on processors is the faster order."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import Loop, Task


class TorchLoop(Loop):
    name = "PyTorch's loop, fp32"
    requirements = ("torch==2.14.1", "safetensors==0.8.0", "av==18.1.0", "numpy==2.4.6")
    licence = "BSD-3-Clause"
    dtype, device = "float32", "cpu"

    def prepare(self, task: Task) -> None:
        import torch

        self.task = task
        self.network = compact(task).to(self.device, getattr(torch, self.dtype))
        self.network = self.network.to(memory_format=torch.channels_last)

    def enlarge(self, rgb: Any) -> Any:
        import torch

        with torch.inference_mode():
            picture = torch.from_numpy(rgb).to(self.device).permute(2, 0, 1)[None]
            picture = picture.to(getattr(torch, self.dtype), memory_format=torch.channels_last) / 255
            large = self.network(picture)[0].float().clamp(0, 1).mul(255).round().byte()
            return large.permute(1, 2, 0).contiguous().cpu().numpy()


def compact(task: Task) -> Any:
    """SRVGGNetCompact of Real-ESRGAN, with the task's weights."""
    from safetensors.torch import load_file
    from torch import nn

    weights = load_file(task.folder / "compact.safetensors")
    layers: list[nn.Module] = []
    while (weight := weights.get(f"body.{len(layers)}.weight")) is not None:
        convolves = weight.dim() == 4
        layers += [nn.Conv2d(*weight.shape[1::-1], 3, padding=1) if convolves else nn.PReLU(len(weight))]

    class Compact(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(*layers)

        def forward(self, picture: Any) -> Any:
            large = nn.functional.pixel_shuffle(self.body(picture), task.scale)
            return large + nn.functional.interpolate(picture, scale_factor=task.scale, mode="nearest")

    network = Compact()
    network.load_state_dict(weights)
    return network.eval()


PEER = TorchLoop()
