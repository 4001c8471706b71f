"""A chain of plain 3x3 convolutions with pixel shuffle: the luma networks `fast`, `balanced` and `quality`.

The sub-pixel output is ESPCN's (Shi et al., "Real-time single image and video super-resolution using an efficient
sub-pixel convolutional neural network", 2016), added to the input repeated to the output size. While training, each
kernel is the sum of a 3x3 kernel, a 1x1 -> 3x3 product and the identity (RepVGG, Ding et al. 2021; ECBSR, Zhang et al.
2021). The sum is taken over weights, before the convolution runs, so training costs what running costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs.prelu import prelu
from vsr.models.archs.rounding import rounded_features, rounded_kernels


@dataclass(frozen=True)
class ChainSpec:
    """The parameters of a chain; `[arch]` in a recipe has the same names.

    `scale` 2, 3 or 4. `channels` of the trunk. `depth` counts the trunk's 3x3 convolutions, between the first and the last.
    `unshuffle` 1 runs the trunk at the input's resolution, 2 at half of it. `skip_every` k > 0 adds the input of every k trunk
    convolutions to their output and the first convolution's output to the trunk's (EDSR, Lim et al. 2017); 0 leaves a plain
    chain. `linear` is the side of a filter beside it all that learns the linear part of enlarging, 0 for none. Raises
    ConfigError for values that make no network.
    """

    scale: int
    channels: int
    depth: int
    unshuffle: Literal[1, 2] = 1
    skip_every: int = 0
    linear: int = 0

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ConfigError(f"scale must be 2, 3 or 4, got {self.scale}")
        if self.unshuffle not in (1, 2):
            raise ConfigError(f"unshuffle must be 1 or 2, got {self.unshuffle}")
        if self.channels < 1 or self.depth < 1:
            raise ConfigError(f"channels and depth must be at least 1, got {self.channels} and {self.depth}")
        if self.skip_every < 0 or (self.skip_every and self.depth % self.skip_every):
            raise ConfigError(f"depth {self.depth} must be a multiple of skip_every {self.skip_every}")

        if self.linear and not (self.linear % 2 and 3 <= self.linear <= 9):
            raise ConfigError(f"linear must be 0, 3, 5, 7 or 9, got {self.linear}")

    @property
    def widths(self) -> list[tuple[int, int]]:
        """Input and output channels of every convolution, first to last."""
        first, last = self.unshuffle**2, (self.scale * self.unshuffle) ** 2
        trunk = [(self.channels, self.channels)] * self.depth
        return [(first, self.channels), *trunk, (self.channels, last)]

    def has_activation(self, conv: int) -> bool:
        """Whether a PReLU follows convolution `conv`. None follows the last convolution, or the last one of a residual
        group."""
        if conv == self.depth + 1:
            return False
        return not (self.skip_every and conv > 0 and conv % self.skip_every == 0)

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-adds of the convolutions per pixel of the input picture."""
        return sum(9 * i * o for i, o in self.widths) / self.unshuffle**2 + (self.linear * self.scale) ** 2

    @property
    def parameters(self) -> int:
        """Weights, biases and slopes once folded."""
        slopes = sum(self.has_activation(conv) for conv in range(self.depth + 1)) * self.channels
        return sum(9 * i * o + o for i, o in self.widths) + slopes + (self.linear * self.scale) ** 2

    @property
    def halo(self) -> int:
        """The reach of an output pixel, in input pixels: a tile needs this much on each side to match the whole."""
        reach = (self.depth + 2) * self.unshuffle
        return max(reach + self.unshuffle - 1, self.linear // 2)

    @property
    def size_multiple(self) -> int:
        """Width and height of the input must be multiples of this."""
        return self.unshuffle


class PlainChain(nn.Module):
    """The chain as it runs: `convs.N.weight`, `convs.N.bias`, `acts.N.weight` and `linear.weight`, nothing else.

    Takes luma float [N, 1, H, W] in 0..1 (code value / 255), H and W multiples of `size_multiple`; gives
    [N, 1, H*scale, W*scale] about 0..1, not clipped.
    """

    def __init__(self, spec: ChainSpec) -> None:
        super().__init__()
        self.spec = spec
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in spec.widths)
        self.acts = nn.ModuleList(
            nn.PReLU(spec.channels) if spec.has_activation(conv) else nn.Identity()
            for conv in range(spec.depth + 1)
        )
        side = spec.linear
        around: dict[str, Any] = {"padding": side // 2, "padding_mode": "replicate", "bias": False}
        self.linear = nn.Conv2d(1, spec.scale**2, side, **around) if side else None

    def forward(self, luma: Tensor) -> Tensor:
        spec = self.spec
        features = functional.pixel_unshuffle(luma, spec.unshuffle) if spec.unshuffle > 1 else luma
        features = start = group = self.acts[0](self.convs[0](features))
        for conv in range(1, spec.depth + 1):
            features = self.acts[conv](self.convs[conv](features))
            if spec.skip_every and conv % spec.skip_every == 0:
                features = group = features + group
        if spec.skip_every:
            features = features + start
        residual = _shuffled(self.convs[-1](features), spec)
        if self.linear:
            residual = residual + functional.pixel_shuffle(self.linear(luma), spec.scale)
        return residual + repeated(luma, spec.scale)


class Chain(nn.Module):
    """The chain as it trains. Same input and output as PlainChain; `fold` gives PlainChain's weights.

    `compute_dtype` bfloat16 runs the convolutions so; the weights and their folding stay float32. `rounded`: the inputs of all
    convolutions except the first are rounded to 8 bits, see `vsr.models.archs.rounding`.
    """

    def __init__(self, spec: ChainSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.spec = spec
        self.compute_dtype = compute_dtype
        self.rounded = False
        first, *trunk, last = spec.widths
        # The trunk's kernels have one shape, so they are kept and folded as one stack.
        self.first = KernelStack(1, *first, identity=False)
        self.trunk = KernelStack(len(trunk), *trunk[0], identity=spec.skip_every == 0)
        self.last = KernelStack(1, *last, identity=False)
        with torch.no_grad():  # Training starts near the repeated picture.
            for parameter in (self.last.weight, self.last.squeeze, self.last.bias):
                parameter.mul_(0.1)
        slopes = sum(spec.has_activation(conv) for conv in range(spec.depth + 1))
        self.slopes = nn.Parameter(torch.full((slopes, spec.channels), 0.25))
        taps = (spec.scale**2, spec.linear, spec.linear)
        self.linear = nn.Parameter(torch.zeros(taps)) if spec.linear else None

    def folded(self) -> tuple[list[Tensor], list[Tensor], list[Tensor | None]]:
        """Kernels, biases and slopes of each convolution, differentiable, in `compute_dtype`."""
        stacks = (self.first, self.trunk, self.last)
        kernels = [k for stack in stacks for k in stack.kernels(self.compute_dtype).unbind()]
        biases = [b for stack in stacks for b in stack.bias.to(self.compute_dtype).unbind()]
        slopes = iter(self.slopes.to(self.compute_dtype).unbind())
        active = [next(slopes) if self.spec.has_activation(conv) else None for conv in range(len(kernels))]
        return kernels, biases, active

    def forward(self, luma: Tensor) -> Tensor:
        spec = self.spec
        kernels, biases, slopes = self.folded()

        def convolve(features: Tensor, conv: int) -> Tensor:
            kernel = kernels[conv]
            if self.rounded and conv:
                features, kernel = rounded_features(features), rounded_kernels(kernel)
            features = functional.conv2d(features, kernel, biases[conv], padding=1)
            slope = slopes[conv]
            return features if slope is None else prelu(features, slope)

        features = functional.pixel_unshuffle(luma, spec.unshuffle) if spec.unshuffle > 1 else luma
        features = features.to(self.compute_dtype).contiguous(memory_format=torch.channels_last)
        features = start = group = convolve(features, 0)
        for conv in range(1, spec.depth + 1):
            features = convolve(features, conv)
            if spec.skip_every and conv % spec.skip_every == 0:
                features = group = features + group
        if spec.skip_every:
            features = features + start
        residual = _shuffled(convolve(features, spec.depth + 1), spec).float()
        if self.linear is not None:
            centred = (self.linear - self.linear.mean((1, 2), keepdim=True)).unsqueeze(1)
            around = functional.pad(luma, [spec.linear // 2] * 4, mode="replicate")
            residual = residual + functional.pixel_shuffle(functional.conv2d(around, centred), spec.scale)
        return residual + repeated(luma, spec.scale)

    @torch.no_grad()
    def fold(self) -> dict[str, Tensor]:
        """The state dict of the PlainChain that computes the same, float32 on the CPU."""
        stacks = (self.first, self.trunk, self.last)
        kernels = [k for stack in stacks for k in stack.kernels().unbind()]
        biases = [b for stack in stacks for b in stack.bias.unbind()]
        slopes = iter(self.slopes.unbind())
        state: dict[str, Tensor] = {}
        for conv, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            state[f"convs.{conv}.weight"], state[f"convs.{conv}.bias"] = kernel, bias
            if self.spec.has_activation(conv):
                state[f"acts.{conv}.weight"] = next(slopes)
        if self.linear is not None:
            state["linear.weight"] = in_steps(self.linear).unsqueeze(1)
        # Clones, because safetensors refuses tensors that share memory.
        return {name: tensor.detach().float().cpu().clone().contiguous() for name, tensor in state.items()}

    @torch.no_grad()
    def load_folded(self, state: dict[str, Tensor]) -> None:
        """Start from the result of `fold` of a chain with the same spec. Raises WeightsError where it doesn't fit."""
        plain = plain_chain_from_weights(self.spec, state)
        at = 0
        for stack in (self.first, self.trunk, self.last):
            convs = [plain.get_submodule(f"convs.{at + number}") for number in range(stack.weight.shape[0])]
            stack.load_kernels(torch.stack([conv.get_parameter("weight") for conv in convs]))
            stack.bias.copy_(torch.stack([conv.get_parameter("bias") for conv in convs]))
            at += len(convs)
        active = [conv for conv in range(self.spec.depth + 1) if self.spec.has_activation(conv)]
        slopes: list[Tensor] = [plain.get_parameter(f"acts.{conv}.weight") for conv in active]
        self.slopes.copy_(torch.stack(slopes))
        if self.linear is not None:
            self.linear.copy_(plain.get_parameter("linear.weight").squeeze(1))


class KernelStack(nn.Module):
    """`count` 3x3 kernels of one shape, each a 3x3 kernel + a 1x1 -> 3x3 product (+ the identity).

    Stored as [count, out, 3, 3, in], so that every kernel is in channels-last memory order.
    """

    identity: Tensor

    def __init__(self, count: int, width_in: int, width_out: int, *, identity: bool) -> None:
        super().__init__()
        middle = 2 * width_out
        self.weight = nn.Parameter(_uniform((count, width_out, 3, 3, width_in), fan_in=9 * width_in))
        self.expand = nn.Parameter(_uniform((count, middle, width_in), fan_in=width_in))
        self.squeeze = nn.Parameter(_uniform((count, width_out * 9, middle), fan_in=9 * middle))
        self.bias = nn.Parameter(_uniform((count, width_out), fan_in=9 * width_in))
        kernel = torch.zeros(width_out, 3, 3, width_in)
        if identity:
            kernel[:, 1, 1, :] = torch.eye(width_out, width_in)
        self.register_buffer("identity", kernel, persistent=False)

    def kernels(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """[count, out, in, 3, 3], summed in float32."""
        product = torch.bmm(self.squeeze, self.expand).view(self.weight.shape)
        return (self.weight + product + self.identity).to(dtype).permute(0, 1, 4, 2, 3)

    def load_kernels(self, kernels: Tensor) -> None:
        """Choose the 3x3 part so that the sum is `kernels` [count, out, in, 3, 3]."""
        product = torch.bmm(self.squeeze, self.expand).view(self.weight.shape)
        self.weight.copy_(kernels.permute(0, 1, 3, 4, 2) - product - self.identity)


def repeated(luma: Tensor, scale: int) -> Tensor:
    """`luma` [N, 1, H, W] with every pixel repeated `scale` times in both directions."""
    return functional.pixel_shuffle(luma.repeat(1, scale * scale, 1, 1), scale)


def _shuffled(packed: Tensor, spec: ChainSpec) -> Tensor:
    """The residual at output size. Back to the input's resolution first, where it can be added to the input as it is."""
    return functional.pixel_shuffle(functional.pixel_shuffle(packed, spec.unshuffle), spec.scale)


def in_steps(taps: Tensor) -> Tensor:
    """Taps [N, k, k] less their mean, to the nearest 1/256 and summing to zero: bfloat16 holds them exactly, so that flat
    areas stay flat there too."""
    rounded = ((taps - taps.mean((1, 2), keepdim=True)) * 256).round()
    middle = taps.shape[1] // 2
    rounded[:, middle, middle] -= rounded.sum((1, 2))
    return rounded / 256


def plain_chain_from_weights(spec: ChainSpec, weights: dict[str, Tensor]) -> PlainChain:
    """A PlainChain in eval mode with folded `weights`. Raises WeightsError where names or shapes don't fit `spec`."""
    network = PlainChain(spec)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise WeightsError(f"these weights are not of a chain with {spec}") from error
    return network.eval()


# Weights are scaled so that a layer's largest value is this, far from both ends of float16's range, 6e-8 and 65504.
_PEAK = 8.0


@torch.no_grad()
def within_half_precision(spec: ChainSpec, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Folded `weights` of the same network, no layer of which leaves the range of float16.

    PReLU of c x is c times PReLU of x for c > 0, so what a convolution is multiplied by the next one can be divided by. As
    training has it values may grow from layer to layer. The factors are powers of two, which change no digit of float32 or
    bfloat16, chosen by what noise of full contrast makes of each layer. Chains with skips stay as they are.
    """
    if spec.skip_every:
        return weights
    network = plain_chain_from_weights(spec, weights)
    noise = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)).round()
    features = functional.pixel_unshuffle(noise, spec.unshuffle)
    scaled, before = dict(weights), 1.0
    for conv in range(spec.depth + 1):
        features = network.convs[conv](features)
        peak = float(features.abs().max())
        factor = 2.0 ** round(math.log2(_PEAK / peak)) if 0 < peak < math.inf else before
        scaled[f"convs.{conv}.weight"] = weights[f"convs.{conv}.weight"] * (factor / before)
        scaled[f"convs.{conv}.bias"] = weights[f"convs.{conv}.bias"] * factor
        features, before = network.acts[conv](features), factor
    last = f"convs.{spec.depth + 1}.weight"
    scaled[last] = weights[last] / before
    return scaled


def _uniform(shape: tuple[int, ...], *, fan_in: int) -> Tensor:
    bound = 1.0 / math.sqrt(fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
