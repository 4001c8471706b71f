"""From trained weights to a package: the graphs compute what the network computes."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from vsr.convert.export import export_model, package_from_weights
from vsr.core.errors import ConfigError, VsrError, WeightsError
from vsr.models.archs.chain import Chain, ChainSpec, PlainChain, plain_chain_from_weights
from vsr.models.graphs.cubic import residual_kernels
from vsr.models.spec import ALL_LAYOUTS, GraphLayout, ModelSpec, load_spec

SPECS = {
    "full": ChainSpec(2, 8, 2),
    "half": ChainSpec(2, 8, 2, unshuffle=2),
    "skips": ChainSpec(2, 8, 4, skip_every=2),
    "x3": ChainSpec(3, 8, 1),
    "x4-half": ChainSpec(4, 8, 1, unshuffle=2),
    "linear": ChainSpec(2, 8, 1, unshuffle=2, linear=5),
}


def _weights(spec: ChainSpec, path: Path) -> PlainChain:
    torch.manual_seed(1)
    chain = Chain(spec)
    if chain.linear is not None:
        torch.nn.init.normal_(chain.linear, std=0.1)
    weights = chain.fold()
    save_file(weights, path, {"arch": "chain", "hyperparameters": json.dumps(asdict(spec)), "junk": "x"})
    return plain_chain_from_weights(spec, weights)


def _package(spec: ChainSpec, folder: Path) -> tuple[PlainChain, ModelSpec]:
    network = _weights(spec, folder / "trained.safetensors")
    quality = {"set5_psnr": 30.5, "title": 'with "quotes"'}
    package = package_from_weights(
        folder / "trained.safetensors",
        folder / "package",
        id="test-x2",
        title="A test",
        training={"steps": 3, "data": ["a", "b"]},
        quality=quality,
        card="# card\n",
    )
    return network, package


@pytest.mark.parametrize("name", SPECS)
def test_graphs_compute_what_torch_computes(name: str, tmp_path: Path) -> None:
    """Luma 8 and 16 bits, limited and full range, to within what float32 rounds differently."""
    spec = SPECS[name]
    network, package = _package(spec, tmp_path)
    height, width = 22, 30
    codes = np.random.default_rng(0).integers(0, 1024, (2, 1, height, width))
    for layout, bits in ((GraphLayout("gray", 1), 8), (GraphLayout("gray", 2), 10)):
        most = (1 << bits) - 1
        plane = (codes >> (10 - bits)).astype("u1" if bits == 8 else "<u2")
        for gain, bias in ((1 / (255 << (bits - 8)), 0.0), (219 / 255 / most, 16 / 255)):
            small = {"gain": gain, "bias": bias, "max_code": most}
            inputs = {key: np.array(value, np.float32) for key, value in small.items()}
            session = onnxruntime.InferenceSession(
                str(package.graph(layout)), providers=["CPUExecutionProvider"]
            )
            found = session.run(["y_out"], inputs | {"y": plane.view(np.uint8)})[0].view(plane.dtype)
            with torch.no_grad():
                luma = network(torch.from_numpy(plane.astype(np.float32)) * gain + bias).numpy()
            expected = np.clip(np.floor((luma - bias) / gain + 0.5), 0, most)
            assert found.shape == (2, 1, height * spec.scale, width * spec.scale)
            difference = np.abs(found.astype(int) - expected)
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.01


def test_a_package_says_what_it_was_told(tmp_path: Path) -> None:
    _, package = _package(SPECS["half"], tmp_path)
    spec = SPECS["half"]
    assert (package.scale, package.halo, package.size_multiple) == (2, spec.halo, 2)
    assert package.macs_per_pixel == round(spec.macs_per_pixel)
    assert package.training == {"steps": 3, "data": ["a", "b"]}
    assert package.quality == {"set5_psnr": 30.5, "title": 'with "quotes"'}
    assert package.card == "# card\n"
    for layout in ALL_LAYOUTS:
        assert package.graph(layout).stat().st_size < 20_000, "weights lie in their own file, once"
    assert not list(tmp_path.glob(".package*")), "nothing temporary is left"


def _trained(path: Path, **changes: Any) -> Path:
    """A weights file as `vsr train` writes it, but for `changes` of what it says."""
    _weights(SPECS["half"], path)
    facts = {"arch": "chain", "hyperparameters": asdict(SPECS["half"])} | changes
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    save_file(load_file(path), path, texts)
    return path


def test_names_and_figures_of_any_kind_come_back_from_the_spec(tmp_path: Path) -> None:
    psnr = {"my photos": 30.5, "漢字": 31.0, "my.set": math.inf, 'a"b\\': -math.inf, "": 1.0, "a\nb": 2.0}
    command = "vsr train a\x7fb\x01\t --data ä"
    weights = _trained(tmp_path / "weights.safetensors", psnr=psnr, command=command, seed=2**62)
    spec = export_model(weights, tmp_path / "any-x2", title=os.fsdecode(b"t\xff"))
    assert spec.quality == {f"{name}_psnr": value for name, value in psnr.items()}
    assert (spec.training["command"], spec.training["seed"], spec.title) == (command, 2**62, "t?")
    plain = _trained(tmp_path / "weights.safetensors", psnr={"Set5": 30.5}, command="c")
    export_model(plain, tmp_path / "any-x2", overwrite=True)
    text = (tmp_path / "any-x2" / "model.toml").read_text()
    assert text.endswith('[training]\ncommand = "c"\n\n[quality]\nset5_psnr = 30.5\n')


def test_a_good_package_outlives_one_that_cannot_be_written(tmp_path: Path) -> None:
    weights, folder = _trained(tmp_path / "weights.safetensors"), tmp_path / "package"
    facts: dict[str, Any] = {"id": "x", "training": {}, "card": ""}
    package_from_weights(weights, folder, title="first", quality={}, **facts)
    with pytest.raises(WeightsError, match=r"model\.toml is not TOML"):
        package_from_weights(weights, folder, title="second", quality={"no": {"table": 1}}, **facts)
    assert load_spec(folder).title == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", "weights.safetensors"]


@pytest.mark.parametrize("target", ["file/net", "/proc/net-x2"])
def test_where_no_package_can_be_made(target: str, tmp_path: Path) -> None:
    weights = _trained(tmp_path / "weights.safetensors")
    (tmp_path / "file").touch()
    with pytest.raises(VsrError, match=r"cannot (make the folder|write) /"):
        export_model(weights, tmp_path / target)


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    weights = _trained(tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match=r"net-\\udcff' is not UTF-8"):
        export_model(weights, tmp_path / os.fsdecode(b"net-\xff"))


def test_a_package_of_a_package(tmp_path: Path) -> None:
    first = export_model(_trained(tmp_path / "weights.safetensors"), tmp_path / "first")
    second = export_model(first.folder, tmp_path / "second", title="again")
    assert (second.id, second.title, second.network) == ("second", "again", first.network)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"cannot read .*there is no such file"):
        export_model(tmp_path / "empty", tmp_path / "third")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hyperparameters": asdict(SPECS["full"])}, r"convs\.0\.weight is float32, \[8, 4, 3, 3\]"),
        ({"hyperparameters": {"scale": 2, "channels": 8, "depth": 3}}, r"acts\.3\.weight is missing"),
        ({"hyperparameters": [2, 8, 2]}, r"must be a table, got \[2, 8, 2\]"),
        (
            {"hyperparameters": {"scale": 2, "channels": 10**15, "depth": 2}},
            f"channels is {10**15}, more than",
        ),
        ({"hyperparameters": {"scale": 2, "channels": 8, "depth": 10**9}}, f"depth is {10**9}, more than"),
        ({"hyperparameters": "[" * 100_000}, "does not name its network"),
        ({"psnr": "[" * 100_000}, "the training data in"),
        ({"arch": "edsr"}, "edsr: depth is unknown"),
        ({"psnr": [30.5]}, "the training data in"),
    ],
)
def test_weights_that_are_not_what_they_say(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    weights = _trained(tmp_path / "weights.safetensors", **changes)
    with pytest.raises(WeightsError, match=words) as error:
        export_model(weights, tmp_path / "net-x2")
    assert str(weights) in error.value.message
    assert not (tmp_path / "net-x2").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    weights = _trained(tmp_path / "weights.safetensors")
    tensors = load_file(weights)
    tensors["convs.1.weight"][0, 0, 0, 0] = value
    save_file(tensors, weights, {"arch": "chain", "hyperparameters": json.dumps(asdict(SPECS["half"]))})
    with pytest.raises(WeightsError, match=r"convs\.1\.weight has values that are not finite"):
        export_model(weights, tmp_path / "net-x2")


def test_rgb_luma_is_sharpened_and_colour_differences_are_not(tmp_path: Path) -> None:
    """The network must see only luma: gray RGB comes out as gray luma does, in all three planes alike."""
    _, package = _package(SPECS["half"], tmp_path)
    plane = np.random.default_rng(0).integers(30, 220, (1, 1, 20, 24)).astype(np.uint8)
    small = {"gain": 219 / 255 / 255, "bias": 16 / 255, "max_code": 255}
    inputs = {key: np.array(value, np.float32) for key, value in small.items()}
    weights = {"luma_weights": np.array([0.587, 0.114, 0.299], np.float32)}

    def run(layout: GraphLayout, planes: dict[str, np.ndarray]) -> list[np.ndarray]:
        session = onnxruntime.InferenceSession(str(package.graph(layout)), providers=["CPUExecutionProvider"])
        return session.run(None, inputs | planes | (weights if layout.kind == "rgb" else {}))

    gray = run(GraphLayout("gray", 1), {"y": plane})[0].astype(int)
    for component in run(GraphLayout("rgb", 1), dict.fromkeys("gbr", plane)):
        assert np.abs(component.astype(int) - gray).max() <= 1


@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
def test_cubic_kernels_keep_flat_areas_in_bfloat16(siting: str) -> None:
    kernels = residual_kernels(2, siting, exact=False)  # type: ignore[arg-type]
    assert (torch.from_numpy(kernels).bfloat16().float().numpy() == kernels).all()
    np.testing.assert_array_equal(kernels.sum(axis=(1, 2, 3)), 0)


def test_weights_that_do_not_say_what_they_are_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "some.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x08")
    for name in ("some", "broken", "missing"):
        with pytest.raises(WeightsError):
            package_from_weights(
                tmp_path / f"{name}.safetensors",
                tmp_path / "package",
                id="x",
                title="x",
                training={},
                quality={},
                card="",
            )
    assert not (tmp_path / "package").exists()
