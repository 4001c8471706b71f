"""Figures of one clip: of its frames, and of what changes from frame to frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from vsr.core.extras import install
from vsr.evaluation import metrics
from vsr.evaluation.figures import Figures, mean_of, on_y

Luma = npt.NDArray[np.uint8]

RESET = "_reset"
"""Ends the names of the figures of a network with memory that is reset at each frame."""

FIRST = 5
"""The first frame that counts, from 1: a memory is filled by then."""

_SIDE = 16  # Motion is found in planes whose sides are multiples of this.
_SEEN = 8.0  # Codes: the original differs by less where both frames show the same.


def warping_note() -> str | None:
    """Why the warping error is left out here; None if it is not."""
    return (
        None
        if find_spec("torch")
        else f"the warping error of videos is left out without torch: {install('torch')}"
    )


@dataclass(frozen=True)
class _Moment:
    results: Mapping[str, Luma]
    original: Luma


class ClipFigures:
    """Takes the frames of a clip one after the other, and has the figures in the end.

    Changes from frame to frame are measured against those of the original: flicker, as PSNR of the mean squared error of all.
    The warping error (Lai et al., "Learning blind video temporal consistency", 2018) is the mean absolute difference between
    a result and the one before, moved as the original moves, where both frames of the original show the same.
    """

    def __init__(self, border: int) -> None:
        """border: samples that are left out on every side."""
        self._border = border
        self._rows: list[Figures] = []
        self._before: _Moment | None = None

    def add(self, results: Mapping[str, Luma], original: Luma) -> None:
        """results: luma uint8 [H, W], by the end of its figures' names: "" for all figures, others for three of them."""
        row = on_y(results[""], original, self._border)
        row |= {
            f"psnr_y{end}": metrics.psnr(result, original, border=self._border)
            for end, result in results.items()
            if end
        }
        if self._before is not None:
            row |= self._changes(results, original, self._before)
        self._rows.append(row)
        self._before = _Moment(results, original)

    def figures(self) -> Figures:
        """Means over the frames from FIRST on; over all, if there are fewer."""
        found = mean_of(self._rows[FIRST - 1 :] or self._rows)
        return {
            name.replace("_mse", "_psnr"): metrics.psnr_from_mse(value)
            if name.startswith("flicker")
            else value
            for name, value in found.items()
        }

    def _changes(self, results: Mapping[str, Luma], original: Luma, before: _Moment) -> Figures:
        change = original.astype(np.int16) - before.original
        row = {
            f"flicker_mse{end}": metrics.mse(
                result.astype(np.int16) - before.results[end], change, border=self._border
            )
            for end, result in results.items()
        }
        if find_spec("torch") and min(original.shape) >= _SIDE:
            row |= _warping(results, original, before)
        return row


def _warping(results: Mapping[str, Luma], original: Luma, before: _Moment) -> Figures:
    """None where no sample of the original is seen in both frames."""
    import torch

    from vsr.models.archs.motion import motion, moved, spread_out
    from vsr.models.graphs.motion import BLOCK

    height, width = (side // _SIDE * _SIDE for side in original.shape)

    def plane(luma: Luma) -> torch.Tensor:
        return torch.from_numpy(luma[:height, :width].astype(np.float32))[None, None]

    with torch.inference_mode():
        now, earlier = plane(original), plane(before.original)
        vectors = spread_out(motion(now / 255, earlier / 255), BLOCK)
        seen = (now - moved(earlier, vectors)).abs() < _SEEN
        if not seen.any():
            return {}
        return {
            f"warping{end}": float(
                (plane(result) - moved(plane(before.results[end]), vectors)).abs()[seen].mean()
            )
            for end, result in results.items()
        }
