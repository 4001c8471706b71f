"""A trained network as the beginning of a deeper or wider one, or of one of another scale.

The larger network computes the same as the smaller one, and continues learning from there (Chen et al., "Net2Net: accelerating
learning via knowledge transfer", 2016). A network of another scale begins with the same trunk and a last layer that is new.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vsr.core.errors import ConfigError
from vsr.models.archs.chain import ChainSpec
from vsr.models.archs.gated import GatedSpec


def grown(
    weights: Mapping[str, Tensor], small: ChainSpec, large: ChainSpec, fresh: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Folded weights of a `large` chain that gives the same output as a `small` chain with `weights`.

    Added layers pass their input on. Added channels have the weights of `fresh`, a new large chain; later layers ignore them at
    first. With another scale, the last layer and the linear part are those of `fresh`. Raises ConfigError if the large chain is
    not larger than the small one, or if either has skips in its trunk.
    """
    fits = small.channels <= large.channels and small.depth <= large.depth
    if (
        not fits
        or small.unshuffle != large.unshuffle
        or small.skip_every
        or large.skip_every
        or small.linear not in (0, large.linear)
    ):
        raise ConfigError(f"{large} cannot begin as {small}", hint="give weights of the recipe's own network")
    state = {name: tensor.clone() for name, tensor in fresh.items()}
    # The small chain's layers, by their places in the large chain: the first, the trunk's spread evenly, the last.
    places = {1 + layer * large.depth // small.depth: 1 + layer for layer in range(small.depth)}
    places |= {0: 0, large.depth + 1: small.depth + 1}
    for layer in range(large.depth + 2 if small.scale == large.scale else large.depth + 1):
        kernel, bias, slope = (f"{kind}.{layer}.{of}" for kind, of in _PARTS)
        if layer not in places:
            state[kernel] = torch.zeros_like(state[kernel])
            state[kernel][:, :, 1, 1] = torch.eye(large.channels)
            state[bias] = torch.zeros_like(state[bias])
            state[slope] = torch.ones_like(state[slope])
            continue
        _copy_layer(weights, places[layer], state, layer)
    if large.linear and small.scale == large.scale:
        state["linear.weight"] = weights.get("linear.weight", torch.zeros_like(state["linear.weight"]))
    return state


def grown_gated(
    weights: Mapping[str, Tensor], small: GatedSpec, large: GatedSpec, fresh: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The same for gated networks. Both must have the same `depth`. The last convolution of an added block is zero.

    With another scale, the last layer is taken from `fresh`. Raises ConfigError as above.
    """
    fits = small.channels <= large.channels and small.blocks <= large.blocks
    if not fits or small.depth != large.depth:
        raise ConfigError(f"{large} cannot begin as {small}", hint="give weights of the recipe's own network")
    state = {name: tensor.clone() for name, tensor in fresh.items()}
    _copy_layer(weights, 0, state, 0)
    if small.scale == large.scale:
        _copy_layer(weights, small.blocks * small.depth + 1, state, large.blocks * large.depth + 1)
    places = {block * large.blocks // small.blocks: block for block in range(small.blocks)}
    for block in range(large.blocks):
        last = 1 + block * large.depth + large.depth - 1
        if block not in places:
            state[f"convs.{last}.weight"].zero_()
            state[f"convs.{last}.bias"].zero_()
            continue
        for number in range(large.depth):
            _copy_layer(
                weights, 1 + places[block] * small.depth + number, state, 1 + block * large.depth + number
            )
    return state


def _copy_layer(weights: Mapping[str, Tensor], of_small: int, state: dict[str, Tensor], layer: int) -> None:
    """Copy layer `of_small` of `weights` into `layer` of `state`. The copied outputs ignore the added inputs."""
    kernel, bias, slope = (f"{kind}.{layer}.{of}" for kind, of in _PARTS)
    one = [weights.get(f"{kind}.{of_small}.{of}") for kind, of in _PARTS]
    assert one[0] is not None
    assert one[1] is not None
    rows, columns = one[0].shape[:2]
    state[kernel][:rows] = 0
    state[kernel][:rows, :columns] = one[0]
    state[bias][:rows] = one[1]
    if one[2] is not None:
        state[slope][:rows] = one[2]


_PARTS = (("convs", "weight"), ("convs", "bias"), ("acts", "weight"))
