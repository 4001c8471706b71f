"""The chain: what is trained and what runs are the same network, and its spec tells the truth about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.nn import functional

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs import ARCHITECTURES, spec_from_dict
from vsr.models.archs.chain import (
    Chain,
    ChainSpec,
    PlainChain,
    plain_chain_from_weights,
    within_half_precision,
)
from vsr.models.archs.growing import grown

SPECS = [
    ChainSpec(scale=2, channels=8, depth=3, unshuffle=2),
    ChainSpec(scale=2, channels=12, depth=2),
    ChainSpec(scale=3, channels=8, depth=2, unshuffle=2),
    ChainSpec(scale=4, channels=8, depth=4, skip_every=2),
    ChainSpec(scale=2, channels=8, depth=6, unshuffle=2, skip_every=3),
    ChainSpec(scale=2, channels=8, depth=2, unshuffle=2, linear=5),
    ChainSpec(scale=3, channels=8, depth=1, linear=7),
]


def trained_looking(spec: ChainSpec) -> Chain:
    """A chain whose every parameter matters: nothing at zero, no two slopes equal."""
    torch.manual_seed(1)
    chain = Chain(spec)
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        if chain.linear is not None:  # As it comes out of folding, which keeps steps of 1/256.
            chain.linear.copy_(chain.fold()["linear.weight"].squeeze(1))
    return chain


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_folded_chain_computes_the_same(spec: ChainSpec) -> None:
    chain = trained_looking(spec)
    plain = plain_chain_from_weights(spec, chain.fold())
    luma = torch.rand(2, 1, 12, 16)
    with torch.no_grad():
        expected, result = chain(luma), plain(luma)
    assert result.shape == (2, 1, 12 * spec.scale, 16 * spec.scale)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_folded_weights_are_plain_convolutions_in_float32(spec: ChainSpec) -> None:
    weights = Chain(spec, torch.bfloat16).fold()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert weights.keys() == PlainChain(spec).state_dict().keys()
    assert sum(tensor.numel() for tensor in weights.values()) == spec.parameters


@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.skip_every], ids=str)
def test_values_that_grow_from_layer_to_layer_are_kept_within_half_precision(spec: ChainSpec) -> None:
    weights = trained_looking(spec).fold()
    for conv in range(spec.depth + 1):
        grows = torch.tensor(300.0 ** (conv + 1))
        weights[f"convs.{conv}.weight"] *= 300.0
        weights[f"convs.{conv}.bias"] *= grows
    scaled = within_half_precision(spec, weights)
    luma = (torch.rand(1, 1, 24, 24) * 255).round() / 255
    loud, quiet = plain_chain_from_weights(spec, weights), plain_chain_from_weights(spec, scaled)
    peaks: dict[PlainChain, list[float]] = {loud: [], quiet: []}
    for network, found in peaks.items():
        for conv in network.convs[:-1]:
            conv.register_forward_hook(
                lambda _conv, _inputs, output, found=found: found.append(float(output.abs().max()))
            )
    with torch.no_grad():
        torch.testing.assert_close(quiet(luma), loud(luma), rtol=0, atol=0)
    assert max(peaks[loud]) > 1e4
    assert max(peaks[quiet]) < 64


def test_the_linear_part_leaves_flat_areas_flat_in_bfloat16() -> None:
    spec = ChainSpec(scale=2, channels=8, depth=1, linear=5)
    chain = Chain(spec)
    assert chain.linear is not None
    with torch.no_grad():
        chain.linear.copy_(0.1 * torch.randn_like(chain.linear))
        taps = chain.fold()["linear.weight"]
        centred = chain.linear - chain.linear.mean((1, 2), keepdim=True)
    assert torch.equal(taps, taps.bfloat16().float())
    assert not taps.sum((1, 2, 3)).any()
    apart = (taps.squeeze(1) - centred).abs().flatten(1)
    assert float(apart.sort(1).values[:, :-1].max()) <= 0.5 / 256  # All but the middle one.


def test_without_residual_the_picture_is_repeated() -> None:
    plain = PlainChain(SPECS[0])
    for parameter in plain.parameters():
        torch.nn.init.zeros_(parameter)
    luma = torch.rand(1, 1, 6, 8)
    torch.testing.assert_close(plain(luma), functional.interpolate(luma, scale_factor=2, mode="nearest"))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_halo_is_how_far_an_output_pixel_looks(spec: ChainSpec) -> None:
    chain = plain_chain_from_weights(spec, trained_looking(spec).fold())
    with (
        torch.no_grad()
    ):  # Slopes of 1 make it linear: then a zero weight is the only reason not to see a pixel.
        for name, parameter in chain.named_parameters():
            parameter.fill_(1.0) if name.startswith("acts") else parameter.abs_()
    side = 2 * (spec.halo + 4) + 2
    luma = torch.zeros(1, 1, side, side, requires_grad=True)
    reach = 0
    for position in (side // 2, side // 2 + 1):  # Both phases of the half-resolution grid.
        out = chain(luma)[0, 0, position * spec.scale, position * spec.scale]
        (gradient,) = torch.autograd.grad(out, luma)
        seen = gradient[0, 0].nonzero()
        reach = max(reach, int((seen - position).abs().max()))
    assert reach == spec.halo


@pytest.mark.parametrize(("channels", "depth", "linear"), [(8, 3, 0), (8, 4, 5), (13, 3, 0), (12, 7, 5)])
def test_a_chain_grows_without_changing_what_it_computes(channels: int, depth: int, linear: int) -> None:
    small, large = ChainSpec(2, 8, 3, unshuffle=2), ChainSpec(2, channels, depth, 2, linear=linear)
    weights, chain = trained_looking(small).fold(), Chain(large)
    state = grown(weights, small, large, chain.fold())
    chain.load_folded(state)
    luma = torch.rand(2, 1, 12, 16)
    with torch.no_grad():
        wanted = plain_chain_from_weights(small, weights)(luma)
        torch.testing.assert_close(plain_chain_from_weights(large, state)(luma), wanted, rtol=0, atol=1e-6)
    learning = torch.autograd.grad(
        (chain(luma) - torch.rand_like(wanted)).square().mean(), list(chain.parameters())
    )
    assert all(gradient.any() for gradient in learning), "every part of it learns from the first step on"


@pytest.mark.parametrize("values", [{"channels": 4}, {"depth": 2}, {"skip_every": 3}, {"unshuffle": 1}])
def test_a_chain_grows_into_larger_ones_only(values: dict[str, Any]) -> None:
    small = ChainSpec(2, 8, 3, unshuffle=2)
    large = dataclasses.replace(small, **values)
    with pytest.raises(ConfigError, match="cannot begin"):
        grown(Chain(small).fold(), small, large, Chain(large).fold())


def test_multiply_adds_are_those_of_the_convolutions() -> None:
    assert ChainSpec(2, 32, 6, unshuffle=2).macs_per_pixel == (9 * (4 * 32 + 6 * 32 * 32 + 32 * 16)) / 4
    assert ChainSpec(2, 32, 6).macs_per_pixel == 9 * (32 + 6 * 32 * 32 + 32 * 4)
    assert ChainSpec(2, 32, 6, linear=5).macs_per_pixel == 9 * (32 + 6 * 32 * 32 + 32 * 4) + 25 * 4


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"scale": 5, "channels": 8, "depth": 2}, "scale"),
        ({"scale": 2, "channels": 8, "depth": 2, "unshuffle": 3}, "unshuffle"),
        ({"scale": 2, "channels": 0, "depth": 2}, "channels"),
        ({"scale": 2, "channels": 8, "depth": 3, "skip_every": 2}, "skip_every"),
        ({"scale": 2, "channels": 8, "depth": 3, "linear": 4}, "linear"),
        ({"scale": 2, "channels": 8, "depth": 3, "width": 2}, "width"),
        ({"scale": 2, "channels": "8", "depth": 3}, "channels"),
        ({"scale": 2, "channels": 8}, "depth"),
    ],
)
def test_impossible_hyperparameters_are_named(values: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        spec_from_dict("chain", values)


def test_unknown_architecture_tells_which_there_are() -> None:
    with pytest.raises(ConfigError) as error:
        spec_from_dict("chian", {})
    assert all(name in str(error.value.hint) for name in ARCHITECTURES)


def test_weights_of_another_chain_are_refused() -> None:
    with pytest.raises(WeightsError, match="not of a chain"):
        plain_chain_from_weights(SPECS[1], Chain(SPECS[0]).fold())
