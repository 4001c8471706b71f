"""A network in colour in its frame graphs, against torch, and the strength of what it adds."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import vsr
from vsr.convert.export import package_from_weights
from vsr.core.errors import ConfigError
from vsr.evaluation.resize import resize_bicubic
from vsr.models import ModelSpec
from vsr.models.archs.colour import Colour, ColourSpec, PlainColour
from vsr.models.auto import Rule
from vsr.models.spec import load_spec
from vsr.training.damage import planes_of

SPEC = ColourSpec(2, channels=8, depth=2, linear=5, chroma_channels=8, chroma_depth=2)
SIDE = 40


@pytest.fixture(scope="module")
def trained() -> PlainColour:
    torch.manual_seed(0)
    network = Colour(SPEC)
    with torch.no_grad():
        network.chroma.convs[-1].weight.normal_(0, 0.01)
        network.last.weight.normal_(0, 0.02)
    plain = PlainColour(SPEC)
    plain.load_state_dict(network.fold())
    return plain.eval()


@pytest.fixture(scope="module")
def package(trained: PlainColour, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("colour")
    hyperparameters = json.dumps(asdict(SPEC))
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file(
        trained.state_dict(), weights, {"arch": "colour", "hyperparameters": hyperparameters}
    )
    words = {"id": "colour-x2", "title": "t", "training": {}, "quality": {}, "card": ""}
    return package_from_weights(weights, folder / "colour-x2", **words)


def picture(seed: int = 0) -> np.ndarray:
    """RGB uint8 that has detail in each plane and no code near the ends."""
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 190, (SIDE // 4, SIDE // 4, 3), np.uint8)
    planes = [resize_bicubic(np.ascontiguousarray(small[..., plane]), 4.0) for plane in range(3)]
    return np.stack(planes, 2)


def rgb_of(planes: np.ndarray) -> np.ndarray:
    y, cb, cr = (planes[0] * 255 - 16) / 219, planes[1], planes[2]
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    return 255 * np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], 2)


def test_rgb_is_what_torch_makes_of_luma_and_chroma(trained: PlainColour, package: ModelSpec) -> None:
    given = picture()
    with torch.no_grad():
        wanted = rgb_of(trained(torch.from_numpy(planes_of(given))[None])[0].double().numpy())
    with vsr.Upscaler(str(package.folder), precision="fp32") as upscaler:
        found = upscaler.upscale(given)
    assert np.abs(found - wanted).max() <= 1.0
    assert np.abs(found.astype(int) - bicubic(given)).max() > 5


def bicubic(given: np.ndarray) -> np.ndarray:
    with vsr.Upscaler("bicubic-x2") as upscaler:
        return upscaler.upscale(given).astype(int)


def frame(seed: int, subsampling: str) -> object:
    import av

    return av.VideoFrame.from_ndarray(picture(seed), format="rgb24").reformat(format=subsampling)


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "rgb24"])
def test_no_strength_is_bicubic_and_half_of_it_lies_between(package: ModelSpec, format: str) -> None:
    given, results = frame(1, format), []
    for strength in (0.0, 0.5, 1.0):
        with vsr.Upscaler(str(package.folder), precision="fp32", strength=strength) as upscaler:
            results.append(upscaler.upscale(given).to_ndarray().astype(int))
    with vsr.Upscaler("bicubic-x2") as upscaler:
        plain = upscaler.upscale(given).to_ndarray().astype(int)
    none, half, whole = results
    code = 4 if format.endswith("10le") else 1
    assert np.abs(none - plain).max() <= code
    assert np.abs(whole - plain).max() > 5 * code
    assert np.abs(2 * half - none - whole).max() <= 3


def test_chroma_of_4_2_0_is_what_torch_makes_of_it(trained: PlainColour, package: ModelSpec) -> None:
    """Flat luma and flat chroma: wherever the samples lie, they are alike."""
    import av

    flat = np.full((SIDE * 3 // 2, SIDE), 90, np.uint8)
    flat[SIDE:], flat[SIDE + SIDE // 4 :] = 150, 110
    with torch.no_grad():
        codes = np.array([90 / 255, (150 - 128) / 224, (110 - 128) / 224], np.float32)
        planes = torch.from_numpy(codes).view(1, 3, 1, 1).expand(1, 3, 96, 96).contiguous()
        made = trained(planes)[0, :, 64:128, 64:128].double().numpy()
    wanted = [255 * made[0].mean(), 128 + 224 * made[1].mean(), 128 + 224 * made[2].mean()]
    with vsr.Upscaler(str(package.folder), precision="fp32") as upscaler:
        large = upscaler.upscale(av.VideoFrame.from_ndarray(flat, format="yuv420p"))
    for number, value in enumerate(wanted):
        plane = np.frombuffer(large.planes[number], np.uint8).reshape(-1, large.planes[number].line_size)
        side = large.planes[number].width
        assert abs(plane[side // 4 : -side // 4, side // 4 : side - side // 4].mean() - value) <= 1.0


def test_tiles_are_not_seen(package: ModelSpec) -> None:
    import av

    noise = np.random.default_rng(3).integers(16, 236, (144, 96), np.uint8)
    given = av.VideoFrame.from_ndarray(noise, format="yuv420p")
    results = []
    for tile in (0, 32):
        with vsr.Upscaler(str(package.folder), precision="fp32", tile=tile) as upscaler:
            results.append(upscaler.upscale(given).to_ndarray().astype(int))
    assert np.abs(results[0] - results[1]).max() <= 1


@pytest.fixture
def stronger(package: ModelSpec, tmp_path: Path) -> ModelSpec:
    """The package with another strength of its own."""
    folder = tmp_path / "stronger"
    shutil.copytree(package.folder, folder)
    table = folder / "model.toml"
    table.write_text(table.read_text().replace("strength = 1.0", "strength = 1.4"))
    return load_spec(folder)


def test_where_none_is_given_the_strength_is_the_network_s_or_that_of_a_rule(
    package: ModelSpec, stronger: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = picture(4)
    with vsr.Upscaler(str(package.folder), precision="fp32", strength=1.4) as upscaler:
        wanted = upscaler.upscale(given)
    with vsr.Upscaler(str(stronger.folder), precision="fp32") as upscaler:
        np.testing.assert_array_equal(upscaler.upscale(given), wanted)
    plain = bicubic(given)
    monkeypatch.setattr("vsr.upscale.upscaler.find_model", lambda *args, **kwargs: package)
    rule = Rule("colour", "because of a test", lambda look: True, strength=1.4)
    with vsr.Upscaler("auto", precision="fp32", rule=rule) as upscaler:
        np.testing.assert_array_equal(upscaler.upscale(given), wanted)
        assert "model colour-x2 at strength 1.4, because of a test" in upscaler.notes
    with vsr.Upscaler("auto", precision="fp32", rule=rule, strength=0.0) as upscaler:
        assert np.abs(upscaler.upscale(given).astype(int) - plain).max() <= 1


def test_in_a_chain_it_does_what_it_does_alone(stronger: ModelSpec) -> None:
    given, package = picture(4), stronger
    with vsr.Upscaler(str(package.folder), precision="fp32") as upscaler:
        once = upscaler.upscale(given)
    with vsr.Upscaler("bicubic-x2") as upscaler:
        twice = upscaler.upscale(once).astype(int)
    with vsr.Upscaler(f"{package.folder},bicubic-x2", precision="fp32") as upscaler:
        chained = upscaler.upscale(given).astype(int)
    assert np.abs(chained - twice).max() <= 3


def test_a_strength_that_a_network_does_not_have_or_that_is_none(package: ModelSpec) -> None:
    with pytest.raises(ConfigError, match="fast-x2 has no strength"):
        vsr.Upscaler("fast", strength=0.5)
    with pytest.raises(ConfigError, match="has no strength") as chained:
        vsr.Upscaler(f"{package.folder},bicubic-x2", strength=0.5)
    assert "no chain has" in str(chained.value.hint)
    for strength in (-0.1, 1.6, float("nan")):
        with pytest.raises(ConfigError, match="strength"):
            vsr.Upscaler(str(package.folder), strength=strength)
