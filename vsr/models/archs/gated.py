"""Gated residual blocks: the architecture of the next luma network `quality`.

Each block runs a few 3x3 convolutions. Their output f is added to the block's input x, and the sum is multiplied by the gate
sigmoid(f) - 0.5, which has no parameters (SPAN, Wan et al., "Swift parameter-free attention network for efficient
super-resolution", 2024). SPAN's block ends there. Here x is added once more: a block whose f is zero passes x on unchanged,
so blocks can be added to a trained network. In training, each kernel is a sum of parts, as in a chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv
from vsr.models.archs.chain import KernelStack
from vsr.models.archs.prelu import prelu


@dataclass(frozen=True)
class GatedSpec(NetworkSpec):
    """`channels` of the trunk, its `blocks`, and how many 3x3 convolutions each block has (`depth`, at least 2)."""

    channels: int = 48
    blocks: int = 6
    depth: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 2:
            raise ConfigError(f"depth must be at least 2, got {self.depth}")

    @property
    def conv_widths(self) -> list[tuple[int, int]]:
        """Input and output channels of every convolution: the first, the ones of the blocks, the last."""
        trunk = [(self.channels, self.channels)] * (self.blocks * self.depth)
        return [(1, self.channels), *trunk, (self.channels, self.scale**2)]

    def has_activation(self, layer: int) -> bool:
        """Whether a PReLU follows convolution `layer`: inside the blocks, but not at their ends."""
        return layer <= self.blocks * self.depth and layer % self.depth != 0


class PlainGated(LumaNetwork):
    """The network as it runs: `convs.N.weight`, `convs.N.bias` and `acts.N.weight`.

    The gate lies in -0.5..0.5, so a block gives at most 1.5 |x| + 0.5 |f|. Six blocks multiply x by 12 at most, and float16
    holds that.
    """

    def __init__(self, spec: GatedSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.spec = spec
        self.convs = nn.ModuleList(conv(i, o) for i, o in spec.conv_widths)
        self.acts = nn.ModuleList(
            nn.PReLU(spec.channels) if spec.has_activation(layer) else nn.Identity()
            for layer in range(len(self.convs) - 1)
        )

    def detail(self, luma: Tensor) -> Tensor:
        def convolve(features: Tensor, layer: int) -> Tensor:
            found: Tensor = self.convs[layer](features)
            return self.acts[layer](found) if self.spec.has_activation(layer) else found

        return _detail(self.spec, luma, convolve)


class Gated(LumaNetwork):
    """The network as it trains. Same input and output as PlainGated; `fold` gives PlainGated's weights."""

    def __init__(self, spec: GatedSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.spec = spec
        first, *trunk, last = spec.conv_widths
        self.first = KernelStack(1, *first, identity=False)
        self.trunk = KernelStack(len(trunk), *trunk[0], identity=False)
        self.last = KernelStack(1, *last, identity=False)
        with torch.no_grad():  # Training starts at bicubic.
            for parameter in (self.last.weight, self.last.squeeze, self.last.bias):
                parameter.zero_()
        self.slopes = nn.Parameter(torch.full((len(self._active), spec.channels), 0.25))

    @property
    def _active(self) -> list[int]:
        return [layer for layer in range(len(self.spec.conv_widths)) if self.spec.has_activation(layer)]

    @property
    def _stacks(self) -> tuple[KernelStack, KernelStack, KernelStack]:
        return self.first, self.trunk, self.last

    def forward(self, luma: Tensor) -> Tensor:
        return self.enlarged(luma, self.detail(luma).float())

    def detail(self, luma: Tensor) -> Tensor:
        dtype = self.compute_dtype
        kernels = [kernel for stack in self._stacks for kernel in stack.kernels(dtype).unbind()]
        biases = [bias for stack in self._stacks for bias in stack.bias.to(dtype).unbind()]
        slopes = dict(zip(self._active, self.slopes.to(dtype).unbind(), strict=True))

        def convolve(features: Tensor, layer: int) -> Tensor:
            found = functional.conv2d(features, kernels[layer], biases[layer], padding=1)
            return prelu(found, slopes[layer]) if layer in slopes else found

        return _detail(self.spec, luma.to(dtype).contiguous(memory_format=torch.channels_last), convolve)

    @torch.no_grad()
    def fold(self) -> dict[str, Tensor]:
        """The state dict of the PlainGated that computes the same, float32 on the CPU."""
        kernels = [kernel for stack in self._stacks for kernel in stack.kernels().unbind()]
        biases = [bias for stack in self._stacks for bias in stack.bias.unbind()]
        state = {f"convs.{layer}.weight": kernel for layer, kernel in enumerate(kernels)}
        state |= {f"convs.{layer}.bias": bias for layer, bias in enumerate(biases)}
        state |= {
            f"acts.{layer}.weight": slope
            for layer, slope in zip(self._active, self.slopes.unbind(), strict=True)
        }
        # Clones, because safetensors refuses tensors that share memory.
        return {name: tensor.detach().float().cpu().clone().contiguous() for name, tensor in state.items()}

    @torch.no_grad()
    def load_folded(self, state: dict[str, Tensor]) -> None:
        """Start from the result of `fold`. Raises WeightsError where it doesn't fit."""
        plain = PlainGated(self.spec)
        try:
            plain.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"these weights are not of a network with {self.spec}") from error
        at = 0
        for stack in self._stacks:
            convs = [plain.get_submodule(f"convs.{at + number}") for number in range(len(stack.weight))]
            stack.load_kernels(torch.stack([each.get_parameter("weight") for each in convs]))
            stack.bias.copy_(torch.stack([each.get_parameter("bias") for each in convs]))
            at += len(convs)
        slopes: list[Tensor] = [plain.get_parameter(f"acts.{layer}.weight") for layer in self._active]
        self.slopes.copy_(torch.stack(slopes))


def _detail(spec: GatedSpec, luma: Tensor, convolve: Callable[[Tensor, int], Tensor]) -> Tensor:
    """The learnt residual, [N, scale^2, H, W]. `convolve(features, n)` applies convolution n and its activation."""
    features = convolve(luma, 0)
    layer = 1
    for _ in range(spec.blocks):
        found = features
        for _ in range(spec.depth):
            found = convolve(found, layer)
            layer += 1
        features = features + (features + found) * (torch.sigmoid(found) - 0.5)
    return convolve(features, layer)


GatedSpec.network = PlainGated
