"""A network with memory: one function in torch and in frame graphs, and nothing of the past where there is none."""

from __future__ import annotations

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


def frames(count: int, width: int = 80, height: int = 64) -> list[np.ndarray]:
    """A texture that moves by three large samples across and one down: small frames, uint8."""
    large = texture(2)
    crops = [large[20 + i : 20 + i + 2 * height, 20 + 3 * i : 20 + 3 * i + 2 * width] for i in range(count)]
    return [resize_bicubic(np.ascontiguousarray(crop), 0.5) for crop in crops]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    folder = tmp_path_factory.mktemp("temporal")
    save_file(drawn().fold(), folder / WEIGHTS_NAME)
    model = frame_graph(TemporalNetwork(SPEC, folder / WEIGHTS_NAME), GraphLayout("gray", 1))
    onnx.save_model(model, str(folder / "gray8.onnx"))
    onnx.checker.check_model(str(folder / "gray8.onnx"), full_check=True)
    return onnxruntime.InferenceSession(str(folder / "gray8.onnx"), providers=["CPUExecutionProvider"])


def run(
    session: onnxruntime.InferenceSession, now: np.ndarray, before: np.ndarray, made: np.ndarray, keep: float
) -> np.ndarray:
    inputs = {
        "y": now[None, None],
        "y_before": before[None, None],
        "y_out_before": made[None, None],
        "keep": np.array([keep], np.float32),
        "gain": np.float32(1 / 255),
        "bias": np.float32(0),
        "max_code": np.float32(255),
    }
    found: np.ndarray = session.run(["y_out"], {name: np.asarray(value) for name, value in inputs.items()})[0]
    return found[0, 0]


def test_the_graph_computes_what_torch_computes(session: onnxruntime.InferenceSession) -> None:
    network = PlainTemporal(SPEC)
    network.load_state_dict(drawn().fold())
    small = frames(4)
    made = np.zeros((128, 160), np.uint8)
    for number, now in enumerate(small):
        luma = torch.from_numpy(now / np.float32(255))[None, None]
        with torch.inference_mode():
            if number:
                last = torch.from_numpy(small[number - 1] / np.float32(255))[None, None]
                past = past_of(luma, last, torch.from_numpy(made / np.float32(255))[None, None])
                wanted = network.step(luma, past)
            else:
                wanted = network(luma)
        found = run(session, now, small[max(number - 1, 0)], made, float(number > 0))
        exact = (wanted[0, 0] * 255).clamp(0, 255).numpy()
        assert np.abs(found - exact).max() < 0.51
        made = found


def test_without_a_frame_before_it_does_not_matter_what_the_memory_holds(
    session: onnxruntime.InferenceSession,
) -> None:
    now, before = frames(2)
    nothing = run(session, now, np.zeros_like(now), np.zeros((128, 160), np.uint8), 0)
    noise = np.random.default_rng(0).integers(0, 256, (128, 160), dtype=np.uint8)
    np.testing.assert_array_equal(run(session, now, before, noise, 0), nothing)
    assert (run(session, now, before, noise, 1) != nothing).mean() > 0.1


def test_it_begins_as_the_chain_it_grew_from() -> None:
    torch.manual_seed(1)
    chain_spec = ChainSpec(2, 8, 2, linear=5)
    chain = Chain(chain_spec).fold()
    network = PlainTemporal(SPEC)
    network.load_state_dict(from_chain(SPEC, chain))
    luma = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        wanted = plain_chain_from_weights(chain_spec, chain)(luma)
        torch.testing.assert_close(network(luma), wanted, rtol=0, atol=1e-6)
    with pytest.raises(WeightsError, match="not of a chain that grows"):
        from_chain(TemporalSpec(2, 8, 3), chain)


def test_training_and_folded_weights_compute_the_same() -> None:
    trained, plain = drawn(), PlainTemporal(SPEC)
    plain.load_state_dict(trained.fold())
    again = Temporal(SPEC)
    again.load_folded(trained.fold())
    now, before, made = torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32), torch.rand(1, 1, 64, 64)
    past = Past(before, made, torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 1, 1))
    with torch.inference_mode():
        # Linear taps are rounded to 1/256 when they are folded.
        torch.testing.assert_close(plain.step(now, past), again.step(now, past), rtol=0, atol=1e-5)
        assert (plain.step(now, past) - trained.step(now, past)).abs().max() < 25 / 512


def test_the_halo_covers_the_motion() -> None:
    """A part of a frame that moves fast, with the halo around it, is as in the whole frame."""
    network = drawn().eval()
    side, halo = 192, -(-SPEC.halo // 4) * 4
    large = texture(4, 480)
    now, before = (
        torch.from_numpy(np.ascontiguousarray(large[y : y + side, x : x + side]) / np.float32(255))[
            None, None
        ]
        for y, x in ((40, 40), (51, 26))
    )
    made = before.repeat_interleave(2, 2).repeat_interleave(2, 3)
    start, size = 80, 32

    def cut(plane: torch.Tensor, scale: int) -> torch.Tensor:
        rows = slice(scale * (start - halo), scale * (start + size + halo))
        return plane[..., rows, rows]

    with torch.inference_mode():
        whole = network.step(now, past_of(now, before, made))
        part = network.step(cut(now, 1), past_of(cut(now, 1), cut(before, 1), cut(made, 2)))
    inside = slice(2 * start, 2 * (start + size))
    found = slice(2 * halo, 2 * (halo + size))
    torch.testing.assert_close(part[..., found, found], whole[..., inside, inside], rtol=0, atol=1e-4)
