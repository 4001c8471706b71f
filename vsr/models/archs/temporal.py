"""A chain of convolutions that also sees the frame before: the luma networks `temporal`.

Motion is found between the input frames (`vsr.models.archs.motion`). Two things of the past go into the chain, beside the luma:

- What the last input frame shows and the present one lacks. Each of its samples is gathered at whole samples, and what the
  present frame has at that place is taken off. The rest is spread by its sub-sample phase over the nine half-sample places
  around it, by linear weights. Filters of these nine planes are a bank with a filter for each phase.
- The last result, moved by the motion, less the present frame enlarged (Sajjadi et al., "Frame-recurrent video
  super-resolution", 2018). The network says how much of it is taken; the mixture is convex, so that it does not drift.

Both are weighed by how well the frames match. Where nothing matches, where the last frame ended, and where a sequence begins,
the past has no part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs.chain import KernelStack, in_steps
from vsr.models.archs.motion import inside, mean_around, motion, windows
from vsr.models.archs.prelu import prelu
from vsr.models.graphs.motion import BLOCK, MOTION_HALO
from vsr.models.graphs.past import (
    ACTIVITY_FLOOR,
    ACTIVITY_WINDOW,
    BANK,
    BEGINNING_OF_TRUST,
    LINEAR,
    MATCH_WINDOW,
    OFF_SCALE,
    PHASES,
    SHARE_AT_FIRST,
)


@dataclass(frozen=True)
class TemporalSpec:
    """The parameters of a temporal network; `[arch]` in a recipe has the same names.

    `scale` 2, 3 or 4. `channels` of the trunk. `depth` counts the trunk's 3x3 convolutions, between the first and the last, as
    in a chain. Raises ConfigError for values that make no network.
    """

    scale: int
    channels: int
    depth: int

    def __post_init__(self) -> None:
        if self.scale not in (2, 3, 4):
            raise ConfigError(f"scale must be 2, 3 or 4, got {self.scale}")
        if self.channels < 1 or self.depth < 1:
            raise ConfigError(f"channels and depth must be at least 1, got {self.channels} and {self.depth}")

    @property
    def past(self) -> int:
        """Planes of the past: the nine of the last input, and the last result's."""
        return len(PHASES) ** 2 + self.scale**2

    @property
    def widths(self) -> list[tuple[int, int]]:
        """Input and output channels of every convolution of the chain. Two more planes say how well the frames match; the last
        convolution gives what is new and how much of the past is taken."""
        trunk = [(self.channels, self.channels)] * self.depth
        return [(1 + self.past + 2, self.channels), *trunk, (self.channels, 2 * self.scale**2)]

    @property
    def macs_per_pixel(self) -> float:
        """Multiply-adds of the convolutions per pixel of the input picture, without motion."""
        chain = sum(9 * i * o for i, o in self.widths)
        return chain + (LINEAR**2 + BANK**2 * self.past) * self.scale**2

    @property
    def parameters(self) -> int:
        """Weights, biases and slopes once folded."""
        chain = sum(9 * i * o + o for i, o in self.widths) + (self.depth + 1) * self.channels
        return chain + (LINEAR**2 + BANK**2 * self.past) * self.scale**2 + 2

    @property
    def halo(self) -> int:
        """The reach of an output pixel in both frames, in input pixels."""
        return self.depth + 2 + MATCH_WINDOW // 2 + MOTION_HALO

    @property
    def size_multiple(self) -> int:
        """Width and height of the input must be multiples of this."""
        return BLOCK


@dataclass(frozen=True)
class Past:
    """The frame before, for `step`.

    luma: float [N, 1, H, W] in 0..1. result: what the network made of it, [N, 1, H*scale, W*scale]. vectors: of `motion`, from
    the present frame to it, [N, 2, H/4, W/4]. keep: [N, 1, 1, 1], 0 where the frame is of another sequence, else 1.
    """

    luma: Tensor
    result: Tensor
    vectors: Tensor
    keep: Tensor


def past_of(now: Tensor, luma: Tensor, result: Tensor) -> Past:
    """The past of a frame that follows another one, with the motion between them."""
    return Past(luma, result, motion(now, luma), torch.ones_like(now[:, :, :1, :1]))


