from __future__ import annotations

import errno
import os

import av
import pytest

from vsr.core.errors import reason


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.mkv"), "No space left on device"),
        (OSError("of no number"), "of no number"),
        (av.error.InvalidDataError(1, "Invalid data found", "a.mkv"), "Invalid data found"),
        (RuntimeError("\n  CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA\n"), "CUDA error: out of memory"),
        (MemoryError(), "MemoryError"),
        (ValueError(" \n"), "ValueError"),
    ],
)  # fmt: skip
def test_the_reason_of_an_exception_is_one_line(error: BaseException, text: str) -> None:
    assert reason(error) == text
