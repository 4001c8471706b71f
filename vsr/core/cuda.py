"""The one setting that FFmpeg, torch and PyCUDA must agree on to share a GPU."""

from __future__ import annotations

import ctypes

_BLOCKING_SYNC = 4


def agree_on_context() -> None:
    """Set the flags of the first GPU's primary context to those of FFmpeg, which accepts no other context ("Primary context
    already active with incompatible flags"). Call this before anything uses the GPU. Without a driver it does nothing."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    device = ctypes.c_int()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0:
        driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)
