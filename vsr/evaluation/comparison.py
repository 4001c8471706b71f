"""The result of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """figures: by pair ("a.mp4 to b.mp4"), then by "psnr_y" (dB, 100 for equal frames) and "ssim_y", one value for each frame.
    seconds: the times of the frames. means: the means of the figures. size: (width, height) of the compared pictures. output:
    path of the page. notes: names the inputs that were resized, and those whose times differ."""

    seconds: Sequence[float]
    figures: dict[str, dict[str, list[float]]]
    means: dict[str, dict[str, float]]
    size: tuple[int, int]
    output: Path
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "seconds": list(self.seconds),
            "figures": self.figures,
            "means": self.means,
            "size": list(self.size),
            "output": str(self.output),
            "notes": list(self.notes),
        }
