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


Encoder = Literal["libx264", "libx265"]


def compressed(luma: Luma, encoder: Encoder, crf: int, *, drift: int = 1) -> Luma:
    """`luma` uint8 [H, W] as the last of three frames of a clip that pans by `drift` pixels a frame: it is predicted from
    those before, as most frames of a video are.

    Raises EncodeError where this FFmpeg build lacks the encoder.
    """
    clip = np.stack([np.roll(luma, (number - 2) * drift, axis=1) for number in range(3)])
    last: Luma = compressed_frames(clip, encoder, crf)[-1]
    return last


def compressed_frames(frames: Luma, encoder: Encoder, crf: int) -> Luma:
    """Luma uint8 [N, H, W] as a video encoder leaves it. Raises EncodeError where this FFmpeg build lacks the encoder."""
    height, width = frames.shape[1:]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    try:
        file = _encoded(even, encoder, crf)
    except (av.FFmpegError, ValueError) as error:
        raise EncodeError(f"cannot compress with {encoder}: {reason(error)}") from error
    with av.open(file, "r") as decoder:
        found = [
            np.asarray(frame_from_av(frame).planes[0])[:height, :width] for frame in decoder.decode(video=0)
        ]
    return np.stack(found)


def _encoded(frames: Luma, encoder: Encoder, crf: int) -> io.BytesIO:
    """The clip as a file."""
    options = merged({**_OPTIONS[encoder], "crf": str(crf)}, safe_options(encoder, frames.shape[2]))
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, luma in enumerate(frames):
            frame = _gray(luma)
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
