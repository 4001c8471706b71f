"""The PReLU that chains train with is torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vsr.models.archs.prelu import prelu


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_value_and_gradients_are_those_of_torch(memory_format: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 5, 7, 11, generator=generator).contiguous(memory_format=memory_format)
    features[0, :, 0, 0] = 0
    slopes = torch.randn(5, generator=generator)
    inputs = (features.requires_grad_(), slopes.requires_grad_())
    weights = torch.randn(3, 5, 7, 11, generator=generator)
    found, wanted = prelu(*inputs), functional.prelu(*inputs)
    torch.testing.assert_close(found, wanted)
    pairs = zip(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(wanted, inputs, weights), strict=True
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other)
