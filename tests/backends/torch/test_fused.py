"""Kernels for a CUDA device, which Triton's interpreter runs on the processor: they make what the nodes make they stand for.

The interpreter is chosen before Triton is first imported, hence a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import GraphProto, TensorProto, helper, numpy_helper

from vsr.backends.base import NOT_FINITE
from vsr.backends.graphs.precision import guarded
from vsr.backends.torch.ops import UnknownOperatorError, compiled
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.models import GraphLayout, find_model
from vsr.upscale.graph_inputs import small_inputs

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")

# Wider than a program makes, and with a last row alone.
WIDTH, HEIGHT = 66, 5
CPU = torch.device("cpu")
# Channels from and to, side, padding, what follows; and the nodes that are left.
CONVOLUTIONS = {
    "in two parts": (48, 48, 3, 1, ["PRelu"], ["Convolve"]),
    "from two parts": (48, 12, 3, 1, ["PRelu"], ["Convolve"]),
    "into two parts, masked": (16, 40, 3, 1, ["PRelu"], ["Convolve"]),
    "masked channels": (64, 50, 3, 1, ["PRelu"], ["Convolve"]),
    "to planes": (16, 4, 3, 1, [], ["Convolve"]),
    "leaky": (32, 32, 3, 1, ["LeakyRelu"], ["Convolve"]),
    "rectified": (16, 64, 3, 1, ["Relu", "Floor"], ["Convolve", "Floor"]),
    "from a plane": (1, 9, 5, 0, [], ["Spread"]),
    "from a plane, active": (1, 16, 3, 1, ["PRelu"], ["Spread"]),
    "of three channels": (3, 16, 3, 1, ["PRelu"], ["Conv", "PRelu"]),
    "of too many": (128, 16, 3, 1, [], ["Conv"]),
    "side by side": (16, 16, 1, 0, ["PRelu"], ["Conv", "PRelu"]),
    "before a gate": (48, 48, 3, 1, ["Sigmoid"], ["Convolve", "Sigmoid"]),
}


def convolution(case: str) -> GraphProto:
    channels, out_channels, side, pad, after, _ = CONVOLUTIONS[case]
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1 / side / channels**0.5, (out_channels, channels, side, side))
    values = {"w": weight, "b": rng.normal(size=out_channels), "s": rng.uniform(size=(out_channels, 1, 1))}
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y0"], pads=[pad] * 4, kernel_shape=[side, side])]
    for number, kind in enumerate(after):
        inputs, settings = [f"y{number}", *(["s"] if kind == "PRelu" else [])], {}
        if kind == "LeakyRelu":
            settings["alpha"] = 0.2
        nodes.append(helper.make_node(kind, inputs, [f"y{number + 1}"], **settings))
    return helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, channels, HEIGHT, WIDTH])],
        [helper.make_empty_tensor_value_info(f"y{len(after)}")],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
    )


def frame(model: str, format: PixelFormat) -> tuple[GraphProto, dict[str, Any]]:
    layout, rng = GraphLayout.of(format, Color()), np.random.default_rng(0)
    graph = guarded(onnx.load(find_model(model).graph(layout))).graph
    inputs: dict[str, Any] = dict(small_inputs(format, Color()))
    for number, name in enumerate(layout.plane_names):
        width, height = format.plane_size(number, WIDTH, 6)
        smooth = rng.normal(0, 12, (1, 1, height, width)).cumsum(-1) + 128
        codes = (smooth.clip(0, 255) * (2**format.bits - 1) / 255).astype("<u2")
        inputs[name] = codes.view(np.uint8) if format.bits > 8 else codes.astype(np.uint8)
    wanted = {port.name for port in graph.input}
    return graph, {name: array for name, array in inputs.items() if name in wanted}


def both_ways(graph: GraphProto, inputs: dict[str, Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the kernels make in half precision, and the nodes in float32."""
    results = []
    for dtype, fused in ((torch.float16, True), (torch.float32, False)):
        values, steps = compiled(graph, dtype, CPU, fused=fused)
        values |= {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}
        for step in steps:
            step(values)
        results.append([values[port.name].numpy() for port in graph.output])
    return results[0], results[1]


