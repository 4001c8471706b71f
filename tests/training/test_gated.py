"""Gated networks: what is trained and what runs are the same network, and one grows into another."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from vsr.core.errors import ConfigError, WeightsError
from vsr.evaluation.resize import resize_bicubic
from vsr.models.archs import spec_from_dict
from vsr.models.archs.gated import Gated, GatedSpec, PlainGated
from vsr.models.archs.growing import grown_gated
from vsr.training.optimizers import hidden_kernels
from vsr.training.validation import upscaled_luma

SPECS = [GatedSpec(2, 8, 2, 2), GatedSpec(3, 12, 1, 3), GatedSpec(4, 8, 3, 2)]
SMALL = GatedSpec(2, 8, 2, 2)


def trained_looking(spec: GatedSpec) -> Gated:
    """A network whose every parameter matters: nothing at zero, no two slopes equal."""
    torch.manual_seed(1)
    network = Gated(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def plain(spec: GatedSpec, weights: dict[str, torch.Tensor]) -> PlainGated:
    network = PlainGated(spec)
    network.load_state_dict(weights)
    return network.eval()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_folded_network_computes_the_same(spec: GatedSpec) -> None:
    network = trained_looking(spec)
    luma = torch.rand(2, 1, 12, 16)
    with torch.no_grad():
        expected, result = network(luma), plain(spec, network.fold())(luma)
    assert result.shape == (2, 1, 12 * spec.scale, 16 * spec.scale)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_what_was_folded_is_where_a_training_starts(spec: GatedSpec) -> None:
    first, again = trained_looking(spec), Gated(spec)
    again.load_folded(first.fold())
    luma = torch.rand(1, 1, 12, 16)
    with torch.no_grad():
        torch.testing.assert_close(again(luma), first(luma), rtol=0, atol=1e-5)


def test_training_starts_at_bicubic() -> None:
    luma = (torch.rand(20, 24, generator=torch.Generator().manual_seed(0)) * 255).byte().numpy()
    found = upscaled_luma(Gated(SMALL), luma, 2, SMALL.size_multiple).astype(int)
    inside = (slice(8, -8), slice(8, -8))
    assert abs(found - resize_bicubic(luma, 2))[inside].max() <= 1


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_folded_weights_are_plain_convolutions_in_float32(spec: GatedSpec) -> None:
    weights = Gated(spec, torch.bfloat16).fold()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert sum(tensor.numel() for tensor in weights.values()) == spec.parameters


def test_multiply_adds_are_those_of_the_convolutions() -> None:
    spec = GatedSpec(2, 48, 6, 3)
    assert spec.macs_per_pixel == 9 * (48 + 18 * 48 * 48 + 48 * 4)


def test_a_block_gives_at_most_what_its_gate_lets_through() -> None:
    """Every block at its loudest: half precision holds what comes out."""
    spec = GatedSpec(2, 8, 6, 2)
    network = PlainGated(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.convs[0].bias.fill_(1.0)
        for conv in network.convs[1:-1]:
            conv.bias.fill_(20.0)
        peak: list[float] = []
        network.convs[-1].register_forward_hook(
            lambda _conv, inputs, _output: peak.append(float(inputs[0].max()))
        )
        network(torch.rand(1, 1, 8, 8))
    loudest = 1.0
    for _ in range(spec.blocks):
        loudest = 1.5 * loudest + 0.5 * 20.0
    assert peak[0] == pytest.approx(loudest, rel=1e-4)
    assert loudest < torch.finfo(torch.float16).max / 100


@pytest.mark.parametrize(("channels", "blocks"), [(8, 3), (8, 5), (13, 2), (12, 4)])
def test_a_network_grows_without_changing_what_it_computes(channels: int, blocks: int) -> None:
    large = GatedSpec(2, channels, blocks, 2)
    weights, network = trained_looking(SMALL).fold(), trained_looking(large)
    state = grown_gated(weights, SMALL, large, network.fold())
    network.load_folded(state)
    luma = torch.rand(2, 1, 12, 16)
    with torch.no_grad():
        wanted = plain(SMALL, weights)(luma)
        torch.testing.assert_close(plain(large, state)(luma), wanted, rtol=0, atol=1e-6)
    loss = (network(luma) - torch.rand_like(wanted)).square().mean()
    learning = torch.autograd.grad(loss, list(network.parameters()))
    assert all(gradient.any() for gradient in learning), "every part of it learns from the first step on"


def test_another_scale_begins_with_the_trunk_and_a_new_last_layer() -> None:
    large = dataclasses.replace(SMALL, scale=4)
    weights, fresh = trained_looking(SMALL).fold(), Gated(large).fold()
    state = grown_gated(weights, SMALL, large, fresh)
    last = f"convs.{SMALL.blocks * SMALL.depth + 1}."
    for name, tensor in state.items():
        assert torch.equal(tensor, fresh[name] if name.startswith(last) else weights[name]), name


@pytest.mark.parametrize("values", [{"channels": 4}, {"blocks": 1}, {"depth": 3}])
def test_a_network_grows_into_larger_ones_only(values: dict[str, Any]) -> None:
    large = dataclasses.replace(SMALL, **values)
    with pytest.raises(ConfigError, match="cannot begin"):
        grown_gated(Gated(SMALL).fold(), SMALL, large, Gated(large).fold())


def test_muon_takes_the_trunk() -> None:
    named = dict(Gated(GatedSpec(2, 16, 2, 2)).named_parameters())
    assert list(hidden_kernels(named)) == ["trunk.weight"]


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="not of a network with"):
        Gated(SMALL).load_folded(Gated(SPECS[1]).fold())
    for values, words in (
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"depth": 1}, "depth must be at least 2"),
    ):
        with pytest.raises(ConfigError, match=words):
            spec_from_dict("gated", {"scale": 2, **values})
