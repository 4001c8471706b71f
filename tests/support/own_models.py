"""A user who has a network with memory of their own."""

from __future__ import annotations

import pytest

from tests.support.memory_network import write_memory_network
from vsr.models import ModelSpec

_written: dict[str, ModelSpec] = {}


def own_memory_network(monkeypatch: pytest.MonkeyPatch, factory: pytest.TempPathFactory) -> ModelSpec:
    """memory-x2, which belongs to bicubic-x2, among the user's models."""
    if not _written:
        folder = factory.mktemp("own-models")
        _written["memory-x2"] = write_memory_network(folder / "memory-x2")
    spec = _written["memory-x2"]
    monkeypatch.setenv("VSR_MODELS", str(spec.folder.parent))
    return spec
