"""Decoding on a device: NVDEC and its like. Frames come back to the host as NV12 or P010. No GPU has run this yet."""

from __future__ import annotations

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from vsr.core.errors import ConfigError
from vsr.media.opening import reason


def decoding_device(kind: str) -> tuple[HWAccel | None, str]:
    """The device to decode on, or None and why not. Raises ConfigError for a kind that this FFmpeg build does not know."""
    known = hwdevices_available()
    if kind not in known:
        raise ConfigError(f"FFmpeg here decodes on no {kind!r}", hint=f"--hwaccel takes: {', '.join(known)}")
    accel = HWAccel(kind, allow_software_fallback=True)
    try:
        accel.create(av.Codec("h264", "r"))  # Opens the device.
    except (av.FFmpegError, OSError, NotImplementedError) as error:
        return None, f"{kind} not used for decoding: {reason(error).lower()}"
    return HWAccel(kind, allow_software_fallback=True), ""
