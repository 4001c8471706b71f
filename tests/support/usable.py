"""The backends that run here. With VSR_REQUIRE_GPU=1 those for GPUs are asked for, and fail rather than being left out; but for
TensorRT on a GPU that it does not know, which nothing can change."""

from __future__ import annotations

import os
from typing import Any

import pytest

from vsr.backends.choose import BACKENDS, has_nvidia_gpu, load_backend

GPU_IS_REQUIRED = os.environ.get("VSR_REQUIRE_GPU") == "1"
needs_gpu = pytest.mark.skipif(not has_nvidia_gpu() and not GPU_IS_REQUIRED, reason="no NVIDIA GPU")


def backends() -> list[Any]:
    """Parameters: the name of each backend, those that cannot run here skipped with the reason."""
    found = []
    for name in BACKENDS:
        availability = load_backend(name).probe()
        asked_for = GPU_IS_REQUIRED and "does not run on" not in availability.reason
        left_out = not availability.usable and not asked_for
        found.append(pytest.param(name, marks=pytest.mark.skipif(left_out, reason=availability.reason)))
    return found
