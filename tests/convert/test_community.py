"""Checkpoints of community architectures: what spandrel builds here goes through a file into a package that upscales."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.support import clips
from vsr.cli import main
from vsr.convert.community import onnx_from_checkpoint
from vsr.convert.importing import import_model
from vsr.core.errors import WeightsError
from vsr.core.frame import Frame, PixelFormat
from vsr.models.registry import find_model
from vsr.upscale.upscaler import Upscaler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
    from spandrel.architectures.SPAN import SPAN
    from spandrel.architectures.SwinIR import SwinIR


def compact() -> nn.Module:
    """Adds to the picture repeated, so that even drawn weights make a picture."""
    torch.manual_seed(0)
    return SRVGGNetCompact(
        num_in_ch=3, num_out_ch=3, num_feat=16, num_conv=2, upscale=2, act_type="prelu"
    ).eval()


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_saved_imported_and_used_by_name(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, file = compact(), tmp_path / f"2x.{kind}"
    if kind == "pth":  # As its own training code keeps it.
        torch.save({"params_ema": network.state_dict()}, file)
    else:
        save_file(network.state_dict(), file)
    name = f"compact-{kind}"
    assert main(["model", "import", str(file), name, "--licence", "MIT"]) == 0
    assert "x2 on rgb" in capsys.readouterr().out
    spec = find_model(name)
    assert (spec.halo, spec.macs_per_pixel) == (4 + 10, 9 * (3 * 16 + 2 * 16 * 16 + 16 * 12))

    out = tmp_path / "out.mp4"
    assert main(["upscale", str(clips.h264()), str(out), "--model", name]) == 0
    with av.open(str(out)) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(320, 240)] * 25

    picture = np.random.default_rng(1).integers(0, 256, (3, 40, 56), np.uint8)
    with torch.no_grad():
        wanted = network(torch.from_numpy(picture[None] / np.float32(255)))[0].clamp(0, 1).numpy() * 255
    with Upscaler(name) as upscaler:
        frame = Frame([picture[at] for at in (1, 2, 0)], 56, 40, PixelFormat("rgb"))
        found = upscaler.upscale(frame).planes
    for plane, at in zip(found, (1, 2, 0), strict=True):
        assert np.abs(np.asarray(plane).astype(float) - wanted[at]).max() <= 1


def test_a_checkpoint_that_keeps_the_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=1).eval()
    torch.save(network.state_dict(), tmp_path / "1x.pth")
    spec = import_model(tmp_path / "1x.pth", tmp_path / "denoise-x1")
    assert (spec.scale, spec.domain) == (1, "rgb")
    picture = np.random.default_rng(1).integers(0, 256, (20, 28, 3), np.uint8)
    given = torch.from_numpy(picture.transpose(2, 0, 1)[None] / np.float32(255))
    with torch.no_grad():
        wanted = network(given)[0].clamp(0, 1).numpy().transpose(1, 2, 0) * 255
    with Upscaler(str(spec.folder), precision="fp32") as upscaler:
        assert np.abs(upscaler.upscale(picture).astype(float) - wanted).max() <= 1


def esrgan() -> nn.Module:
    return RRDBNet(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4)


def span() -> nn.Module:
    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=3)


def swinir() -> nn.Module:
    """Decides by size: what one run of it shows holds for that size only."""
    sizes = {"depths": [2], "embed_dim": 8, "num_heads": [2], "window_size": 8}
    return SwinIR(upscale=2, img_size=16, upsampler="pixelshuffledirect", **sizes)


@pytest.mark.parametrize("make", [esrgan, span, swinir])
@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_any_size_comes_out_as_of_the_network_itself(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    network = make()
    torch.save(network.state_dict(), tmp_path / "net.pth")
    model = onnx_from_checkpoint(tmp_path / "net.pth")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 32, 40), (2, 3, 56, 24)):
        picture = torch.rand(size)
        with torch.no_grad():
            wanted = network.eval()(picture.clone()).numpy()
        (found,) = session.run(None, {session.get_inputs()[0].name: picture.numpy()})
        np.testing.assert_allclose(found, wanted, atol=1e-3)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("pickled code ran",))


def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"params": _Trap()}, tmp_path / "code.pth")
    torch.save({"some.weight": torch.zeros(4, 4)}, tmp_path / "unknown.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    (tmp_path / "text.pth").write_text("no network")
    (tmp_path / "text.safetensors").write_text("no network")
    torch.save(compact().state_dict(), tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:2000])
    torch.save({k: v * float("nan") for k, v in compact().state_dict().items()}, tmp_path / "nan.pth")
    for name, words in (
        ("code.pth", "never executes it"),
        ("unknown.pth", "spandrel does not know the network"),
        ("tensor.pth", "no table of tensors"),
        ("text.pth", "text.pth"),
        ("text.safetensors", "not a whole checkpoint"),
        ("cut.pth", "not a whole checkpoint"),
        ("nan.pth", r"body\.0\.weight has values that are not finite"),
        ("none.pth", "No such file"),
        ("none.safetensors", "none.safetensors"),
    ):
        with pytest.raises(WeightsError, match=words):
            import_model(tmp_path / name, tmp_path / "package")
    assert not (tmp_path / "package").exists()
    assert "pickled code ran" not in capsys.readouterr().out
