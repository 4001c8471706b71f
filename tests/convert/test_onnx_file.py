"""A network alone as an ONNX file: the same numbers in any program, in fp32 and in fp16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vsr.cli import main
from vsr.convert.export import export_onnx
from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs import ARCHITECTURES, spec_from_dict
from vsr.models.registry import find_model

NETWORKS: dict[str, dict[str, Any]] = {
    "chain": {"channels": 8, "depth": 2, "unshuffle": 2},
    "gated": {"channels": 8, "blocks": 2, "depth": 2},
    "rcan": {"channels": 8, "groups": 1, "blocks": 1, "reduction": 2},
}


def saved(arch: str, folder: Path, gain: float = 1.0) -> tuple[nn.Module, Path]:
    """A network with drawn weights, and the file of them."""
    hyperparameters = {"scale": 2, **NETWORKS[arch]}
    spec = spec_from_dict(arch, hyperparameters)
    architecture = ARCHITECTURES[arch]
    torch.manual_seed(0)
    network = architecture.load(architecture.plain)(spec).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() == 4:
                parameter.copy_(torch.randn_like(parameter) * gain / parameter[0].numel() ** 0.5)
            elif name.endswith("bias"):
                parameter.zero_()
    path = folder / f"{arch}.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, {"arch": arch, "hyperparameters": json.dumps(hyperparameters)})
    return network, path


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("arch", NETWORKS)
def test_it_computes_what_torch_computes(arch: str, precision: Any, tmp_path: Path) -> None:
    network, weights = saved(arch, tmp_path)
    file = export_onnx(weights, tmp_path / "net.onnx", precision=precision)
    tolerance = 1e-5 if precision == "fp32" else 4e-3
    assert file.largest_difference / 255 < tolerance
    session = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    for shape in ((1, 1, 24, 40), (3, 1, 36, 32)):
        luma = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            wanted = network(luma).numpy()
        (found,) = session.run(["enlarged"], {"luma": luma.numpy()})
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    stored = {tensor.data_type for tensor in onnx.load(file.path).graph.initializer if len(tensor.dims) == 4}
    half = onnx.TensorProto.FLOAT16
    assert half in stored if precision == "fp16" else half not in stored
    assert {p.key: p.value for p in onnx.load(file.path).metadata_props}["scale"] == "2"


def test_what_fp16_cannot_hold_is_refused(tmp_path: Path) -> None:
    _, weights = saved("chain", tmp_path, gain=300.0)
    with pytest.raises(WeightsError, match="overflows in fp16"):
        export_onnx(weights, tmp_path / "net.onnx", precision="fp16")
    assert not (tmp_path / "net.onnx").exists()
    assert export_onnx(weights, tmp_path / "net.onnx").path.is_file()
    with pytest.raises(ConfigError, match="exists"):
        export_onnx(weights, tmp_path / "net.onnx")


def test_the_command_takes_packages_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = find_model("fast-x2").folder
    assert main(["model", "export", str(package), str(tmp_path / "f.onnx"), "--precision", "fp16"]) == 0
    assert "x2, fp16, at most" in capsys.readouterr().out
    assert main(["model", "export", str(package), str(tmp_path / "g.onnx"), "--title", "x"]) == 2
    assert main(["model", "export", str(package), str(tmp_path / "g"), "--precision", "fp16"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["f.onnx"]
    assert main(["model", "export", str(package), str(tmp_path / "LOUD.ONNX")]) == 0
    assert (tmp_path / "LOUD.ONNX").is_file()


@pytest.mark.parametrize(
    ("target", "words"),
    [("none/below/x.onnx", "none/below' of the output does not exist"), (f"{'a' * 300}.onnx", "too long")],
)
def test_where_no_file_can_be_made(target: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        export_onnx(find_model("fast-x2").folder, tmp_path / target)
    assert error.value.hint
