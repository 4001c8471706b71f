"""The size of the output, and the way to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from vsr.core.errors import ConfigError
from vsr.core.video import VideoInfo
from vsr.upscale.options import MAX_SCALE

Size = tuple[int, int] | str
"""(width, height) in displayed pixels, or "1920x1080", "1920x", "x1080", "1080p"; see `OutputSize`."""

MAX_SIDE = 32768


class OutputSize(NamedTuple):
    """The requested displayed size. A side of 0 follows from the shape; shorter: the shorter side, instead."""

    width: int = 0
    height: int = 0
    shorter: int = 0

    @classmethod
    def read(cls, size: Size) -> OutputSize:
        """Raises ConfigError for an invalid size, and for one beyond any video."""
        text = size if isinstance(size, str) else f"{size[0]}x{size[1]}"
        sides = re.fullmatch(r"(\d*)[xX×](\d*)", text, re.ASCII)
        lines = re.fullmatch(r"(\d+)[pP]", text, re.ASCII)
        found = cls(shorter=int(lines[1])) if lines else cls()
        if sides:
            found = cls(int(sides[1] or 0), int(sides[2] or 0))
        if not any(found) or (sides and "0" in (sides[1], sides[2])):
            raise ConfigError(f"{text!r} is not a size", hint="give 1920x1080, 1920x, x1080 or 1080p")
        if max(found) > MAX_SIDE:
            raise ConfigError(f"size {text} is out of range", hint=f"give {MAX_SIDE} pixels at most")
        return found

    def of(self, shown: tuple[int, int], *, is_picture: bool = False) -> tuple[int, int]:
        """(width, height) for a picture shown at `shown`. A side that is found is even, as most video must be; not of a single
        picture."""
        width, height = shown
        if self.shorter:
            wide = width >= height
            of_side = OutputSize(0 if wide else self.shorter, self.shorter if wide else 0)
            return of_side.of(shown, is_picture=is_picture)
        return (
            self.width or _whole(self.height * width / height, is_picture=is_picture),
            self.height or _whole(self.width * height / width, is_picture=is_picture),
        )

    def __str__(self) -> str:
        return f"{self.shorter}p" if self.shorter else f"{self.width or ''}x{self.height or ''}"


@dataclass(frozen=True, slots=True)
class SizePlan:
    """factor: what the upscaler must reach, None for the model's own. size: requested coded size, None for the model's. sar:
    sample aspect ratio of the output. notes: for the user."""

    factor: float | None
    size: tuple[int, int] | None
    sar: Fraction
    notes: tuple[str, ...] = ()


def plan_size(info: VideoInfo, scale: float | None, wanted: Size | None) -> SizePlan:
    """Turn `--scale` or `--size` into coded samples.

    `wanted` is in displayed pixels: it is turned with the picture's rotation, and the output gets square pixels. Raises
    ConfigError where one side is beyond any video.
    """
    if wanted is not None:
        display = info.display_size
        asked = OutputSize.read(wanted)
        size = asked.of(display, is_picture=info.is_picture)
        of_input = f"{asked} of {display[0]}x{display[1]} is {size[0]}x{size[1]}"
        if max(size) > MAX_SIDE:
            raise ConfigError(of_input, hint=f"a side may have {MAX_SIDE} pixels at most")
        notes: tuple[str, ...] = ()
        if abs(size[0] * display[1] / (size[1] * display[0]) - 1) > 0.01:
            notes = (f"the shape changes: {display[0]}x{display[1]} is shown as {size[0]}x{size[1]}",)
        width, height = (size[1], size[0]) if info.rotation % 180 else size
        factor = max(width / info.width, height / info.height)
        if factor > MAX_SCALE:
            raise ConfigError(
                f"{of_input}: {factor:g} times a side",
                hint=f"a side may become {MAX_SCALE} times as long at most",
            )
        if factor < 1:
            notes += ("the output is smaller than the input",)
        return SizePlan(max(factor, 1.0), (width, height), Fraction(1), notes)
    if scale is None or scale == int(scale):
        # The model reaches whole factors, or its result is reduced to whole samples.
        exact = None if scale is None else (info.width * int(scale), info.height * int(scale))
        return SizePlan(scale, exact, info.sar)
    width, height = (_whole(side * scale, is_picture=info.is_picture) for side in (info.width, info.height))
    return SizePlan(scale, (width, height), info.sar)


def enlarged(info: VideoInfo, scale: int) -> VideoInfo:
    """The description of frames `scale` times larger."""
    return replace(info, width=info.width * scale, height=info.height * scale)


def _whole(side: float, *, is_picture: bool) -> int:
    step = 1 if is_picture else 2
    return max(step, round(side / step) * step)
