"""Sequences as training patches: clips, and photographs that are moved, packed on the device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vsr.core.control import Control
from vsr.core.errors import ConfigError
from vsr.evaluation.datasets import PICTURE_SUFFIXES, in_threads, luma8, read_luma
from vsr.evaluation.resize import resize_bicubic
from vsr.media.inputs import VIDEO_SUFFIXES, files_below
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.training.moving import Frames, Luma, met_by_chance, moved, reduced
from vsr.training.recipe import Recipe

# Of a clip: windows at most, frames from one to the next, and parts that are cut out of each.
_WINDOWS, _WINDOW_EVERY, _PARTS = 15, 28, 7
# Every so many windows only every second frame is taken, as if frames had been dropped.
_DROPPED_EVERY = 8
# Clips are compressed: those of more rows or columns than this are halved, and are detailed again.
_HALVED_ABOVE = 400
# A part is the one of so many with most detail, and one without this much detail (in codes) is left out.
_TRIES, _LEAST_DETAIL = 3, 2.0
_MOVES = 3
# One sequence in so many is joined to another: a cut that nobody says.
_CUT_EVERY = 12


class ClipPool:
    """Sequences packed into two uint8 tensors on `device`, from which a step's are gathered; the counterpart of PatchPool.

    Raises ConfigError where no clip and no photograph holds a sequence.
    """

    def __init__(
        self, folders: Sequence[Path], recipe: Recipe, device: torch.device, control: Control | None = None
    ) -> None:
        self.scale, self.patch, self.frames = recipe.scale, recipe.data.patch, recipe.data.frames
        control = control or Control()
        side, seed = self.patch * self.scale, recipe.train.seed
        paths = [path for folder in folders for path in files_below(folder, VIDEO_SUFFIXES)]
        photos = [path for folder in folders for path in files_below(folder, PICTURE_SUFFIXES)]
        jobs = [
            partial(_of_clip, path, self.frames, side, np.random.default_rng([seed, n]))
            for n, path in enumerate(paths)
        ]
        jobs += [
            partial(_of_photo, path, self.frames, side, np.random.default_rng([seed, n, 1]))
            for n, path in enumerate(photos)
        ]

        def done(job: partial[list[Frames]]) -> list[tuple[Frames, Frames]]:
            control.check()
            rng = job.args[-1]
            met = [met_by_chance(sequence, rng) for sequence in job()]
            return [(reduced(sequence, self.scale, rng), sequence) for sequence in met]

        pairs = [pair for some in in_threads(done, jobs) for pair in some]
        if not pairs:
            raise ConfigError(
                f"no clip holds {self.frames} frames with a patch of {side}x{side} pixels that shows detail",
                hint="name folders with clips or larger pictures, or use a smaller patch",
            )
        rng = np.random.default_rng(seed)
        for _ in range(len(pairs) // _CUT_EVERY):
            first, second, at = *rng.integers(len(pairs), size=2), int(rng.integers(1, self.frames))
            joined = [
                np.concatenate([a[:at], b[at:]]) for a, b in zip(pairs[first], pairs[second], strict=True)
            ]
            pairs.append((joined[0], joined[1]))
        self.count = len(pairs)
        self.lr, self.hr = (
            torch.from_numpy(np.stack(parts)).to(device) for parts in zip(*pairs, strict=True)
        )
        self.megapixels = self.hr.numel() / 1e6

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """[count, 6]: the numbers of sequences; the rest is unused."""
        places = np.zeros((count, 6), np.int64)
        places[:, 0] = rng.integers(self.count, size=count)
        return places

    def gather(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Low and high resolution, float32 [B, T, P, P] and [B, T, P*scale, P*scale] in 0..1, for `places` int64 [B, 6]."""
        chosen = places[:, 0]
        return self.lr.index_select(0, chosen).float() / 255.0, self.hr.index_select(
            0, chosen
        ).float() / 255.0


def _of_photo(path: Path, frames: int, side: int, rng: np.random.Generator) -> list[Frames]:
    photo = read_luma(path)
    found = [moved(photo, frames, side, rng) for _ in range(_MOVES)]
    return [sequence for sequence in found if sequence is not None]


def _of_clip(path: Path, frames: int, side: int, rng: np.random.Generator) -> list[Frames]:
    found: list[Frames] = []
    window: list[Luma] = []
    with open_source(str(path), SourceOptions()) as source:
        for number, frame in enumerate(islice(source, _WINDOWS * _WINDOW_EVERY)):
            which, at = divmod(number, _WINDOW_EVERY)
            every = 2 if which % _DROPPED_EVERY == _DROPPED_EVERY - 1 else 1
            if at == 0:
                window = []
            if at % every or len(window) == frames:
                continue
            luma = luma8(frame)
            window.append(resize_bicubic(luma, 0.5) if min(luma.shape) > _HALVED_ABOVE else luma)
            if len(window) == frames:
                found += _parts(window, side, rng)
    return found


def _parts(window: Sequence[Luma], side: int, rng: np.random.Generator) -> list[Frames]:
    height, width = window[0].shape
    if min(height, width) < side or any(frame.shape != window[0].shape for frame in window):
        return []
    found = []
    for _ in range(_PARTS):
        tries = [
            (int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))) for _ in range(_TRIES)
        ]
        detail, y, x = max((_detail(window[0][y : y + side, x : x + side]), y, x) for y, x in tries)
        if detail >= _LEAST_DETAIL:
            found.append(np.stack([frame[y : y + side, x : x + side] for frame in window]))
    return found


def _detail(luma: Luma) -> float:
    """The mean absolute Laplacian, in codes."""
    plane = luma.astype(np.float32)
    around = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
    return float(np.abs(4 * plane[1:-1, 1:-1] - around).mean())
