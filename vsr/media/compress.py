"""Pictures damaged by a video encoder, for training against compression."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vsr.core.errors import EncodeError, reason
from vsr.media.frames.planes import frame_from_av
from vsr.media.write.encoders import merged, safe_options

Luma = npt.NDArray[np.uint8]

_OPTIONS = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error:pools=none:frame-threads=1"},
}


def compressed(luma: Luma, encoder: Literal["libx264", "libx265"], crf: int, *, drift: int = 1) -> Luma:
    """`luma` uint8 [H, W] as the last of three frames of a clip that pans by `drift` pixels a frame: it is predicted from
    those before, as most frames of a video are.

    Raises EncodeError where this FFmpeg build lacks the encoder.
    """
    height, width = luma.shape
    even = np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")
    try:
        file = _encoded(even, encoder, crf, drift)
    except (av.FFmpegError, ValueError) as error:
        raise EncodeError(f"cannot compress with {encoder}: {reason(error)}") from error
    with av.open(file, "r") as decoder:
        *_, last = decoder.decode(video=0)
    return np.asarray(frame_from_av(last).planes[0])[:height, :width].copy()


def _encoded(luma: Luma, encoder: str, crf: int, drift: int) -> io.BytesIO:
    """The clip as a file."""
    options = merged({**_OPTIONS[encoder], "crf": str(crf)}, safe_options(encoder, luma.shape[1]))
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = luma.shape[1], luma.shape[0], "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(3):
            frame = _gray(np.roll(luma, (number - 2) * drift, axis=1))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    return file


def _gray(luma: Luma) -> VideoFrame:
    """A 4:2:0 frame without colour."""
    height, width = luma.shape
    chroma = np.full((height // 2, width), 128, np.uint8)
    return VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")
