"""Networks one after another: what passes between them is not rounded, and the way to RGB and back is gone once."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import clips
from tests.support.ncnn_files import plain, tagged, written
from vsr.cli import main
from vsr.convert.importing import import_model
from vsr.core.color import Color
from vsr.core.errors import ModelError
from vsr.core.frame import Frame, PixelFormat
from vsr.models.registry import find_model
from vsr.upscale.upscaler import Upscaler

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def added(folder: Path, amount: float, channels: int = 3) -> str:
    """A package that keeps the size and adds so much of white."""
    kernels = np.eye(channels, dtype=np.float32)[..., None, None]
    bias = np.full(channels, amount, np.float32)
    line = f"Convolution c 1 1 d y 0={channels} 1=1 5=1 6={channels**2}"
    file = written(folder, ["Input d 0 1 d", line], [tagged(kernels), plain(bias)])
    return str(import_model(file, folder / f"plus-{channels}-{round(1000 * amount)}").folder)


def test_what_passes_between_them_is_not_rounded(tmp_path: Path) -> None:
    """0.4 codes are nothing to each network alone, and a code to three of them."""
    small = added(tmp_path, 0.4 / 255)
    picture = np.clip(NOISE, 0, 250)
    with Upscaler(small) as alone, Upscaler(",".join([small] * 3)) as chain:
        assert np.array_equal(alone.upscale(picture), picture)
        assert np.array_equal(chain.upscale(picture), picture + 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_scales_multiply_and_the_order_counts(channels: int, tmp_path: Path) -> None:
    """As one network after the other, but for the rounding between; on every kind of planes."""
    first = added(tmp_path, 0.1, channels)
    spec = find_model(f"{first},bicubic-x2")
    assert (spec.scale, spec.domain) == (2, "luma" if channels == 1 else "rgb")
    assert find_model(f"{first}, bicubic-x2").folder == spec.folder
    smooth = np.asarray(Image.fromarray(NOISE // 2).resize((64, 48), Image.Resampling.BICUBIC))
    kinds = {
        "gray": ([smooth[..., 0]], PixelFormat("gray")),
        "rgb": ([smooth[..., at] for at in range(3)], PixelFormat("rgb")),
        "yuv": (
            [smooth[..., 0] // 2 + 60, *(smooth[::2, ::2, at] // 4 + 100 for at in (1, 2))],
            PixelFormat("yuv", 8, (1, 1)),
        ),
    }
    with Upscaler(str(spec.folder)) as chain, Upscaler(first) as one, Upscaler("bicubic-x2") as other:
        for name, (planes, kind) in kinds.items():
            frame = Frame([np.ascontiguousarray(plane) for plane in planes], 64, 48, kind, Color())
            found = chain.upscale(frame)
            wanted = other.upscale(one.upscale(frame))
            assert (found.width, found.height) == (128, 96)
            for number, (plane, expected) in enumerate(zip(found.planes, wanted.planes, strict=True)):
                apart = np.abs(np.asarray(plane).astype(int) - expected)[8:-8, 8:-8]
                # Chroma that nothing halves between the two is sharper.
                assert apart.max() <= (2 if number == 0 or name == "rgb" else 5), name
                assert apart.mean() < 1.5, name


def test_on_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = f"{added(tmp_path, 0.05)},fast"
    out = tmp_path / "out.mp4"
    assert main(["upscale", str(clips.h264()), str(out), "--model", chain, "-q"]) == 0
    with av.open(str(out)) as container:
        sizes = {(frame.width, frame.height) for frame in container.decode(video=0)}
    assert sizes == {(320, 240)}
    Image.fromarray(NOISE).save(tmp_path / "in.png")
    assert main(["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", chain, "-q"]) == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 48)
    assert (
        main(
            ["upscale", str(tmp_path / "in.png"), str(tmp_path / "x4.png"), "--model", chain, "--scale", "4"]
        )
        == 2
    )
    assert "enlarges by 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("bicubic-x4,bicubic-x4,bicubic-x2", "enlarges by 32, more than 16"),
        ("bicubic-x2,nosuch", "there is no model 'nosuch'"),
        ("bicubic-x2,", "there is no model ''"),
        ("fast,quality-x3", "there is no model 'quality-x3'"),
    ],
)
def test_chains_that_are_none(
    chain: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(NOISE).save(tmp_path / "in.png")
    arguments = ["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", chain]
    assert main(arguments) == ModelError.exit_code
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if line.startswith("error:")] == [f"error: {words}"] or words in told[0]
    assert not (tmp_path / "out.png").exists()


def test_a_network_that_keeps_the_size_reaches_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(NOISE).save(tmp_path / "in.png")
    model = added(tmp_path, 0.05)
    arguments = ["upscale", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", model]
    assert main([*arguments, "--scale", "2"]) == 2
    assert "enlarges by 1" in capsys.readouterr().err
    assert main(arguments) == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (32, 24)
