"""How coarsely a codec quantized a picture, as its decoder says."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

# FFmpeg's decoders that tell it.
_TELL = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4", "vp9"})


def ask_for_quantizer(context: VideoCodecContext) -> None:
    """Ask a decoder that is not open yet for what `quantizer_of_frame` reads."""
    if context.name in _TELL:
        context.options = {**context.options, "export_side_data": "venc_params"}


def quantizer_of_frame(frame: VideoFrame, codec: str) -> float | None:
    """The mean step over a frame, in codes of 8 bits of an orthonormal transform; None where the decoder does not say it."""
    if codec not in _TELL:
        return None
    # Not `frame.side_data`: see `side_data.py`.
    blocks: Any = SideDataContainer(frame)  # type: ignore[call-arg]
    try:
        params = blocks[Type.VIDEO_ENC_PARAMS]
    except KeyError:
        return None
    if codec == "vp9":
        return _of_vp9(params.qp)
    try:
        mean = float(np.mean(params.qp_map()))
    except RuntimeError:  # The blocks are not those of the frame.
        mean = float(params.qp)
    if codec != "h264":  # The others have the step itself.
        return mean
    # ITU-T H.264, 8.5.9: it doubles every 6 steps, and is 10 at 24. FFmpeg counts QP'Y, which is 6 more for each bit beyond 8.
    return float(2 ** ((mean - 6 * (frame.format.components[0].bits - 8) - 4) / 6))


def _of_vp9(index: int) -> float:
    """VP9's table of AC quantizers, in eighths of a code: nearly a line, then nearly an exponential curve."""
    return (index + 7) / 8 if index <= 100 else float(13.4 * np.exp((index - 100) / 54))
