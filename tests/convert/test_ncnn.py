"""Networks of ncnn: each layer computes the same as in torch. Files that vsr cannot use are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional as f

from tests.support.ncnn_files import FP16, INT8, TABLE, plain, tagged, written
from vsr.cli import main
from vsr.convert.importing import import_model
from vsr.convert.ncnn import onnx_from_ncnn
from vsr.core.errors import WeightsError
from vsr.upscale.upscaler import Upscaler

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.random((1, 3, 12, 10), np.float32)
HEAD = RANDOM.normal(0, 0.6, (4, 3, 1, 1)).astype(np.float32)
"""What every case begins with: more channels than pictures have, to tell groups apart, and numbers below zero."""
BEGIN = ["Input data 0 1 data", "Convolution head 1 1 data x 0=4 1=1 6=12"]
KERNELS = RANDOM.normal(0, 0.3, (8, 4, 3, 3)).astype(np.float32)
DEPTHWISE = RANDOM.normal(0, 0.3, (4, 1, 3, 3)).astype(np.float32)
GROUPS = RANDOM.normal(0, 0.3, (6, 2, 3, 3)).astype(np.float32)
# As ncnn keeps it: outputs first.
LARGER = RANDOM.normal(0, 0.3, (5, 4, 4, 4)).astype(np.float32)
SQUARE = RANDOM.normal(0, 0.5, (4, 4)).astype(np.float32)
EIGHT, SIX, FIVE, FOUR, OTHER = (RANDOM.normal(0, 0.4, n).astype(np.float32) for n in (8, 6, 5, 4, 4))
POSITIVE = RANDOM.random(4, np.float32) + 0.5
T = torch.from_numpy


def mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3), keepdim=True)


def by_channel(values: np.ndarray) -> torch.Tensor:
    return T(values).view(1, -1, 1, 1)


def hard_swish(x: torch.Tensor) -> torch.Tensor:
    return x * (0.2 * x + 0.5).clamp(0, 1)


def turned_about(x: torch.Tensor) -> torch.Tensor:
    """The picture and its sigmoid joined, the last five channels before the first three, and enlarged."""
    both = torch.cat([x, torch.sigmoid(x)], 1)
    return f.interpolate(torch.cat([both[:, 3:], both[:, :3]], 1), scale_factor=2)


Case = tuple[list[str], list[bytes], Callable[[torch.Tensor], torch.Tensor]]
CONV = [tagged(KERNELS), plain(EIGHT)]
CASES: dict[str, Case] = {
    "convolution": (
        ["Convolution c 1 1 x y 0=8 1=3 3=2 4=1 5=1 6=288"],
        CONV,
        lambda x: f.conv2d(x, T(KERNELS), T(EIGHT), 2, 1),
    ),
    "dilated, padded on two sides": (
        ["Convolution c 1 1 x y 0=8 1=3 2=2 4=2 5=1 6=288 14=3 15=0 16=1"],
        CONV,
        lambda x: f.conv2d(f.pad(x, (2, 0, 3, 1)), T(KERNELS), T(EIGHT), dilation=2),
    ),
    "same": (
        ["Convolution c 1 1 x y 0=8 1=3 4=-233 6=288"],
        [tagged(KERNELS)],
        lambda x: f.conv2d(x, T(KERNELS), padding=1),
    ),
    "leaky": (
        ["Convolution c 1 1 x y 0=8 1=3 5=1 6=288 9=2 -23310=1,1.000000e-01"],
        CONV,
        lambda x: f.leaky_relu(f.conv2d(x, T(KERNELS), T(EIGHT)), 0.1),
    ),
    "clipped": (
        ["Convolution c 1 1 x y 0=8 1=3 5=1 6=288 9=3 -23310=2,-2.000000e-01,5.000000e-01"],
        CONV,
        lambda x: f.conv2d(x, T(KERNELS), T(EIGHT)).clamp(-0.2, 0.5),
    ),
    "mish": (
        ["Convolution c 1 1 x y 0=8 1=3 5=1 6=288 9=5"],
        CONV,
        lambda x: f.mish(f.conv2d(x, T(KERNELS), T(EIGHT))),
    ),
    "hard swish": (
        ["Convolution c 1 1 x y 0=8 1=3 5=1 6=288 9=6 -23310=2,2.000000e-01,5.000000e-01"],
        CONV,
        lambda x: hard_swish(f.conv2d(x, T(KERNELS), T(EIGHT))),
    ),
    "fp16": (
        ["Convolution c 1 1 x y 0=8 1=3 5=1 6=288"],
        [tagged(KERNELS, FP16), plain(EIGHT)],
        lambda x: f.conv2d(x, T(KERNELS.astype(np.float16).astype(np.float32)), T(EIGHT)),
    ),
    "depthwise": (
        ["ConvolutionDepthWise c 1 1 x y 0=4 1=3 4=1 5=1 6=36 7=4"],
        [tagged(DEPTHWISE), plain(FOUR)],
        lambda x: f.conv2d(x, T(DEPTHWISE), T(FOUR), padding=1, groups=4),
    ),
    "groups": (
        ["ConvolutionDepthWise c 1 1 x y 0=6 1=3 4=1 5=1 6=108 7=2"],
        [tagged(GROUPS), plain(SIX)],
        lambda x: f.conv2d(x, T(GROUPS), T(SIX), padding=1, groups=2),
    ),
    "deconvolution": (
        ["Deconvolution c 1 1 x y 0=5 1=4 3=2 4=1 5=1 6=320 9=1"],
        [tagged(LARGER), plain(FIVE)],
        lambda x: f.relu(f.conv_transpose2d(x, T(LARGER.transpose(1, 0, 2, 3).copy()), T(FIVE), 2, 1)),
    ),
    "deconvolution with more at its end": (
        ["Deconvolution c 1 1 x y 0=5 1=4 3=2 4=1 5=1 6=320 18=1"],
        [tagged(LARGER), plain(FIVE)],
        lambda x: f.conv_transpose2d(x, T(LARGER.transpose(1, 0, 2, 3).copy()), T(FIVE), 2, 1, 1),
    ),
    "deconvolution in groups": (
        ["DeconvolutionDepthWise c 1 1 x y 0=4 1=3 3=2 6=36 7=4"],
        [tagged(DEPTHWISE)],
        lambda x: f.conv_transpose2d(x, T(DEPTHWISE), None, 2, groups=4),
    ),
    "squeeze and excite": (
        [
            "Split s 1 2 x a b",
            "Pooling p 1 1 a m 0=1 4=1",
            "InnerProduct i 1 1 m n 0=4 1=1 2=16 9=4",
            "Reshape r 1 1 n o 0=1 1=1 2=4",
            "BinaryOp m 2 1 b o y 0=2",
        ],
        [tagged(SQUARE), plain(FOUR)],
        lambda x: x * torch.sigmoid(f.conv2d(mean(x), T(SQUARE)[:, :, None, None], T(FOUR))),
    ),
    "scaled by a vector": (
        ["Split s 1 2 x a b", "Pooling p 1 1 a m 0=0 4=1", "Scale c 2 1 b m y 0=-233"],
        [],
        lambda x: x * x.amax((2, 3), keepdim=True),
    ),
    "mean by reduction": (
        ["Split s 1 2 x a b", "Reduction p 1 1 a m 0=3 1=0 -23303=2,1,2 4=1 5=1", "BinaryOp c 2 1 b m y 0=1"],
        [],
        lambda x: x - mean(x),
    ),
    "relu": (["ReLU r 1 1 x y"], [], f.relu),
    "leaky relu": (["ReLU r 1 1 x y 0=2.000000e-01"], [], lambda x: f.leaky_relu(x, 0.2)),
    "prelu": (["PReLU r 1 1 x y 0=4"], [plain(FOUR)], lambda x: f.prelu(x, T(FOUR))),
    "prelu of one slope": (["PReLU r 1 1 x y 0=1"], [plain(FOUR[:1])], lambda x: f.prelu(x, T(FOUR[:1]))),
    "clip": (["Clip r 1 1 x y 0=-1.000000e-01 1=3.000000e-01"], [], lambda x: x.clamp(-0.1, 0.3)),
    "sigmoid": (["Sigmoid r 1 1 x y"], [], torch.sigmoid),
    "swish": (["Swish r 1 1 x y"], [], f.silu),
    "gelu": (["GELU r 1 1 x y 0=0"], [], f.gelu),
    "gelu by tanh": (["GELU r 1 1 x y 0=1"], [], lambda x: f.gelu(x, approximate="tanh")),
    "tanh": (["TanH r 1 1 x y"], [], torch.tanh),
    "hard sigmoid": (["HardSigmoid r 1 1 x y"], [], lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "scale": (
        ["Scale r 1 1 x y 0=4 1=1"],
        [plain(FOUR), plain(OTHER)],
        lambda x: x * by_channel(FOUR) + by_channel(OTHER),
    ),
    "batch norm": (
        ["BatchNorm r 1 1 x y 0=4 1=1.000000e-03"],
        [plain(FOUR), plain(OTHER), plain(POSITIVE), plain(SQUARE[0])],
        lambda x: f.batch_norm(x, T(OTHER), T(POSITIVE), T(FOUR), T(SQUARE[0]), eps=1e-3),
    ),
    "less from a number": (["BinaryOp r 1 1 x y 0=7 1=1 2=2.500000e-01"], [], lambda x: 0.25 - x),
    "square": (["UnaryOp r 1 1 x y 0=4"], [], torch.square),
    "memory": (
        ["MemoryData d 0 1 k 0=4", "BinaryOp r 2 1 x k y 0=0"],
        [plain(FOUR)],
        lambda x: x + by_channel(FOUR),
    ),
    "weighted sum": (
        [
            "Split s 1 2 x a b",
            "Sigmoid g 1 1 a c",
            "Eltwise e 2 1 c b y 0=1 -23301=2,2.000000e-01,1.000000e+00",
        ],
        [],
        lambda x: 0.2 * torch.sigmoid(x) + x,
    ),
    "joined and cut": (
        [
            "Split s 1 2 x a b",
            "Sigmoid g 1 1 a c",
            "Concat j 2 1 b c d 0=0",
            "Slice t 1 2 d e h -23300=2,3,-233 1=0",
            "Interp i 1 1 e k 0=1 1=2.0 2=2.0",
            "Interp n 1 1 h l 0=1 1=2.0 2=2.0",
            "Concat o 2 1 l k y",
        ],
        [],
        turned_about,
    ),
    "cropped to another": (
        [
            "Split s 1 2 x a b",
            "Pooling p 1 1 a m 0=0 1=3 5=1",
            "Crop c 2 1 b m d 0=1 1=1",
            "Sigmoid g 1 1 d y",
        ],
        [],
        lambda x: torch.sigmoid(x[:, :, 1:-1, 1:-1]),
    ),
    "cropped by ends": (
        ["Crop c 1 1 x y -23309=2,2,3 -23310=2,-2,-1 -23311=2,-2,-1"],
        [],
        lambda x: x[:, :, 2:-2, 3:-1],
    ),
    "cropped to a size": (["Crop c 1 1 x y 0=1 1=2 2=1 3=5 4=-233 5=2"], [], lambda x: x[:, 1:3, 2:, 1:6]),
    "nearest": (
        ["Interp i 1 1 x y 0=1 1=3.0 2=2.0"],
        [],
        lambda x: f.interpolate(x, scale_factor=(3.0, 2.0)),
    ),
    "bilinear": (
        ["Interp i 1 1 x y 0=2 1=2.0 2=2.0"],
        [],
        lambda x: f.interpolate(x, scale_factor=2, mode="bilinear"),
    ),
    "bilinear from corner to corner": (
        ["Interp i 1 1 x y 0=2 1=2.0 2=2.0 6=1"],
        [],
        lambda x: f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    ),
    "bicubic": (
        ["Interp i 1 1 x y 0=3 1=2.0 2=2.0"],
        [],
        lambda x: f.interpolate(x, scale_factor=2, mode="bicubic"),
    ),
    "pixel shuffle": (["PixelShuffle i 1 1 x y 0=2"], [], lambda x: f.pixel_shuffle(x, 2)),
    "pixel shuffle, blocks first": (
        ["PixelShuffle i 1 1 x y 0=2 1=1"],
        [],
        lambda x: x.view(1, 2, 2, 1, 12, 10).permute(0, 3, 4, 1, 5, 2).reshape(1, 1, 24, 20),
    ),
    "pixel unshuffle": (["Reorg i 1 1 x y 0=2"], [], lambda x: f.pixel_unshuffle(x, 2)),
    "padding": (
        ["Padding p 1 1 x y 0=1 1=2 2=3 3=0 5=5.000000e-01"],
        [],
        lambda x: f.pad(x, (3, 0, 1, 2), value=0.5),
    ),
    "replicated": (["Padding p 1 1 x y 0=1 1=2 2=3 4=1"], [], lambda x: f.pad(x, (3, 0, 1, 2), "replicate")),
    "reflected": (["Padding p 1 1 x y 0=1 1=2 2=3 4=2"], [], lambda x: f.pad(x, (3, 0, 1, 2), "reflect")),
    "mean of blocks": (
        ["Pooling p 1 1 x y 0=1 1=2 2=2"],
        [],
        lambda x: f.avg_pool2d(x, 2),
    ),
    "turned": (["Permute p 1 1 x y 0=1"], [], lambda x: x.transpose(2, 3)),
}


def computed(model: onnx.ModelProto, picture: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {session.get_inputs()[0].name: picture})[0]
    return result


@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_what_torch_does(name: str, tmp_path: Path) -> None:
    layers, weights, wanted = CASES[name]
    model = onnx_from_ncnn(written(tmp_path, [*BEGIN, *layers], [tagged(HEAD), *weights]))
    onnx.checker.check_model(model, full_check=True)
    with torch.no_grad():
        expected = wanted(f.conv2d(T(PICTURE), T(HEAD))).numpy()
    found = computed(model, PICTURE)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)


def denoiser(folder: Path, channels: int = 3, name: str = "net") -> Path:
    """Each pixel by the mean of its neighbours, channel by channel."""
    kernels = np.full((channels, 1, 3, 3), 1 / 9, np.float32)
    line = f"ConvolutionDepthWise c 1 1 p y 0={channels} 1=3 6={9 * channels} 7={channels}"
    return written(
        folder, ["Input d 0 1 d", "Padding p 1 1 d p 0=1 1=1 2=1 3=1 4=1", line], [tagged(kernels)], name
    )


def doubler(folder: Path, border: int = 0) -> Path:
    """Each pixel a block of four; without the pixels that lie `border` from the edge, as networks that do not pad give it."""
    kernels = np.zeros((3, 3, 2 * border + 1, 2 * border + 1), np.float32)
    kernels[range(3), range(3), border, border] = 1
    size = kernels.size
    layers = [
        "Input d 0 1 d",
        f"Convolution c 1 1 d x 0=3 1={2 * border + 1} 6={size}",
        "Interp i 1 1 x y 0=1 1=2.0 2=2.0",
    ]
    return written(folder, layers, [tagged(kernels)])


@pytest.mark.parametrize("border", [0, 7])
def test_a_package_of_one_upscales(border: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = doubler(tmp_path, border)
    assert main(["model", "import", str(file), f"doubled-{border}", "--licence", "MIT"]) == 0
    assert "x2 on rgb" in capsys.readouterr().out
    picture = np.random.default_rng(1).integers(0, 256, (21, 30, 3), np.uint8)
    with Upscaler(f"doubled-{border}") as upscaler:
        found = upscaler.upscale(picture)
    np.testing.assert_array_equal(found, picture.repeat(2, 0).repeat(2, 1))  # The edges too.


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_keeps_the_size(channels: int, tmp_path: Path) -> None:
    spec = import_model(denoiser(tmp_path, channels), tmp_path / "mean-x1")
    assert (spec.scale, spec.domain) == (1, "luma" if channels == 1 else "rgb")
    picture = np.random.default_rng(1).integers(16, 256, (20, 28, 4), np.uint8)
    with Upscaler(str(spec.folder)) as upscaler:
        found = upscaler.upscale(picture)
        assert upscaler.scale == 1
    assert found.shape == picture.shape
    np.testing.assert_array_equal(found[..., 3], picture[..., 3])  # Alpha stays.
    if channels == 3:
        opaque = picture[..., :3].astype(float)
        rows = np.pad(opaque, ((1, 1), (1, 1), (0, 0)), mode="edge")
        means = sum(rows[y : y + 20, x : x + 28] for y in range(3) for x in range(3)) / 9
        assert np.abs(found[..., :3] - means).max() <= 0.51


GOOD = ["Input d 0 1 d", "Convolution c 1 1 d y 0=3 1=3 4=1 6=81"]
WEIGHTS = tagged(np.zeros((3, 3, 3, 3)))
BAD: dict[str, tuple[list[str], bytes, str]] = {
    "unknown layers": (
        [*GOOD, "Softmax s 1 1 y z", "LSTM l 1 1 z q"],
        WEIGHTS,
        "not known here: LSTM, Softmax",
    ),
    "a short bin": (GOOD, WEIGHTS[:-4], r"net.bin has 324 bytes and ends within layer c"),
    "a long bin": (
        GOOD,
        WEIGHTS + b"\0\0\0\0",
        r"net.bin has 332 bytes, of which the layers of net.param take 328",
    ),
    "int8": (GOOD, INT8.to_bytes(4, "little") + bytes(84), "layer c are in 8 bits"),
    "a table": (GOOD, TABLE.to_bytes(4, "little") + bytes(2000), "quantized by a table"),
    "int8 scales": ([GOOD[0], GOOD[1] + " 8=2"], WEIGHTS, r"layer c \(Convolution\): weights in 8 bits"),
    "too few weights": (
        [GOOD[0], "Convolution c 1 1 d y 0=3 1=3 6=54"],
        tagged(np.zeros(54)),
        "54 weights do not make",
    ),
    "a blob that is not there": ([GOOD[0], "ReLU r 1 1 nothing y"], b"", "takes nothing, which no layer"),
    "two outputs": (["Input d 0 1 d", "Split s 1 2 d a b"], b"", r"2 outputs \(a, b\)"),
    "a fixed size": ([GOOD[0], "Interp i 1 1 d y 0=2 3=64 4=64"], b"", "cannot resize to a fixed one"),
    "a line cut off": ([GOOD[0], "ReLU r 1 3 d"], b"", "line of r cannot be read"),
    "a word for a number": ([GOOD[0], "ReLU r 1 1 d y 0=fast"], b"", "line of r cannot be read"),
    "no number": (GOOD, tagged(np.full((3, 3, 3, 3), np.nan)), "values that are not finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers, data, words = BAD[name]
    file = written(tmp_path, layers, [data])
    with pytest.raises(WeightsError, match=words):
        onnx_from_ncnn(file)
    assert main(["model", "import", str(file), str(tmp_path / "package")]) == WeightsError.exit_code
    told = capsys.readouterr().err.splitlines()
    assert len([line for line in told if line.startswith("error:")]) == 1
    assert not (tmp_path / "package").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD, [WEIGHTS])
    with pytest.raises(WeightsError, match=r"net.bin has only the weights") as error:
        import_model(tmp_path / "net.bin", tmp_path / "package")
    assert error.value.hint == f"name {file}"
    (tmp_path / "net.bin").unlink()
    with pytest.raises(WeightsError, match=r"cannot read .*net.bin: No such file"):
        onnx_from_ncnn(file)
    file.write_bytes(b"\xdd\x85\x76\0binary")
    with pytest.raises(WeightsError, match="first line is not 7767517"):
        onnx_from_ncnn(file)
    file.write_text("7767517\n3 2\n" + "\n".join(GOOD))
    with pytest.raises(WeightsError, match="announces 3 layers and has 2"):
        onnx_from_ncnn(file)
