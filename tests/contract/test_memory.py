"""One suite over the networks with memory: those that come with vsr, and a small one of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.memory_network import write_memory_network
from tests.support.tiers import slow_except
from tests.support.usable import backends
from vsr.backends.choose import load_backend
from vsr.bench.synthetic import synthetic_frames
from vsr.core.frame import Frame
from vsr.jobs.segments import LEAD
from vsr.models import GraphLayout, ModelSpec, find_model, shipped_models
from vsr.models.spec import ALL_LAYOUTS
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.planes import Kind
from vsr.upscale.upscaler import Upscaler

SHIPPED = [spec.id for spec in shipped_models() if spec.states]
SIZE = (128, 96)


@pytest.fixture(params=[*slow_except("temporal-x2", SHIPPED), "of the tests"], scope="module")
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    if request.param in SHIPPED:
        return find_model(request.param)
    return write_memory_network(tmp_path_factory.mktemp("packages") / "memory-x2")


def lumas(spec: ModelSpec, frames: Sequence[Frame], **options: Any) -> np.ndarray:
    """Of each frame of a stream, in float32."""
    with (
        Upscaler(str(spec.folder), precision="fp32", **options) as upscaler,
        upscaler.sequence() as sequence,
    ):
        found = [np.array(frame.planes[0]) for frame in sequence.stream(frames)]
    return np.stack(found).astype(int)


def test_it_names_a_network_without_memory_of_its_factor(spec: ModelSpec) -> None:
    single = find_model(spec.single)
    assert not single.states
    assert single.scale == spec.scale
    for layout in ALL_LAYOUTS:
        assert spec.graph(layout).is_file()


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize(
    "layout", [GraphLayout("gray", 1), GraphLayout("rgb", 2)], ids=lambda layout: layout.name
)
def test_without_keep_what_the_memory_holds_does_not_matter(
    backend: str, layout: GraphLayout, spec: ModelSpec
) -> None:
    random = np.random.default_rng(0)
    (frame,) = synthetic_frames(*SIZE, 1)
    kind = Kind.of(frame)
    unit = layout.bytes_per_sample
    luma = np.asarray(frame.planes[0])
    codes = luma if unit == 1 else (luma.astype("<u2") * 257).view(np.uint8)
    planes = dict.fromkeys(layout.plane_names, codes[None, None])
    small = small_inputs(kind.format, kind.color)
    if unit == 2:
        small |= {"gain": np.array(small["gain"] / 257), "max_code": np.array(65535, np.float32)}
    shapes = {name: plane.shape for name, plane in planes.items()}
    with load_backend(backend).compile(spec, layout, shapes) as engine:

        def made(keep: float) -> np.ndarray:
            memory = {
                name: random.integers(0, 256, shape, np.uint8)
                for name, shape in spec.memory_shapes(layout, shapes).items()
            }
            found = engine.run({**small, **planes, **memory, "keep": np.full(1, keep, np.float32)})
            return np.concatenate([found[f"{name}_out"].ravel() for name in layout.plane_names])

        np.testing.assert_array_equal(made(0), made(0))


def test_all_backends_agree_along_a_stream(spec: ModelSpec) -> None:
    frames = list(synthetic_frames(*SIZE, 12))
    wanted = lumas(spec, frames, backend="onnxruntime")
    for backend in ("openvino", "torch"):
        apart = np.abs(lumas(spec, frames, backend=backend) - wanted)
        assert (apart > 1).mean() <= 0.001, backend


def test_after_its_lead_a_segment_is_as_in_one_pass(spec: ModelSpec) -> None:
    frames = list(synthetic_frames(*SIZE, 2 * LEAD))
    whole, late = lumas(spec, frames), lumas(spec, frames[LEAD - 1 :])
    # A result is mixed with the last one before it is rounded, so a single code may stay for long where nothing moves.
    apart = np.abs(late[LEAD:] - whole[2 * LEAD - 1 :])
    assert apart.max() <= (1 if spec.id in SHIPPED else 0)
    assert (late[0] != whole[LEAD - 1]).any(), "the memory shows"


def test_tiles_are_as_the_whole_picture(spec: ModelSpec) -> None:
    frames = list(synthetic_frames(320, 240, 6))
    apart = np.abs(lumas(spec, frames, tile=64) - lumas(spec, frames, tile=0))
    assert (apart > 1).mean() <= 0.001
