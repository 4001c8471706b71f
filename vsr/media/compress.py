"""Pictures damaged by a video encoder, for training against compression."""

from __future__ import annotations

import io
from collections.abc import Sequence
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

Plane = npt.NDArray[np.uint8]
Codec = Literal["libx264", "libx265", "mpeg2video", "mpeg4"]

_OPTIONS = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error:pools=none:frame-threads=1"},
}


def compressed(frames: Sequence[Sequence[Plane]], codec: Codec, quality: int) -> list[list[Plane]]:
    """Frames as a video encoder leaves them. Each has planes Y uint8 [H, W], U and V [H/2, W/2], of even H and W, or Y alone.

    quality: CRF, or the quantizer 1..31 of MPEG-2 and MPEG-4. Raises EncodeError where this FFmpeg build lacks the encoder.
    """
    try:
        file = _encoded(frames, codec, quality)
    except (av.FFmpegError, ValueError) as error:
        raise EncodeError(f"cannot compress with {codec}: {reason(error)}") from error
    with av.open(file, "r") as decoder:
        decoder.streams.video[0].codec_context.thread_count = 1
        return [
            [np.asarray(plane) for plane in frame_from_av(frame).planes[: len(frames[0])]]
            for frame in decoder.decode(video=0)
        ]


def _encoded(frames: Sequence[Sequence[Plane]], codec: Codec, quality: int) -> io.BytesIO:
    """The clip as a file."""
    height, width = frames[0][0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25, options=_options(codec, quality, width))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, planes in enumerate(frames):
            frame = _frame(planes)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    return file


def _options(codec: Codec, quality: int, width: int) -> dict[str, str]:
    if codec in _OPTIONS:
        return merged({**_OPTIONS[codec], "crf": str(quality)}, safe_options(codec, width))
    return {"qmin": str(quality), "qmax": str(quality)}


def _frame(planes: Sequence[Plane]) -> VideoFrame:
    height, width = planes[0].shape
    chroma = planes[1:] or [np.full((height // 2, width // 2), 128, np.uint8)] * 2
    flat = np.concatenate([plane.ravel() for plane in (planes[0], *chroma)])
    return VideoFrame.from_ndarray(flat.reshape(height * 3 // 2, width), format="yuv420p")
