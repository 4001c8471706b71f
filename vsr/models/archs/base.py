"""The base of every luma network: cubic enlarging, a residual added to it, and facts found by running the network.

A network computes a residual [N, scale^2, H, W], row by row of each output block, that is added to the input repeated; a fixed
cubic residual (Keys 1981, a = -0.5) is part of it, and the last convolution starts at zero, so training starts at bicubic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.core.errors import ConfigError, WeightsError


@dataclass(frozen=True)
class NetworkSpec:
    """Hyperparameters of a network. `scale` 2, 3 or 4. Raises ConfigError for values that make no network.

    widths: hyperparameters that count channels. size_multiple: width and height of the input must be multiples. whole: an
    output pixel depends on the whole picture.
    """

    scale: int

    network: ClassVar[type[LumaNetwork]]
    widths: ClassVar[tuple[str, ...]] = ("channels",)
    size_multiple: ClassVar[int] = 1
    whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ConfigError(f"scale must be 2, 3 or 4, got {self.scale}")
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")

    @cached_property
    def parameters(self) -> int:
        """Weights that are trained."""
        return sum(p.numel() for p in self.network(self).parameters())

    @cached_property
    def macs_per_pixel(self) -> float:
        """Multiply-adds of the convolutions per pixel of the input picture."""
        network, side, total = self.network(self), 12 * self.size_multiple, 0

        def count(conv: nn.Module, _inputs: object, output: Tensor) -> None:
            nonlocal total
            assert isinstance(conv, nn.Conv2d)
            total += output[0].numel() * conv.weight[0].numel()

        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(count)
        with torch.inference_mode():
            network.residual(torch.zeros(1, 1, side, side))
        return total / side**2

    @cached_property
    def halo(self) -> int:
        """The reach of an output pixel, in input pixels, found with weights that all count."""
        if self.whole:
            return 64  # where distant samples matter little
        network = self.network(replace(self, **dict.fromkeys(self.widths, 2))).double()
        with torch.no_grad():
            for parameter in network.parameters():
                # With these values neither the middle overflows nor the edges underflow, even with hundreds of layers.
                parameter.fill_(3.0 / parameter[0].numel() if parameter.dim() > 1 else 0.5)
        unit, side = self.size_multiple, 64
        while True:
            luma = torch.rand(1, 1, 4 * unit, side, dtype=torch.float64, requires_grad=True)
            middle = side // 2 // unit * unit
            block = network.residual(luma)[:, :, unit : 2 * unit, middle : middle + unit]
            (gradient,) = torch.autograd.grad(block.sum(), luma)
            columns = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
            first, last = int(columns[0]), int(columns[-1])
            if first > 0 and last < side - 1:
                return max(middle - first, last - middle)
            side *= 2


class LumaNetwork(nn.Module):
    """Takes luma float [N, 1, H, W] in 0..1 (code value / 255), gives [N, 1, H*scale, W*scale] about 0..1, not clipped.

    `compute_dtype` bfloat16 runs the convolutions so, with weights in float32. Subclasses give `detail`.
    """

    def __init__(self, spec: NetworkSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.scale = spec.scale
        self.compute_dtype = compute_dtype
        self.cubic = CubicResidual(spec.scale)

    def detail(self, luma: Tensor) -> Tensor:
        """The learnt part, [N, scale^2, H, W]."""
        raise TypeError("a network says what its detail is")

    def residual(self, luma: Tensor) -> Tensor:
        """The residual that is added to the repeated input, [N, scale^2, H, W]."""
        base: Tensor = self.cubic(luma)
        return base + self.detail(luma)

    def forward(self, luma: Tensor) -> Tensor:
        fast = self.compute_dtype != torch.float32
        with torch.autocast(luma.device.type, self.compute_dtype, enabled=fast):
            detail = self.detail(luma)
        return self.enlarged(luma, detail.float())

    def enlarged(self, luma: Tensor, detail: Tensor) -> Tensor:
        """`luma` enlarged by cubic convolution, and `detail` added."""
        residual = self.cubic(luma) + detail
        return functional.pixel_shuffle(residual + luma.expand_as(residual), self.scale)

    @torch.no_grad()
    def fold(self) -> dict[str, Tensor]:
        """The weights in the form that is stored: float32 on the CPU."""
        return {n: p.detach().float().cpu().clone().contiguous() for n, p in self.named_parameters()}

    def load_folded(self, state: dict[str, Tensor]) -> None:
        """Start from the result of `fold`. Raises WeightsError where it doesn't fit."""
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"these weights are not of a network of type {type(self).__name__}") from error


class ResidualTrunk(LumaNetwork):
    """One skip over all of `blocks`, which keep `channels` (EDSR, Lim et al. 2017), between a first and a last convolution."""

    def __init__(
        self, spec: NetworkSpec, compute_dtype: torch.dtype, channels: int, blocks: Iterable[nn.Module]
    ) -> None:
        super().__init__(spec, compute_dtype)
        self.head = conv(1, channels)
        self.blocks = nn.Sequential(*blocks)
        self.body = conv(channels, channels)
        self.tail = last_conv(channels, spec.scale**2)

    def detail(self, luma: Tensor) -> Tensor:
        features = self.head(luma)
        result: Tensor = self.tail(features + self.body(self.blocks(features)))
        return result


class CubicResidual(nn.Module):
    """Cubic enlargement less the repeated sample: [N, 1, H, W] to [N, scale^2, H, W]. Fixed; edges repeat."""

    weight: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        taps = torch.zeros(scale, 5)
        for phase in range(scale):
            offset = (phase + 0.5) / scale - 0.5
            taps[phase] = torch.tensor([_keys(tap - 2 - offset) for tap in range(5)])
        kernels = torch.einsum("ay,bx->abyx", taps, taps).reshape(scale**2, 1, 5, 5)
        kernels[:, :, 2, 2] -= 1.0
        self.register_buffer("weight", kernels, persistent=False)

    def forward(self, luma: Tensor) -> Tensor:
        padded = functional.pad(luma, [2, 2, 2, 2], mode="replicate")
        return functional.conv2d(padded, self.weight)


def conv(width_in: int, width_out: int, size: int = 3, *, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(width_in, width_out, size, padding=size // 2, groups=groups)


def last_conv(width_in: int, width_out: int, size: int = 3) -> nn.Conv2d:
    """The same, starting at zero."""
    made = conv(width_in, width_out, size)
    nn.init.zeros_(made.weight)
    assert made.bias is not None
    nn.init.zeros_(made.bias)
    return made


def initialise_for_relu(*modules: nn.Module) -> None:
    """He et al., "Delving deep into rectifiers", 2015: signals keep their strength through layers without skips."""
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def _keys(distance: float) -> float:
    x = abs(distance)
    if x <= 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0
