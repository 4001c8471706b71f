"""The one setting that FFmpeg, torch and PyCUDA must agree on to share a GPU."""

from __future__ import annotations

import ctypes

_BLOCKING_SYNC = 4


def agree_on_context() -> None:
    """Have the primary context of the first GPU made as FFmpeg wants it, whoever makes it first: FFmpeg takes no other
    ("Primary context already active with incompatible flags"). To be called before anything uses the GPU; nothing happens
    without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    device = ctypes.c_int()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0:
        driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)