class _Recurrent(nn.Module, ABC):
    """The frame around the chain, in both forms. Takes luma float [N, 1, H, W] in 0..1, H and W multiples of `size_multiple`;
    gives [N, 1, H*scale, W*scale] about 0..1, not clipped."""

    def __init__(self, spec: TemporalSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def convolved(self, features: Tensor) -> Tensor:
        """The chain: [N, 1 + past + 2, H, W] to [N, 2 * scale^2, H, W]."""

    @abstractmethod
    def filters(self) -> tuple[Tensor, Tensor, Tensor]:
        """Taps of the linear filter [scale^2, 1, k, k] and of the bank [scale^2, past, k, k], and the two numbers of trust."""

    def forward(self, luma: Tensor) -> Tensor:
        """A frame without a past."""
        none = luma.new_zeros(len(luma), self.spec.past + 2, *luma.shape[2:])
        return self._enlarged(luma, self._based(luma), none, None)

    def step(self, now: Tensor, past: Past) -> Tensor:
        """A frame that has a past."""
        scale = self.spec.scale
        base = self._based(now)
        whole = past.vectors.round()
        phase = past.vectors - whole
        gathered = windows(past.luma, whole, BLOCK, BLOCK, 1.0, "nearest")
        lacking = gathered - windows(now, -phase, BLOCK, BLOCK, 1.0, "bicubic")
        off = mean_around(lacking.abs(), MATCH_WINDOW)
        activity = mean_around((now - mean_around(now, ACTIVITY_WINDOW)).abs(), MATCH_WINDOW)
        first, second = self.filters()[2].unbind()
        known = inside(whole, BLOCK) * past.keep
        trust = torch.sigmoid(first - second * off / (activity + ACTIVITY_FLOOR)) * known
        near = [
            [(1 - 2 * (-part - place).abs()).clamp(min=0) for place in PHASES] for part in phase.chunk(2, 1)
        ]
        weights = torch.cat([across * down for down in near[1] for across in near[0]], 1)
        spread = lacking * trust * weights.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
        moved = windows(past.result, past.vectors * scale, BLOCK * scale, BLOCK * scale, 1.0)
        taken = functional.pixel_unshuffle(moved, scale) - base
        seen = torch.cat([spread, taken * trust], 1)
        matches = torch.cat([trust, OFF_SCALE * off * past.keep], 1)
        return self._enlarged(now, base, torch.cat([seen, matches], 1), (seen, taken, trust))

    def unrolled(self, frames: Tensor) -> Tensor:
        """Each frame of sequences [N, T, H, W], the first without a past: [N, T, H*scale, W*scale]."""
        made: list[Tensor] = []
        luma: Tensor | None = None
        for now in (frame.unsqueeze(1) for frame in frames.unbind(1)):
            made.append(self(now) if luma is None else self.step(now, self._before(now, luma, made[-1])))
            luma = now
        return torch.cat(made, 1)

    @staticmethod
    def _before(now: Tensor, luma: Tensor, result: Tensor) -> Past:
        with torch.no_grad():  # Motion has no weights.
            vectors = motion(now, luma)
        return Past(luma, result.clamp(0, 1), vectors, torch.ones_like(now[:, :, :1, :1]))

    def _based(self, luma: Tensor) -> Tensor:
        """The frame enlarged by the linear filter, packed: [N, scale^2, H, W]."""
        around = functional.pad(luma, [LINEAR // 2] * 4, mode="replicate")
        return luma + functional.conv2d(around, self.filters()[0])

    def _enlarged(
        self, luma: Tensor, base: Tensor, planes: Tensor, past: tuple[Tensor, Tensor, Tensor] | None
    ) -> Tensor:
        made, share = self.convolved(torch.cat([luma, planes], 1)).chunk(2, 1)
        if past:
            seen, taken, trust = past
            made = made + functional.conv2d(seen, self.filters()[1], padding=BANK // 2)
            made = made + torch.sigmoid(share) * trust * (taken - made)
        return functional.pixel_shuffle(base + made, self.spec.scale)


class PlainTemporal(_Recurrent):
    """The network as it runs: `convs.N.weight`, `convs.N.bias`, `acts.N.weight`, `linear.weight`, `bank.weight`, `trust`."""

    def __init__(self, spec: TemporalSpec) -> None:
        super().__init__(spec)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in spec.widths)
        self.acts = nn.ModuleList(nn.PReLU(spec.channels) for _ in range(spec.depth + 1))
        self.linear = nn.Conv2d(1, spec.scale**2, LINEAR, bias=False)
        self.bank = nn.Conv2d(spec.past, spec.scale**2, BANK, bias=False)
        self.trust = nn.Parameter(torch.tensor(BEGINNING_OF_TRUST))

    def convolved(self, features: Tensor) -> Tensor:
        for conv, act in zip(self.convs, self.acts, strict=False):
            features = act(conv(features))
        found: Tensor = self.convs[-1](features)
        return found

    def filters(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.linear.weight, self.bank.weight, self.trust


class Temporal(_Recurrent):
    """The network as it trains; `fold` gives PlainTemporal's weights. See `Chain`."""

    def __init__(self, spec: TemporalSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec)
        self.compute_dtype = compute_dtype
        first, *trunk, last = spec.widths
        self.first = KernelStack(1, *first, identity=False)
        self.trunk = KernelStack(len(trunk), *trunk[0], identity=True)
        self.last = KernelStack(1, *last, identity=False)
        self.slopes = nn.Parameter(torch.full((spec.depth + 1, spec.channels), 0.25))
        self.linear = nn.Parameter(torch.zeros(spec.scale**2, LINEAR, LINEAR))
        self.bank = nn.Parameter(torch.zeros(spec.scale**2, spec.past, BANK, BANK))
        self.trust = nn.Parameter(torch.tensor(BEGINNING_OF_TRUST))

    @property
    def _stacks(self) -> tuple[KernelStack, KernelStack, KernelStack]:
        return self.first, self.trunk, self.last

    def convolved(self, features: Tensor) -> Tensor:
        dtype = self.compute_dtype
        features = features.to(dtype).contiguous(memory_format=torch.channels_last)
        kernels = [kernel for stack in self._stacks for kernel in stack.kernels(dtype).unbind()]
        biases = [bias for stack in self._stacks for bias in stack.bias.to(dtype).unbind()]
        for kernel, bias, slope in zip(kernels, biases, self.slopes.to(dtype).unbind(), strict=False):
            features = prelu(functional.conv2d(features, kernel, bias, padding=1), slope)
        return functional.conv2d(features, kernels[-1], biases[-1], padding=1).float()

    def filters(self) -> tuple[Tensor, Tensor, Tensor]:
        centred = (self.linear - self.linear.mean((1, 2), keepdim=True)).unsqueeze(1)
        return centred, self.bank, self.trust

    @torch.no_grad()
    def fold(self) -> dict[str, Tensor]:
        """The state dict of the PlainTemporal that computes the same, float32 on the CPU."""
        kernels = [kernel for stack in self._stacks for kernel in stack.kernels().unbind()]
        biases = [bias for stack in self._stacks for bias in stack.bias.unbind()]
        state = {f"convs.{number}.weight": kernel for number, kernel in enumerate(kernels)}
        state |= {f"convs.{number}.bias": bias for number, bias in enumerate(biases)}
        state |= {f"acts.{number}.weight": slope for number, slope in enumerate(self.slopes.unbind())}
        state |= {
            "linear.weight": in_steps(self.linear).unsqueeze(1),
            "bank.weight": self.bank,
            "trust": self.trust,
        }
        # Clones, because safetensors refuses tensors that share memory.
        return {name: tensor.detach().float().cpu().clone().contiguous() for name, tensor in state.items()}

    @torch.no_grad()
    def load_folded(self, state: dict[str, Tensor]) -> None:
        """Start from the result of `fold` of a network of the same spec. Raises WeightsError where it doesn't fit."""
        plain = PlainTemporal(self.spec)
        try:
            plain.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(f"these weights are not of a network with {self.spec}") from error
        at = 0
        for stack in self._stacks:
            convs = [plain.get_submodule(f"convs.{at + number}") for number in range(len(stack.weight))]
            stack.load_kernels(torch.stack([conv.get_parameter("weight") for conv in convs]))
            stack.bias.copy_(torch.stack([conv.get_parameter("bias") for conv in convs]))
            at += len(convs)
        slopes: list[Tensor] = [act.get_parameter("weight") for act in plain.acts]
        self.slopes.copy_(torch.stack(slopes))
        self.linear.copy_(plain.linear.weight.squeeze(1))
        self.bank.copy_(plain.bank.weight)
        self.trust.copy_(plain.trust)


@torch.no_grad()
def from_chain(spec: TemporalSpec, chain: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network with memory that ignores its past, and computes what the chain of `chain` (as `Chain.fold` gives
    it) does. Raises WeightsError where the chain has other channels or another depth."""
    state = dict(chain)
    last = spec.depth + 1
    try:
        for conv, (width_in, width_out) in ((0, spec.widths[0]), (last, spec.widths[-1])):
            kernel = torch.zeros(width_out, width_in, 3, 3)
            inner = chain[f"convs.{conv}.weight"]
            kernel[: inner.shape[0], : inner.shape[1]] = inner
            bias = torch.full((width_out,), SHARE_AT_FIRST if conv else 0.0)
            bias[: inner.shape[0]] = chain[f"convs.{conv}.bias"]
            state |= {f"convs.{conv}.weight": kernel, f"convs.{conv}.bias": bias}
        state["bank.weight"] = torch.zeros(spec.scale**2, spec.past, BANK, BANK)
        state["trust"] = torch.tensor(BEGINNING_OF_TRUST)
        PlainTemporal(spec).load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"these weights are not of a chain that grows into {spec}") from error
    return state
