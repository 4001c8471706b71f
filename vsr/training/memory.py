"""Memory that is kept between the steps of a training on the CPU."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt, and values beyond the size of any tensor in a step.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_BYTES = 2**30


def keep_freed_memory() -> None:
    """Make glibc keep freed memory, up to a GiB, instead of returning it to the system.

    Every step makes and frees the same few hundred tensors of some megabytes; taking each from the system again, page by page,
    costs time. With other C libraries this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _MOST_BYTES)
        mallopt(_TRIM_THRESHOLD, _MOST_BYTES)
