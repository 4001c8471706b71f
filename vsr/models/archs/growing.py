"""A trained chain as the beginning of a deeper or wider one: the larger computes what the smaller does, and goes on learning
from there (Chen et al., "Net2Net: accelerating learning via knowledge transfer", 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vsr.core.errors import ConfigError
from vsr.models.archs.chain import ChainSpec


def grown(
    weights: Mapping[str, Tensor], small: ChainSpec, large: ChainSpec, fresh: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Folded weights of a `large` chain that computes what `weights` of a `small` one do.

    Added layers pass on what they get; added channels see what `fresh` weights of the large chain make them see, and nothing
    looks at them yet. Raises ConfigError where the one is not larger than the other, or either has skips in its trunk.
    """
    alike = (small.scale, small.unshuffle) == (large.scale, large.unshuffle)
    fits = small.channels <= large.channels and small.depth <= large.depth
    if not (alike and fits) or small.skip_every or large.skip_every or small.linear not in (0, large.linear):
        raise ConfigError(f"{large} cannot begin as {small}", hint="give weights of the recipe's own network")
    width = small.channels
    state = {name: tensor.clone() for name, tensor in fresh.items()}
    # Where the small chain's layers go: the first, the trunk's spread evenly, the last.
    places = {1 + layer * large.depth // small.depth: 1 + layer for layer in range(small.depth)}
    places |= {0: 0, large.depth + 1: small.depth + 1}
    for layer in range(large.depth + 2):
        kernel, bias, slope = (f"{kind}.{layer}.{of}" for kind, of in _PARTS)
        if layer not in places:
            state[kernel] = torch.zeros_like(state[kernel])
            state[kernel][:, :, 1, 1] = torch.eye(large.channels)
            state[bias] = torch.zeros_like(state[bias])
            state[slope] = torch.ones_like(state[slope])
            continue
        one = [weights.get(f"{kind}.{places[layer]}.{of}") for kind, of in _PARTS]
        assert one[0] is not None
        assert one[1] is not None
        rows, columns = one[0].shape[:2]
        state[kernel][:rows] = 0
        state[kernel][:rows, :columns] = one[0]
        state[bias][:rows] = one[1]
        if one[2] is not None:
            state[slope][:width] = one[2]
    if large.linear:
        state["linear.weight"] = weights.get("linear.weight", torch.zeros_like(state["linear.weight"]))
    return state


_PARTS = (("convs", "weight"), ("convs", "bias"), ("acts", "weight"))
