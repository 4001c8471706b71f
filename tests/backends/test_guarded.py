"""Half precision is guarded: what it cannot hold is counted, told with the layer's name, and kept in float32 where asked."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from vsr.backends.base import NOT_FINITE, Arrays
from vsr.backends.graphs.precision import guarded, in_precision
from vsr.backends.guarded import GuardedEngine, compare, extremes
from vsr.backends.memory import memory_of_a_still
from vsr.backends.tensorrt.recipe import recipe_from_dict
from vsr.backends.torch.ops import compiled
from vsr.core.errors import ConfigError, InferenceError
from vsr.jobs.engine_builds import batches
from vsr.media.samples import CLIP
from vsr.models import GraphLayout, ModelSpec, find_model, shipped_models
from vsr.models.spec import load_spec

LAYOUT = GraphLayout("yuv", 1, "left")
FRAMES = list(batches(recipe_from_dict({"model": "fast", "width": 96, "height": 64}), str(CLIP), 3))
LOUD = 2.0**17


class _Half(GuardedEngine):
    """fp16 by ONNX Runtime."""

    def __init__(self, spec: ModelSpec, keep: Sequence[str] = ()) -> None:
        super().__init__(spec, LAYOUT, "fp16")
        model = in_precision(guarded(onnx.load(str(spec.graph(LAYOUT)))), "fp16", keep)
        onnx.checker.check_model(model, full_check=True)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    def outputs(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        given = {port.name: inputs[port.name] for port in self._session.get_inputs()}
        names = [port.name for port in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, given), strict=True))


@pytest.fixture
def loud(tmp_path: Path) -> ModelSpec:
    """The same network, but that its third layer makes, and its fourth takes, values beyond what fp16 holds."""
    shutil.copytree(find_model("fast").folder, tmp_path / "loud")
    spec = load_spec(tmp_path / "loud")
    path = spec.graph(LAYOUT)
    model = onnx.load(str(path))
    factors = {"convs.2.weight": LOUD, "convs.2.bias": LOUD, "convs.3.weight": 1 / LOUD}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor) * np.float32(factors.get(tensor.name, 1))
        if tensor.name in factors:
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(path))
    return spec


def test_half_precision_is_near_float32() -> None:
    with _Half(find_model("fast")) as engine:
        parity = compare(engine, FRAMES)
        assert engine.run(FRAMES[0]).keys() == {"y_out", "u_out", "v_out"}
    assert parity.psnr_db > 50
    assert parity.largest_difference <= 2
    assert (parity.not_finite, parity.frames) == (0, 3)
    with pytest.raises(ConfigError, match="no frame"):
        compare(engine, [])


def test_what_overflows_is_counted_and_the_layer_named(loud: ModelSpec) -> None:
    with _Half(loud) as engine:
        assert compare(engine, FRAMES).not_finite > 1000
        with pytest.raises(
            InferenceError, match=r"NaN or infinite: net/conv2 reaches .*, and fp16 ends at 6\.55e\+04"
        ) as raised:
            engine.run(FRAMES[0])
    assert (
        raised.value.hint
        == '--precision bf16, or keep_fp32 = ["net/conv2"] in the recipe of a TensorRT engine'
    )
    ordinary = extremes(find_model("fast"), LAYOUT, FRAMES[0])
    least, most = ordinary["net/conv2"]
    assert extremes(loud, LAYOUT, FRAMES[0])["net/conv2"] == pytest.approx(
        (least * LOUD, most * LOUD), rel=1e-3
    )
    assert list(ordinary)[:3] == ["net/conv0", "net/act0", "net/conv1"]


@pytest.mark.parametrize("spec", shipped_models(), ids=lambda spec: spec.id)
def test_noise_keeps_shipped_networks_far_from_where_fp16_ends(spec: ModelSpec) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (1, 1, 96, 96), np.uint8) * np.uint8(255)
    planes = {"y": noise, "u": noise[:, :, ::2, ::2], "v": noise[:, :, 1::2, ::2]}
    planes = {name: plane.copy() for name, plane in planes.items()}
    memory = memory_of_a_still(spec, LAYOUT, planes)
    found = extremes(spec, LAYOUT, {**FRAMES[0], **planes, **memory})
    assert max(max(-least, most) for least, most in found.values()) < 1000


def test_layers_kept_in_float32_hold_it(loud: ModelSpec) -> None:
    with _Half(loud, ["net/conv2", "net/act2", "net/conv3"]) as engine:
        parity = compare(engine, FRAMES)
    assert parity.not_finite == 0
    assert parity.psnr_db > 50


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_torch_counts_them_too(bad: float) -> None:
    model = guarded(onnx.load(str(find_model("fast").graph(LAYOUT))))
    counts = []
    for value in (0.0, bad):
        for tensor in model.graph.initializer:
            if tensor.name == "linear.weight":
                values = numpy_helper.to_array(tensor).copy()
                values[0, 0, 2, 2] += np.float32(value)
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        constants, steps = compiled(model.graph, torch.float32, torch.device("cpu"))
        values = constants | {name: torch.from_numpy(np.array(array)) for name, array in FRAMES[0].items()}
        for step in steps:
            step(values)
        counts.append(int(values[NOT_FINITE]))
    assert counts == [0, 96 * 64]  # One of the four places of each pixel.
