"""Pictures to train on, and one thread to do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from vsr.training.render import rendered_luma


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for kind, seeds in (("train", range(6)), ("val", range(100, 102))):
        (folder / kind).mkdir()
        for seed in seeds:
            Image.fromarray(rendered_luma(seed, 192)).save(folder / kind / f"{seed}.png")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # The networks are tiny, and other tests may run beside these.
    yield
    torch.set_num_threads(before)
