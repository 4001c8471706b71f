"""Networks of the community, trained further: from a checkpoint to a package that upscales."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.trainings import config_for
from vsr.cli import main
from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs.community import Community, CommunitySpec
from vsr.models.registry import find_model
from vsr.training.checkpoint import load_tensors
from vsr.training.recipe import load_recipe
from vsr.training.trainer import train
from vsr.upscale.upscaler import Upscaler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN
    from spandrel.architectures.SPAN import SPAN
    from spandrel.architectures.SwinIR import SwinIR


def compact() -> nn.Module:
    return Compact(num_feat=8, num_conv=2, upscale=2)


def span() -> nn.Module:
    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)


def esrgan() -> nn.Module:
    return ESRGAN(num_filters=8, num_blocks=1, scale=4, shuffle_factor=2, in_nc=12)


def saved(folder: Path, make: Callable[[], nn.Module], seed: int = 0) -> Path:
    """As its own training code keeps it."""
    torch.manual_seed(seed)
    torch.save({"params_ema": make().state_dict()}, folder / "2x.pth")
    return folder / "2x.pth"


@pytest.mark.parametrize("make", [compact, span, esrgan])
def test_what_is_loaded_and_folded_is_the_same_network(
    make: Callable[[], nn.Module], tmp_path: Path, pictures: Path
) -> None:
    """A rate next to nothing: what comes out is what went in, by spandrel's names."""
    file = saved(tmp_path, make)
    recipe = load_recipe("finetune").changed(steps=1, lr=1e-12)
    result = train(config_for(pictures, tmp_path / "out", recipe, init=file))
    weights, facts = load_tensors(result.weights)
    assert facts["arch"] == "community"
    network, again = make().eval(), make().eval()
    network.load_state_dict(torch.load(file)["params_ema"])
    again.load_state_dict(weights)
    picture = torch.rand(1, 3, 24, 32)
    with torch.no_grad():
        torch.testing.assert_close(again(picture), network(picture), atol=1e-4, rtol=1e-4)


def test_it_learns_and_its_package_upscales(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = saved(tmp_path, compact), tmp_path / "out"
    recipe = load_recipe("finetune").changed(steps=40, lr=2e-3)
    recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, warmup=5, ema_decay=0.0))
    before = train(
        config_for(
            pictures, tmp_path / "first", recipe.changed(steps=1, lr=1e-12), init=file, val=[pictures / "val"]
        )
    )
    result = train(config_for(pictures, out, recipe, init=file, val=[pictures / "val"]))
    assert result.psnr["val"] > before.psnr["val"] + 0.2

    assert main(["model", "export", str(result.weights), "finetuned-x2", "--title", "a test"]) == 0
    assert "x2 on rgb" in capsys.readouterr().out
    assert find_model("finetuned-x2").title == "a test"
    network = compact().eval()
    network.load_state_dict(load_tensors(result.weights)[0])
    picture = np.random.default_rng(1).integers(0, 256, (20, 28, 3), np.uint8)
    given = torch.from_numpy(picture.transpose(2, 0, 1)[None] / np.float32(255))
    with torch.no_grad():
        wanted = network(given)[0].clamp(0, 1).numpy().transpose(1, 2, 0) * 255
    with Upscaler("finetuned-x2", precision="fp32") as upscaler:
        assert np.abs(upscaler.upscale(picture).astype(float) - wanted).max() <= 1


def test_the_command_goes_on_where_it_stopped(tmp_path: Path, pictures: Path) -> None:
    file, out = saved(tmp_path, span), tmp_path / "out"
    arguments = [
        "train",
        "finetune",
        "--data",
        str(pictures / "train"),
        "--out",
        str(out),
        "--device",
        "cpu",
        "--quiet",
    ]
    assert main([*arguments, "--init", str(file), "--steps", "1"]) == 0
    first, _ = load_tensors(out / "weights.safetensors")
    assert main([*arguments, "--resume", "--steps", "2"]) == 0
    second, facts = load_tensors(out / "weights.safetensors")
    assert first.keys() == second.keys()
    assert facts["steps"] == "2"


def other(folder: Path) -> Path:
    sizes = {"depths": [2], "embed_dim": 8, "num_heads": [2], "window_size": 8}
    return saved(folder, lambda: SwinIR(upscale=2, img_size=16, upsampler="pixelshuffledirect", **sizes))


def on_luma(folder: Path) -> Path:
    return saved(folder, lambda: Compact(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=2))


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize(
    ("make", "words"), [(other, "SwinIR on 3 channels"), (on_luma, "Compact on 1 channels")]
)
def test_networks_that_are_not_trained_further(
    make: Callable[[Path], Path], words: str, tmp_path: Path, pictures: Path
) -> None:
    with pytest.raises(WeightsError, match=words) as error:
        train(config_for(pictures, tmp_path / "out", load_recipe("finetune"), init=make(tmp_path)))
    assert "\n" not in error.value.message
    assert not (tmp_path / "out").exists()


def test_recipe_and_checkpoint_must_go_together(tmp_path: Path, pictures: Path) -> None:
    file = saved(tmp_path, compact)
    with pytest.raises(WeightsError, match="is not of a network that fast-x2 trains"):
        train(config_for(pictures, tmp_path / "out", load_recipe("fast-x2"), init=file))
    with pytest.raises(ConfigError, match="trains a network of the community further"):
        train(config_for(pictures, tmp_path / "out", load_recipe("finetune")))
    with pytest.raises(ConfigError, match="teacher is for networks on luma"):
        load_recipe("finetune").changed(teacher="quality-x2")
    with pytest.raises(WeightsError, match="are not of a network"):
        Community(CommunitySpec(2, "compact", 16, 2)).load_folded(dict(compact().state_dict()))
