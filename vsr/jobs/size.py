"""How large the output gets, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from vsr.core.video import VideoInfo


@dataclass(frozen=True, slots=True)
class SizePlan:
    """factor: what the upscaler must reach, None for the model's own. size: coded size asked for, None for that of the model.
    sar: sample aspect ratio of the output. notes: what to tell the user."""

    factor: float | None
    size: tuple[int, int] | None
    sar: Fraction
    notes: tuple[str, ...] = ()


def plan_size(info: VideoInfo, scale: float | None, size: tuple[int, int] | None) -> SizePlan:
    """Turn `--scale` or `--size` into coded samples.

    `size` is in displayed pixels: it is turned with the picture's rotation, and the output gets square pixels.
    """
    if size is not None:
        display = info.display_size
        notes: tuple[str, ...] = ()
        if abs(size[0] * display[1] / (size[1] * display[0]) - 1) > 0.01:
            notes = (f"the shape changes: {display[0]}x{display[1]} is shown as {size[0]}x{size[1]}",)
        width, height = (size[1], size[0]) if info.rotation % 180 else size
        factor = max(width / info.width, height / info.height)
        if factor < 1:
            notes += ("the output is smaller than the input",)
        return SizePlan(max(factor, 1.0), (width, height), Fraction(1), notes)
    if scale is None or scale == int(scale):
        # Whole factors are met by the model, or by shrinking what it gives to whole samples.
        exact = None if scale is None else (info.width * int(scale), info.height * int(scale))
        return SizePlan(scale, exact, info.sar)
    return SizePlan(scale, (_even(info.width * scale), _even(info.height * scale)), info.sar)


def enlarged(info: VideoInfo, scale: int) -> VideoInfo:
    """The description of frames `scale` times larger."""
    return replace(info, width=info.width * scale, height=info.height * scale)


def _even(value: float) -> int:
    return max(2, round(value / 2) * 2)