def printed_by(code: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """The JSON that Python prints last, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def all_of_it() -> dict[str, Any]:
    from vsr.backends.torch import fused as torch_fused

    apart: dict[str, Any] = {}
    for case, (channels, *_) in CONVOLUTIONS.items():
        graph = convolution(case)
        x = np.random.default_rng(1).normal(size=(2, channels, HEIGHT, WIDTH)).astype(np.float32)
        (found,), (wanted,) = both_ways(graph, {"x": x.astype(np.float16).astype(np.float32)})
        constants = compiled(graph, torch.float16, CPU)[0]
        left = [node.op_type for node in torch_fused.fuse(graph, constants, torch.float16, CPU)]
        apart[case] = [float(np.abs(found - wanted).max()), left]
    for name, model, pixels in (
        ("bytes", "fast-x2", PixelFormat("yuv", 8, (1, 1))),
        ("pairs of bytes", "bicubic-x3", PixelFormat("gray", 10)),
    ):
        found, wanted = both_ways(*frame(model, pixels))
        kind = "<u2" if pixels.bits > 8 else "u1"
        differences = [
            np.abs(a.view(kind).astype(int) - b.view(kind)).max()
            for a, b in zip(found, wanted, strict=True)
            if a.ndim
        ]
        apart[name] = [int(max(differences)), [float(array) for array in found if not array.ndim]]
    values = torch.tensor([1.0, float("inf"), -float("inf"), float("nan")])
    apart[NOT_FINITE] = float(torch_fused.OPERATORS["CountNotFinite"](values))
    apart["trouble"] = torch_fused.trouble(CPU)
    return apart


def test_a_gpu_whose_matrix_units_triton_does_not_use_is_left_to_cudnn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vsr.backends.torch.fused import trouble

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    trouble.cache_clear()
    assert "7.5" in trouble(torch.device("cuda"))
    trouble.cache_clear()


COMPILED = """
import json, pathlib, re, subprocess, sys, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from vsr.backends.torch.fused import compiled_for
from vsr.backends.torch.kernels import convolve

dump = pathlib.Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
found = {}
for capability in (8, 0), (8, 6), (8, 9), (9, 0), (12, 0):
    for channels, kind in (64, "fp16"), (64, "bf16"), (48, "fp16"):
        fixed = compiled_for(channels, channels, capability)
        warps = fixed.pop("num_warps")
        fixed |= {"CO": channels, "ACTIVE": 1, "PLANES": 0}
        types = dict.fromkeys(("features", "taps", "out"), f"*{kind}") | dict.fromkeys(("bias", "slope"), "*fp32")
        types |= dict.fromkeys(("height", "width"), "i32") | dict.fromkeys(fixed, "constexpr")
        names = convolve.arg_names
        source = ASTSource(
            convolve,
            {name: types[name] for name in names},
            {(names.index(name),): value for name, value in fixed.items()},
            {(names.index(name),): [["tt.divisibility", 16]] for name in names if types[name][0] == "*"},
        )
        target = GPUTarget("cuda", capability[0] * 10 + capability[1], 32)
        cubin = pathlib.Path(sys.argv[1]) / "cubin"
        kernel = triton.compile(source, target, {"num_warps": warps})
        cubin.write_bytes(kernel.asm["cubin"])
        said = subprocess.run([dump, "--dump-resource-usage", cubin], check=True, capture_output=True, text=True).stdout
        products = re.findall(r"(wg)?mma[.]\\S*[.]m(\\d+)n(\\d+)k(\\d+)", kernel.asm["ptx"])
        # Four warps have one wgmma in common.
        multiplied = sum(int(m) * int(n) * int(k) * warps // (4 if wg else 1) for wg, m, n, k in products)
        stack = int(re.findall(r"REG:\\d+ STACK:(\\d+)", said)[-1])
        each = multiplied / fixed["COLUMNS"]
        found[f"{capability} {channels} {kind}"] = stack, each, kernel.metadata.shared
print(json.dumps(found))
"""


@pytest.mark.slow
def test_kernels_keep_their_sums_in_registers_on_every_kind_of_gpu(tmp_path: Path) -> None:
    found = printed_by(COMPILED, str(tmp_path))
    assert len(found) == 15
    assert {kind: stack for kind, (stack, *_) in found.items() if stack} == {}
    # Two rows, of which each pixel takes three taps in one round of the loop: no product is made twice, or for nothing.
    assert {kind: each for kind, (_, each, _) in found.items()} == {
        kind: 2 * 3 * int(kind.split()[-2]) ** 2 for kind in found
    }
    # Of the memory of a multiprocessor, a block has 99 KiB at 8.6, 8.9 and 12.0.
    assert {kind for kind, (*_, shared) in found.items() if shared > 99 << 10} <= {
        f"(9, 0) 64 {kind}" for kind in ("fp16", "bf16")
    }


def test_a_convolution_that_is_refused_is_refused_fused_too() -> None:
    graph = convolution("from a plane")
    (pads,) = (attribute for attribute in graph.node[0].attribute if attribute.name == "pads")
    pads.CopyFrom(helper.make_attribute("auto_pad", "SAME_UPPER"))
    for fused in (False, True):
        with pytest.raises(UnknownOperatorError, match="auto_pad"):
            compiled(graph, torch.float16, CPU, fused=fused)


@pytest.mark.slow
def test_kernels_make_what_the_nodes_make() -> None:
    code = "import json; from tests.backends.torch.test_fused import *; print(json.dumps(all_of_it()))"
    apart = printed_by(code, TRITON_INTERPRET="1")
    for case, (*_, left) in CONVOLUTIONS.items():
        difference, nodes = apart[case]
        assert nodes == left, case
        assert difference < (0.02 if "Floor" not in left else 1.01), case
    assert apart["bytes"][0] <= 1
    assert apart["pairs of bytes"][0] <= 1
    assert apart["bytes"][1] == apart["pairs of bytes"][1] == [0.0]
    assert (apart[NOT_FINITE], apart["trouble"]) == (3.0, "")
