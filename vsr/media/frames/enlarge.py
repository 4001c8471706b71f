"""Chroma enlarged by swscale: cubic convolution (Keys 1981, a = -0.5) as in frame graphs, for a fraction of the cost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import av
import av.filter
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vsr.core.errors import InferenceError, reason
from vsr.core.frame import Plane

# At the edges of a picture swscale weighs the outermost samples differently than if they continued. So this number is added.
_EDGE = 4
# Between the two directions of a resize samples must not be cut off at white: depths with room above the codes, by bits.
_ROOM = {8: 9, 9: 16, 10: 16}
# At other factors positions are wrong, by more the further right and down they lie.
_SCALES = (2, 4)
# From FFmpeg 9 on, the position of chroma has an effect only if chroma is half as large as luma, which takes twice as long.
_ONLY_HALVED = av.library_versions["libavfilter"] >= (12,)
# Positions of chroma in units of 1/256 luma sample, for chroma as large as luma and half as large.
_COSITED, _CENTRED = (-64, 0), (0, 128)


def is_enlarged_closely(bits: int, scale: int) -> bool:
    """Whether `enlarged_chroma` comes within one code of the exact result for samples of a depth and a factor per side."""
    return bits in _ROOM and scale in _SCALES


def enlarged_chroma(
    planes: Sequence[Plane], bits: int, scale: int, cosited: tuple[bool, bool]
) -> list[npt.NDArray[np.uint8]]:
    """Planes U and V of one picture, `scale` times as wide and as high; see Plane. Safe for any number of threads.

    cosited: whether samples of chroma lie on every second one of luma, rather than between two, horizontally and vertically.
    The result is within one code of the exact one, rounded. Raises InferenceError where FFmpeg cannot.
    """
    kind = np.dtype("u1" if bits == 8 else "<u2")
    codes = [np.asarray(plane).view(kind) for plane in planes]
    height, width = codes[0].shape
    try:
        large = _scaler(width, height, bits, scale, cosited)(codes)
    except (av.FFmpegError, ValueError) as error:
        raise InferenceError(
            f"FFmpeg cannot enlarge {width}x{height} samples of chroma: {reason(error)}"
        ) from error
    found = []
    for plane in large:
        limited = np.empty(plane.shape, kind)
        np.minimum(plane, (1 << bits) - 1, out=limited, casting="unsafe")
        found.append(limited.view(np.uint8))
    return found


@lru_cache(maxsize=16)
def _scaler(width: int, height: int, bits: int, scale: int, cosited: tuple[bool, bool]) -> _Scaler:
    return _Scaler(width, height, _ROOM[bits], scale, cosited)


class _Scaler:
    """A filter graph that enlarges U and V of frames of one size, of so many bits."""

    def __init__(self, width: int, height: int, bits: int, scale: int, cosited: tuple[bool, bool]) -> None:
        halved = int(_ONLY_HALVED and any(cosited))
        self._size, self._scale = (width, height), scale
        self._pix_fmt = pix_fmt = f"yuv{'420' if halved else '444'}p{bits}le"
        self._padded = (width + 2 * _EDGE) << halved, (height + 2 * _EDGE) << halved
        self._busy = threading.Lock()
        across, down = (_COSITED[halved] if on else _CENTRED[halved] for on in cosited)
        self._graph = graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add(
            "buffer", f"video_size={self._padded[0]}x{self._padded[1]}:pix_fmt={pix_fmt}:time_base=1/1"
        )
        cubic = graph.add(
            "scale",
            f"w={self._padded[0] * scale}:h={self._padded[1] * scale}"
            ":flags=bicubic+accurate_rnd+bitexact:param0=0:param1=0.5:sws_dither=none"
            f":in_h_chr_pos={across}:in_v_chr_pos={down}:out_h_chr_pos={across}:out_v_chr_pos={down}",
        )
        sink = graph.add("buffersink")
        source.link_to(cubic)
        cubic.link_to(sink)
        graph.configure()

    def __call__(self, planes: Sequence[npt.NDArray[np.generic]]) -> list[npt.NDArray[np.uint16]]:
        frame = VideoFrame(*self._padded, self._pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        (width, height), edge = self._size, _EDGE
        for number, plane in enumerate(planes, start=1):  # Luma stays uninitialized.
            rows = _samples(frame, number)
            rows[edge:-edge, edge:-edge] = plane
            rows[edge:-edge, :edge] = plane[:, :1]
            rows[edge:-edge, edge + width :] = plane[:, -1:]
            rows[:edge], rows[edge + height :] = rows[edge], rows[edge + height - 1]
        with self._busy:
            self._graph.vpush(frame)
            large = self._graph.vpull()
        inner = slice(edge * self._scale, -edge * self._scale)
        return [_samples(large, number)[inner, inner] for number in range(1, len(planes) + 1)]


def _samples(frame: VideoFrame, number: int) -> npt.NDArray[np.uint16]:
    """A plane of 16 bits a sample as an array on its memory."""
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width]
