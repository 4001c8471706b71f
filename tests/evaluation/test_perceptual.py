"""LPIPS and DISTS: their figures are torchmetrics'. The weights are random here; vsr has no others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vsr.cli import main
from vsr.core.errors import MissingDependencyError, WeightsError
from vsr.evaluation.evaluate import EvaluateConfig, evaluate
from vsr.evaluation.perceptual import Perceptual
from vsr.upscale.options import NetworkOptions

SOFT = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)).resize((96, 96))
)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where torchvision looks for weights, empty."""
    pytest.importorskip("torchmetrics")
    pytest.importorskip("torchvision")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def random_networks(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks as if they had been read from the two files there."""
    import torch
    from torchvision.models import AlexNet
    from torchvision.models.vgg import cfgs, make_layers

    weights.mkdir(parents=True)
    for name in ("alexnet-owt-7be5be79.pth", "vgg16-397923af.pth"):
        (weights / name).touch()
    torch.manual_seed(0)
    monkeypatch.setattr("torchvision.models.alexnet", lambda **_: AlexNet(num_classes=1))
    vgg = SimpleNamespace(features=make_layers(cfgs["D"]))
    monkeypatch.setattr("torchmetrics.functional.image.dists.vgg16", lambda **_: vgg)


@pytest.mark.usefixtures("random_networks")
def test_equal_pictures_are_0_and_worse_ones_are_more() -> None:
    meter = Perceptual(lpips=True, dists=True)
    noisy = [
        (SOFT + np.random.default_rng(1).normal(0, sigma, SOFT.shape)).clip(0, 255).astype(np.uint8)
        for sigma in (4, 24)
    ]
    equal, less, more = (meter.figures(picture, SOFT, 2) for picture in (SOFT, *noisy))
    for name in ("lpips", "dists"):
        assert equal[name] == pytest.approx(0, abs=1e-4)
        assert equal[name] < less[name] < more[name]
    edge = SOFT.copy()
    edge[:2] = 0
    assert meter.figures(edge, SOFT, 2) == equal, "the border is left out"
    assert meter.figures(SOFT[:34], SOFT[:34], 2) == {}


@pytest.mark.usefixtures("random_networks")
def test_evaluate_has_both_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(SOFT).save(tmp_path / "set" / "one.png")
    network = NetworkOptions("bicubic")
    plain = evaluate(EvaluateConfig((tmp_path / "set",), network)).means["set"]
    both = evaluate(EvaluateConfig((tmp_path / "set",), network, lpips=True, dists=True)).means["set"]
    assert set(both) - set(plain) == {"lpips", "dists"}


def test_weights_that_are_missing_or_damaged_are_one_line(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(SOFT).save(tmp_path / "set" / "one.png")
    assert main(["evaluate", "--model", "bicubic", "--data", str(tmp_path / "set"), "--dists"]) != 0
    said = capsys.readouterr().err
    assert str(weights / "vgg16-397923af.pth") in said
    assert "download https://download.pytorch.org/models/vgg16-397923af.pth" in said
    weights.mkdir(parents=True)
    (weights / "alexnet-owt-7be5be79.pth").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match=r"cannot read .*alexnet-owt-7be5be79\.pth"):
        Perceptual(lpips=True)


def test_without_the_packages_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.evaluation.perceptual.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="LPIPS needs torchmetrics") as refused:
        Perceptual(lpips=True)
    assert "pip install" in str(refused.value.hint)
    Perceptual()
