"""Networks that streams share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.memory_network import moving, write_memory_network
from vsr.core.frame import Frame, PixelFormat
from vsr.live.networks import Networks
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler

GRAY = PixelFormat("gray")
BICUBIC = NetworkOptions("bicubic", scale=2)


def luma(frame: Frame) -> np.ndarray:
    return np.array(frame.planes[0])


def test_a_network_is_closed_with_its_last_stream() -> None:
    networks = Networks((1.0, 1.0))
    first, second = networks.take(BICUBIC), networks.take(BICUBIC)
    assert first is second
    (frame,) = moving(1, GRAY)
    lane = first.lane()
    networks.give_back(BICUBIC)
    assert lane.push(frame)[0].width == 2 * frame.width
    assert first.upscaler.network.compiled
    networks.give_back(BICUBIC)
    assert not first.upscaler.network.compiled
    assert networks.take(BICUBIC) is not first


def test_streams_through_a_network_with_memory_keep_their_own(tmp_path: Path) -> None:
    options = NetworkOptions(str(write_memory_network(tmp_path / "memory-x2").folder))
    networks = Networks((1.0, 1.0))
    one, other = (networks.take(options).lane() for _ in range(2))
    given, others = moving(4, GRAY, 1), moving(4, GRAY, 2)
    with Upscaler(options) as upscaler, upscaler.sequence() as sequence:
        wanted = [luma(large) for frame in given for large in sequence.push(frame)]
    found = []
    for frame, another in zip(given, others, strict=True):
        found.append(luma(one.push(frame)[0]))
        other.push(another)
    for large, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(large, right)


@pytest.mark.parametrize(
    ("weights", "most"), [((1.0,), 1), ((3.0, 1.0), 1), ((1.0, 1.0), 2), ((3.0, 1.0, 1.0, 1.0), 2)]
)
def test_no_more_is_computed_at_once_than_lets_the_greatest_weight_have_its_share(
    weights: tuple[float, ...], most: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Upscaler, "device_in_flight", 9)
    networks = Networks(weights)
    assert networks.take(BICUBIC).at_once == most
    remembering = NetworkOptions(str(write_memory_network(tmp_path / "memory-x2").folder))
    assert networks.take(remembering).at_once == most, "of the device, whatever runs there"


def test_other_weights_change_how_many_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Upscaler, "device_in_flight", 9)
    networks = Networks((1.0, 1.0))
    shared = networks.take(BICUBIC)
    turns = networks.turns(shared)
    assert turns.at_once == 2
    networks.weigh((3.0, 1.0))
    assert turns.at_once == 1
    networks.weigh((1.0, 1.0, 1.0))
    assert turns.at_once == 2, "the network was compiled for no more"


def test_streams_of_many_sizes_have_engines_of_their_own() -> None:
    networks = Networks((1.0,) * 6)
    shared, *_ = [networks.take(BICUBIC) for _ in range(6)]
    for number in range(6):
        (frame,) = moving(1, GRAY, 0, (32 + 8 * number, 32))
        shared.lane().push(frame)
    assert len(shared.upscaler.network.compiled) == 6
