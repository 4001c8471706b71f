"""The part of a picture that its container says is to be shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vsr.core.frame import Frame, PixelFormat


@dataclass(frozen=True, slots=True)
class Crop:
    """How many samples of luma are left out at each edge, before rotation."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def within(self, width: int, height: int, fmt: PixelFormat) -> Crop:
        """The same for pictures of that size and format: it begins at a sample of chroma, and leaves something."""
        if self.left + self.right >= width or self.top + self.bottom >= height:
            return Crop()
        across, down = fmt.log2_chroma
        return replace(self, left=self.left >> across << across, top=self.top >> down << down)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the remaining picture."""
        return width - self.left - self.right, height - self.top - self.bottom


def cropped(frame: Frame, crop: Crop) -> Frame:
    """The frame as a view of its middle. crop: made for it by `Crop.within`."""
    width, height = crop.size(frame.width, frame.height)
    planes = []
    for number, plane in enumerate(frame.planes):
        left, top = frame.format.plane_size(number, crop.left, crop.top)
        columns, rows = frame.format.plane_size(number, width, height)
        unit = frame.format.bytes_per_sample
        planes.append(np.asarray(plane)[top : top + rows, left * unit : (left + columns) * unit])
    return replace(frame, planes=planes, width=width, height=height)
