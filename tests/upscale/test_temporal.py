"""Which network runs where one is named: with memory, without, or as it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.memory_network import moving
from tests.support.own_models import own_memory_network
from vsr.core.errors import ConfigError, UnknownModelError
from vsr.core.frame import PixelFormat
from vsr.models.registry import Temporal, Use, find_model, for_use, with_memory
from vsr.upscale.upscaler import Upscaler


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    own_memory_network(monkeypatch, tmp_path_factory)


@pytest.mark.parametrize(
    ("named", "temporal", "use", "runs"),
    [
        ("bicubic", "auto", "video", "bicubic-x2"),
        ("bicubic", "on", "video", "memory-x2"),
        ("bicubic", "off", "video", "bicubic-x2"),
        ("bicubic", "on", "picture", "bicubic-x2"),
        ("memory-x2", "auto", "video", "memory-x2"),
        ("memory-x2", "on", "video", "memory-x2"),
        ("memory-x2", "off", "video", "bicubic-x2"),
        ("memory-x2", "auto", "picture", "bicubic-x2"),
        ("memory-x2", "on", "picture", "bicubic-x2"),
        ("quality", "on", "picture", "quality-x2"),
    ],
)
def test_the_network_that_runs(named: str, temporal: Temporal, use: Use, runs: str) -> None:
    assert for_use(find_model(named), temporal, use).id == runs
    with Upscaler(named, temporal=temporal, use=use) as upscaler:
        assert upscaler.spec.id == runs
        said = [note for note in upscaler.notes if "has a memory, which is for video" in note]
        assert bool(said) == (named == "memory-x2" and use == "picture")


def test_a_network_without_one_that_has_a_memory_is_one_line() -> None:
    assert with_memory(find_model("bicubic-x4")) is None, "of another factor"
    with pytest.raises(ConfigError, match="bicubic-x4 has no network with memory") as refused:
        Upscaler("bicubic", scale=4, temporal="on")
    assert "bicubic-x2" in str(refused.value.hint)


def test_where_there_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.models.registry.all_models", lambda: [find_model("bicubic")])
    with pytest.raises(ConfigError, match="bicubic-x2 has no network with memory") as refused:
        Upscaler("bicubic", temporal="on")
    assert refused.value.hint == "leave out --temporal on"


def test_a_chain_has_no_memory() -> None:
    with pytest.raises(UnknownModelError, match="memory-x2 has a memory, which no chain has") as refused:
        find_model("memory-x2,bicubic")
    assert refused.value.hint == "name bicubic-x2 in the chain"


def test_with_the_memory_off_it_is_the_network_without_to_the_code() -> None:
    planes = [np.asarray(frame.planes[0]) for frame in moving(4, PixelFormat("gray"))]
    with (
        Upscaler("memory-x2", temporal="off") as off,
        Upscaler("bicubic") as single,
        Upscaler("memory-x2") as on,
    ):
        found = [list(one.stream(planes)) for one in (off, single, on)]
    assert all(np.array_equal(a, b) for a, b in zip(found[0], found[1], strict=True))
    assert np.array_equal(found[2][0], found[1][0])
    assert not any(np.array_equal(a, b) for a, b in zip(found[2][1:], found[1][1:], strict=True))
