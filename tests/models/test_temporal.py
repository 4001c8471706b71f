"""A network with memory: one function in torch and in frame graphs, and nothing of the past where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from tests.models.test_motion import texture
from vsr.core.errors import WeightsError
from vsr.evaluation.resize import resize_bicubic
from vsr.models.archs.chain import Chain, ChainSpec, plain_chain_from_weights
from vsr.models.archs.temporal import Past, PlainTemporal, Temporal, TemporalSpec, from_chain, past_of
from vsr.models.graphs.frame_graph import frame_graph
from vsr.models.graphs.temporal import TemporalNetwork
from vsr.models.spec import WEIGHTS_NAME, GraphLayout

SPEC = TemporalSpec(scale=2, channels=8, depth=2)


def drawn(spec: TemporalSpec = SPEC) -> Temporal:
    """A network whose past has a say."""
    torch.manual_seed(0)
    network = Temporal(spec)
    with torch.no_grad():
        network.bank.normal_(0, 0.05)
        network.linear.normal_(0, 0.02)
    return network


def frames(count: int, scale: int, width: int = 80, height: int = 64) -> list[np.ndarray]:
    """A texture that moves by three large samples across and one down: small frames, uint8."""
    large, rows, columns = texture(2, 400), scale * height, scale * width
    crops = [large[20 + i : 20 + i + rows, 20 + 3 * i : 20 + 3 * i + columns] for i in range(count)]
    return [resize_bicubic(np.ascontiguousarray(crop), 1 / scale) for crop in crops]


@dataclass(frozen=True)
class Compiled:
    spec: TemporalSpec
    session: onnxruntime.InferenceSession

    def run(self, now: np.ndarray, before: np.ndarray, made: np.ndarray, keep: float) -> np.ndarray:
        inputs = {
            "y": now[None, None],
            "y_before": before[None, None],
            "y_out_before": made[None, None],
            "keep": np.array([keep], np.float32),
            "gain": np.float32(1 / 255),
            "bias": np.float32(0),
            "max_code": np.float32(255),
        }
        given = {name: np.asarray(value) for name, value in inputs.items()}
        found: np.ndarray = self.session.run(["y_out"], given)[0]
        return found[0, 0]


@pytest.fixture(scope="module", params=[2, 4])
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("temporal")
    spec = replace(SPEC, scale=request.param)
    save_file(drawn(spec).fold(), folder / WEIGHTS_NAME)
    model = frame_graph(TemporalNetwork(spec, folder / WEIGHTS_NAME), GraphLayout("gray", 1))
    onnx.save_model(model, str(folder / "gray8.onnx"))
    onnx.checker.check_model(str(folder / "gray8.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(folder / "gray8.onnx"), providers=["CPUExecutionProvider"])
    return Compiled(spec, session)


def test_the_graph_computes_what_torch_computes(graph: Compiled) -> None:
    network = PlainTemporal(graph.spec)
    network.load_state_dict(drawn(graph.spec).fold())
    small = frames(4, graph.spec.scale)
    made = np.zeros([side * graph.spec.scale for side in small[0].shape], np.uint8)
    for number, now in enumerate(small):
        luma = torch.from_numpy(now / np.float32(255))[None, None]
        with torch.inference_mode():
            if number:
                last = torch.from_numpy(small[number - 1] / np.float32(255))[None, None]
                past = past_of(luma, last, torch.from_numpy(made / np.float32(255))[None, None])
                wanted = network.step(luma, past)
            else:
                wanted = network(luma)
        found = graph.run(now, small[max(number - 1, 0)], made, float(number > 0))
        exact = (wanted[0, 0] * 255).clamp(0, 255).numpy()
        assert np.abs(found - exact).max() < 0.51
        made = found


def test_without_a_frame_before_it_does_not_matter_what_the_memory_holds(graph: Compiled) -> None:
    now, before = frames(2, graph.spec.scale)
    large = [side * graph.spec.scale for side in now.shape]
    nothing = graph.run(now, np.zeros_like(now), np.zeros(large, np.uint8), 0)
    noise = np.random.default_rng(0).integers(0, 256, large, dtype=np.uint8)
    np.testing.assert_array_equal(graph.run(now, before, noise, 0), nothing)
    assert (graph.run(now, before, noise, 1) != nothing).mean() > 0.1


@pytest.mark.parametrize("scale", [2, 4])
def test_it_begins_as_the_chain_it_grew_from(scale: int) -> None:
    torch.manual_seed(1)
    spec, chain_spec = replace(SPEC, scale=scale), ChainSpec(scale, 8, 2, linear=5)
    chain = Chain(chain_spec).fold()
    network = PlainTemporal(spec)
    network.load_state_dict(from_chain(spec, chain))
    luma = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        wanted = plain_chain_from_weights(chain_spec, chain)(luma)
        torch.testing.assert_close(network(luma), wanted, rtol=0, atol=1e-6)
    with pytest.raises(WeightsError, match="not of a chain that grows"):
        from_chain(replace(spec, depth=3), chain)


@pytest.mark.parametrize("scale", [2, 4])
def test_training_and_folded_weights_compute_the_same(scale: int) -> None:
    spec = replace(SPEC, scale=scale)
    trained, plain = drawn(spec), PlainTemporal(spec)
    plain.load_state_dict(trained.fold())
    again = Temporal(spec)
    again.load_folded(trained.fold())
    now, before, made = (
        torch.rand(1, 1, 32, 32),
        torch.rand(1, 1, 32, 32),
        torch.rand(1, 1, 32 * scale, 32 * scale),
    )
    past = Past(before, made, torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 1, 1))
    with torch.inference_mode():
        # Linear taps are rounded to 1/256 when they are folded.
        torch.testing.assert_close(plain.step(now, past), again.step(now, past), rtol=0, atol=1e-5)
        assert (plain.step(now, past) - trained.step(now, past)).abs().max() < 25 / 512


@pytest.mark.parametrize("scale", [2, 4])
def test_the_halo_covers_the_motion(scale: int) -> None:
    """A part of a frame that moves fast, with the halo around it, is as in the whole frame."""
    spec = replace(SPEC, scale=scale)
    network = drawn(spec).eval()
    side, halo = 192, -(-spec.halo // 4) * 4
    large = texture(4, 480)
    now, before = (
        torch.from_numpy(np.ascontiguousarray(large[y : y + side, x : x + side]) / np.float32(255))[
            None, None
        ]
        for y, x in ((40, 40), (51, 26))
    )
    made = before.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    start, size = 80, 32

    def cut(plane: torch.Tensor, times: int) -> torch.Tensor:
        rows = slice(times * (start - halo), times * (start + size + halo))
        return plane[..., rows, rows]

    with torch.inference_mode():
        whole = network.step(now, past_of(now, before, made))
        part = network.step(cut(now, 1), past_of(cut(now, 1), cut(before, 1), cut(made, scale)))
    inside = slice(scale * start, scale * (start + size))
    found = slice(scale * halo, scale * (halo + size))
    torch.testing.assert_close(part[..., found, found], whole[..., inside, inside], rtol=0, atol=1e-4)
