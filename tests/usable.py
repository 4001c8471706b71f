"""The backends that run here. With VSR_REQUIRE_GPU=1 those for GPUs are asked for, and fail rather than being left out."""

from __future__ import annotations

import os
from typing import Any

import pytest

from vsr.backends import BACKENDS
from vsr.backends.choose import has_nvidia_gpu, load_backend

GPU_IS_REQUIRED = os.environ.get("VSR_REQUIRE_GPU") == "1"
needs_gpu = pytest.mark.skipif(not has_nvidia_gpu() and not GPU_IS_REQUIRED, reason="no NVIDIA GPU")


def backends() -> list[Any]:
    """Parameters: the name of each backend, those that cannot run here skipped with the reason."""
    found = []
    for name in BACKENDS:
        availability = load_backend(name).probe()
        left_out = not availability.usable and not GPU_IS_REQUIRED
        found.append(pytest.param(name, marks=pytest.mark.skipif(left_out, reason=availability.reason)))
    return found
