"""Muon: which kernels it takes, what its steps look like, and that it is worth having."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from vsr.models.archs import ARCHITECTURES, spec_from_dict
from vsr.training.optimizers import Muon, hidden_kernels, orthogonalised
from vsr.training.recipe import recipe_from_dict
from vsr.training.trainer import TrainConfig, train


@pytest.mark.parametrize("shape", [(3, 16, 144), (1, 64, 32)])
def test_steps_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    matrices[:, :, 0] *= 30
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalised(matrices)
    assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.5
    along = torch.linalg.matrix_norm(left.mT @ found @ right.mT - torch.eye(left.shape[-1]), ord=2)
    assert along.max() < 0.5  # the directions are those of the matrix


@pytest.mark.parametrize("arch", ["chain", "edsr", "separable"])
def test_it_takes_the_kernels_between_the_first_and_the_last(arch: str) -> None:
    spec = spec_from_dict(arch, {"scale": 2, "channels": 32} | ({"depth": 2} if arch == "chain" else {}))
    named = dict(ARCHITECTURES[arch].load(ARCHITECTURES[arch].trainable)(spec).named_parameters())
    kernels = [name for name, parameter in named.items() if parameter.dim() >= 4]
    hidden = hidden_kernels(named)
    assert hidden
    assert kernels[0] not in hidden
    assert kernels[-1] not in hidden
    assert all(kernel.shape[1] != 1 for kernel in hidden.values())  # depthwise


@pytest.mark.slow
def test_it_gets_further_than_adam_in_as_many_steps(pictures: Path, tmp_path: Path) -> None:
    found = {}
    for optimizer in ("adam", "muon"):
        recipe = recipe_from_dict(
            "small",
            {
                "scale": 2,
                "arch": {"name": "chain", "channels": 16, "depth": 4, "unshuffle": 2},
                "data": {"patch": 16, "batch": 8},
                "train": {"steps": 300, "lr": 2e-3, "warmup": 20, "precision": "fp32", "ema_decay": 0.98},
            },
        )
        recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, optimizer=optimizer))
        config = TrainConfig(
            recipe, [pictures / "train"], tmp_path / optimizer, device="cpu", val=[pictures / "val"]
        )
        found[optimizer] = train(config).psnr["val"]
    assert found["muon"] > found["adam"] + 0.1


def test_weight_decay_holds_the_kernels() -> None:
    sizes = {}
    for decay in (0.0, 0.2):
        kernel = torch.nn.Parameter(torch.ones(16, 16, 3, 3))
        muon = Muon({"k": kernel}, torch.tensor(0.01), 2.0, decay)
        noise = torch.Generator().manual_seed(0)
        for _ in range(400):
            kernel.grad = torch.randn(kernel.shape, generator=noise)
            muon.step()
        sizes[decay] = float(kernel.detach().square().mean())
    assert sizes[0.2] < 0.2 * sizes[0.0]
