"""Every architecture trains, is better than bicubic after seconds, and runs the same on every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.tiers import slow_except
from vsr.backends.choose import probe_backends
from vsr.convert.export import package_from_weights
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.datasets import evaluate_luma, load_sets
from vsr.evaluation.resize import resize_bicubic
from vsr.models.archs import ARCHITECTURES, spec_from_dict
from vsr.training.checkpoint import load_tensors
from vsr.training.recipe import recipe_from_dict
from vsr.training.trainer import TrainConfig, train
from vsr.training.validation import upscaled_luma
from vsr.upscale.upscaler import Upscaler

SMALL: dict[str, dict[str, int]] = {
    "srcnn": {"first": 16, "second": 8},
    "espcn": {"first": 16, "second": 16},
    "encdec": {"channels": 8},
    "edsr": {"channels": 16, "blocks": 2},
    "compact": {"channels": 16, "depth": 2},
    "rrdb": {"channels": 12, "growth": 8, "blocks": 1},
    "rcan": {"channels": 16, "groups": 2, "blocks": 2, "reduction": 4},
    "separable": {"channels": 16, "blocks": 3, "inside": 2},
    "chain": {"channels": 16, "depth": 2, "unshuffle": 2},
    "colour": {"channels": 16, "depth": 2, "chroma_channels": 8, "chroma_depth": 1},
    "gated": {"channels": 16, "blocks": 2, "depth": 2},
    "temporal": {"channels": 16, "depth": 2},
    "vae": {"channels": 16, "depth": 2, "latent": 4},
}
# These start at the repeated picture, the others at bicubic.
STEPS = {"chain": 500, "temporal": 500}
RATES = {"chain": 4e-3, "temporal": 4e-3, "srcnn": 5e-4}


def test_every_architecture_is_here() -> None:
    assert SMALL.keys() == ARCHITECTURES.keys()


# A network in colour learns from damaged pictures alone: tests/training/test_damage.py.
@pytest.mark.parametrize("arch", slow_except("espcn", [name for name in SMALL if name != "colour"]))
def test_a_short_training_beats_bicubic_on_every_backend(arch: str, pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_from_dict(
        "small",
        {
            "scale": 2,
            "arch": {"name": arch, **SMALL[arch]},
            "data": {"patch": 16, "batch": 8, "rendered_count": 8},
            "train": {
                "steps": STEPS.get(arch, 200), "lr": RATES.get(arch, 2e-3), "warmup": 20, "ema_decay": 0.95,
                "clip_norm": 0.5, "precision": "fp32",
            },
        },
    )  # fmt: skip
    result = train(
        TrainConfig(recipe, [pictures / "train"], tmp_path / "run", [pictures / "val"], device="cpu")
    )
    sets = load_sets([pictures / "val"], 2)
    bicubic = evaluate_luma(lambda luma: resize_bicubic(luma, 2), sets["val"], 2, ["psnr"]).mean["psnr"]
    assert result.psnr["val"] > bicubic + 0.1

    facts: dict[str, Any] = {"id": "small-x2", "title": "small", "training": {}, "quality": {}, "card": ""}
    spec = package_from_weights(result.weights, tmp_path / "package", **facts)
    weights, _ = load_tensors(result.weights)
    architecture = ARCHITECTURES[arch]
    network = architecture.load(architecture.plain)(recipe.spec)
    network.load_state_dict(weights)
    luma = sets["val"][0].lr[:61, :75]  # no multiple of anything
    wanted = upscaled_luma(network.eval(), luma, 2, spec.size_multiple).astype(int)
    for backend in (name for name, found in probe_backends().items() if found.usable):
        with Upscaler(str(spec.folder), backend=backend, tile=0) as upscaler:
            frame = Frame([luma], 75, 61, PixelFormat("gray"))
            found = np.asarray(upscaler.upscale(frame).planes[0]).astype(int)
            exact = upscaler.precision == "fp32"
        assert np.abs(found - wanted).max() <= (1 if exact else 4), backend
        assert np.abs(found - wanted).mean() <= (0.02 if exact else 0.4), backend


@pytest.mark.parametrize("arch", [name for name in SMALL if name != "rcan"])
def test_tiles_with_the_halo_are_exact(arch: str) -> None:
    """With random weights, in double precision: nothing outside the halo has a say."""
    spec = spec_from_dict(arch, {"scale": 2, **SMALL[arch]})
    architecture = ARCHITECTURES[arch]
    torch.manual_seed(0)
    network = architecture.load(architecture.plain)(spec).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    unit = spec.size_multiple
    halo = -(-spec.halo // unit) * unit
    side = 2 * halo + 4 * unit
    luma = torch.rand(1, 1, side, side, dtype=torch.float64)
    changed = luma.clone()
    middle = slice(halo, halo + 4 * unit)
    changed[:, :, :1] = 0  # one row, just as far away as the halo says
    with torch.inference_mode():
        first, second = network(luma), network(changed)
    inside = slice(2 * (halo + 1), 2 * middle.stop)
    torch.testing.assert_close(first[..., inside, :], second[..., inside, :], rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [3, 4])
@pytest.mark.parametrize("arch", SMALL)
def test_other_scales(arch: str, scale: int) -> None:
    spec = spec_from_dict(arch, {"scale": scale, **SMALL[arch]})
    architecture = ARCHITECTURES[arch]
    network = architecture.load(architecture.plain)(spec)
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 12, 16)).shape == (2, 1, 12 * scale, 16 * scale)
    assert spec.macs_per_pixel > 0
    assert spec.parameters > 0
