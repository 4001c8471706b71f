"""Frames brought to another size, format or colour by swscale, with the stream's own matrix, range and chroma places."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
from av.video.frame import VideoFrame

from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import EncodeError, reason
from vsr.media.frames.color import RGB_MATRIX, tag_frame
from vsr.media.frames.planes import pixel_format

_FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

# swscale's names of the matrices it knows, by H.273 code; others count as BT.601.
_MATRIX = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}


class Converter:
    """Makes frames of one size, format and colour into those of another.

    Sizes are in samples. Without a change of size samples are converted, not filtered; with one they go through Lanczos. An
    untagged matrix or range counts as BT.601 and limited, as everywhere else in vsr. Frames are converted one by one; pts and
    duration are kept. Raises EncodeError where FFmpeg cannot.
    """

    def __init__(
        self,
        pix_fmt: str,
        size: tuple[int, int],
        color: Color,
        to_pix_fmt: str,
        to_size: tuple[int, int],
        to_color: Color,
    ) -> None:
        self._to_color = to_color
        self._shape = (pix_fmt, *size)
        # Gray pictures have no matrix: only their range counts.
        try:
            self._graph = self._built(pix_fmt, size, color, to_pix_fmt, to_size, to_color)
        except (av.FFmpegError, ValueError) as error:
            raise EncodeError(
                f"cannot convert {pix_fmt} {size[0]}x{size[1]} to {to_pix_fmt} {to_size[0]}x{to_size[1]}: {reason(error)}",
                hint="choose another size or pixel format",
            ) from error

    @staticmethod
    def _built(
        pix_fmt: str,
        size: tuple[int, int],
        color: Color,
        to_pix_fmt: str,
        to_size: tuple[int, int],
        to_color: Color,
    ) -> av.filter.Graph:
        graph = av.filter.Graph()
        source = graph.add(
            "buffer",
            f"video_size={size[0]}x{size[1]}:pix_fmt={pix_fmt}:time_base=1/1000:pixel_aspect=1/1"
            f":colorspace={_buffer_matrix(pix_fmt, color)}:range={_range(pix_fmt, color)}",
        )
        flags = ("lanczos+" if size != to_size else "bicubic+") + _FLAGS
        options = [f"w={to_size[0]}:h={to_size[1]}:flags={flags}:sws_dither={_dither(pix_fmt, to_pix_fmt)}"]
        options.append(f"in_range={_range(pix_fmt, color)}:out_range={_range(to_pix_fmt, to_color)}")
        if not _is_rgb(pix_fmt):
            options.append(f"in_color_matrix={_MATRIX.get(color.matrix, 'bt601')}")
            options.append(_place("in_chroma_loc", pix_fmt, color))
        if not _is_rgb(to_pix_fmt):
            # The matrix is set only if it really changes: two names for one matrix are no change.
            options.append(f"out_color_matrix={_MATRIX.get(to_color.matrix, 'bt601')}")
            options.append(_place("out_chroma_loc", to_pix_fmt, to_color))
        scale = graph.add("scale", ":".join(option for option in options if option))
        final = graph.add("format", f"pix_fmts={to_pix_fmt}")
        sink = graph.add("buffersink")
        source.link_to(scale)
        scale.link_to(final)
        final.link_to(sink)
        graph.configure()
        return graph

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The converted frame, tagged with the colour it has now."""
        if (frame.format.name, frame.width, frame.height) != self._shape:
            raise EncodeError(
                f"got a {frame.format.name} frame of {frame.width}x{frame.height}, "
                f"expected {self._shape[0]} of {self._shape[1]}x{self._shape[2]}"
            )
        pts, duration, time_base = frame.pts, frame.duration, frame.time_base
        frame.pts, frame.time_base = 0, Fraction(1, 1000)
        try:
            self._graph.vpush(frame)
            result = self._graph.vpull()
        except av.FFmpegError as error:
            raise EncodeError(f"cannot convert a frame: {reason(error)}") from error
        result.pts, result.duration = pts, duration
        if time_base:
            result.time_base = time_base
        tag_frame(result, self._to_color)
        return result


def _is_rgb(pix_fmt: str) -> bool:
    return pixel_format(pix_fmt).kind == "rgb"


def _range(pix_fmt: str, color: Color) -> str:
    return "pc" if _is_rgb(pix_fmt) or color.range is Range.FULL else "tv"


def _buffer_matrix(pix_fmt: str, color: Color) -> str:
    """The matrix that the buffer expects of its frames; it refuses another one."""
    return str(RGB_MATRIX if _is_rgb(pix_fmt) else color.matrix)


def _dither(pix_fmt: str, to_pix_fmt: str) -> str:
    """Ordered dither where depth is lost, for gradients; nothing else may add noise."""
    return "auto" if pixel_format(pix_fmt).bits > pixel_format(to_pix_fmt).bits else "none"


def _place(option: str, pix_fmt: str, color: Color) -> str:
    fmt = pixel_format(pix_fmt)
    if fmt.kind != "yuv" or fmt.log2_chroma != (1, 1) or color.chroma_location is ChromaLocation.UNSPECIFIED:
        return ""
    return f"{option}={color.chroma_location.name.lower()}"
