"""Pictures of any kind as frames, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vsr.core.color import Color, Range
from vsr.core.errors import UnsupportedInputError
from vsr.core.frame import Frame, PixelFormat

if TYPE_CHECKING:
    import av


def frame_from_picture(picture: Any) -> Frame:
    """The Frame of a Frame, a PyAV VideoFrame or a NumPy array shaped as for `frame_from_array`.

    Raises UnsupportedInputError for anything else.
    """
    if isinstance(picture, Frame):
        return picture
    if isinstance(picture, np.ndarray):
        return frame_from_array(picture)
    if _is_av(picture):
        from vsr.media.frames.planes import frame_from_av

        return frame_from_av(cast("av.VideoFrame", picture))
    raise UnsupportedInputError(
        f"cannot upscale a {type(picture).__name__}",
        hint="give a NumPy array, a PyAV VideoFrame or a vsr Frame",
    )


def picture_from_frame(frame: Frame, like: Any) -> Any:
    """The frame as a picture of the kind that `like` is."""
    if isinstance(like, np.ndarray):
        return array_from_frame(frame)
    if _is_av(like):
        from vsr.media.frames.planes import av_from_frame

        return av_from_frame(frame)
    return frame


def _is_av(picture: Any) -> bool:
    return type(picture).__module__.startswith("av.")


def frame_from_array(array: NDArray[Any]) -> Frame:
    """A gray or RGB(A) picture, uint8 or uint16, (height, width) or (height, width, 3 or 4), full range.

    Raises UnsupportedInputError for any other shape or type.
    """
    if array.dtype not in (np.uint8, np.uint16):
        raise UnsupportedInputError(f"cannot upscale an array of {array.dtype}", hint="give uint8 or uint16")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        raise UnsupportedInputError(
            f"cannot upscale an array of shape {array.shape}", hint="give (h, w), (h, w, 3) or (h, w, 4)"
        )
    components = [array] if array.ndim == 2 else [array[:, :, c] for c in (1, 2, 0, 3)[: array.shape[2]]]
    little = np.dtype(array.dtype).newbyteorder("<")
    planes = [np.ascontiguousarray(component, little).view(np.uint8) for component in components]
    pixel_format = PixelFormat(
        "gray" if array.ndim == 2 else "rgb",
        8 * array.dtype.itemsize,
        alpha=array.ndim == 3 and array.shape[2] == 4,
    )
    # Full range; sRGB's primaries stay unspecified.
    color = Color(range=Range.FULL)
    return Frame(planes, array.shape[1], array.shape[0], pixel_format, color)


def array_from_frame(frame: Frame) -> NDArray[Any]:
    """The inverse of frame_from_array."""
    dtype = np.dtype("u1" if frame.format.bytes_per_sample == 1 else "<u2")
    # The caller may write to it; what a network remembers must not change.
    planes = [np.require(plane, requirements=["C", "W"]).view(dtype) for plane in frame.planes]
    if frame.format.kind == "gray":
        return planes[0]
    return np.stack([planes[index] for index in (2, 0, 1, 3)[: len(planes)]], axis=-1)
