"""Pictures as training patches: everything decoded once, packed flat on the device, cut by index arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vsr.core.control import Control
from vsr.core.errors import ConfigError, SourceOpenError
from vsr.evaluation.datasets import PICTURE_SUFFIXES, LumaPair, in_threads, luma8, read_luma, read_rgb, rgb8
from vsr.media.inputs import VIDEO_SUFFIXES, files_below
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.training import degradations
from vsr.training.patch_sampling import Places
from vsr.training.recipe import Recipe
from vsr.training.render import moved_luma, pixel_pattern, rendered_luma
from vsr.training.teacher import taught

Picture = npt.NDArray[np.uint8]

# Most frames taken from a video, and the distance between them.
VIDEO_FRAMES = 16
VIDEO_EVERY = 24

# Side of a rendered picture, in high resolution. Of every four pictures the first contains patterns of single pixels, and the
# second is combed, by a movement of up to 12 pixels of the low resolution.
RENDERED_SIDE = 384
SPECIAL_EVERY = 4
_MOST_MOVED = 12


@dataclass(frozen=True)
class Photo:
    """A decoded picture: luma uint8 [H, W], or RGB uint8 [H, W, 3]."""

    name: str
    pixels: Picture


def load_photos(folders: Sequence[Path], *, rgb: bool = False) -> list[Photo]:
    """Every picture below `folders`, and frames of every video, as luma or RGB. Raises SourceOpenError for a folder without
    any, and for one that cannot be read."""
    loaded: list[Photo] = []
    for folder in folders:
        clips = files_below(folder, VIDEO_SUFFIXES)
        paths = files_below(folder, PICTURE_SUFFIXES)
        if not clips and not paths:
            raise SourceOpenError(
                f"no pictures in {folder}",
                hint=f"files ending in {' '.join(sorted(PICTURE_SUFFIXES))} are read",
            )
        read = read_rgb if rgb else read_luma
        loaded += [Photo(p.name, pixels) for p, pixels in zip(paths, in_threads(read, paths), strict=True)]
        read_frames = partial(_frames, rgb=rgb)
        loaded += [photo for frames in in_threads(read_frames, clips) for photo in frames]
    return loaded


def _frames(path: Path, *, rgb: bool) -> list[Photo]:
    """Some frames of a video, far enough apart to differ."""
    with open_source(str(path), SourceOptions()) as source:
        chosen = islice(source, 0, VIDEO_EVERY * VIDEO_FRAMES, VIDEO_EVERY)
        pixels_of = rgb8 if rgb else luma8
        return [Photo(f"{path.name}#{frame.index}", pixels_of(frame)) for frame in chosen]


class PatchPool:
    """Pairs packed into two uint8 tensors [C, pixels of all pictures] on `device`, from which patches are gathered.

    `draw` says on the host which patches a step takes; `gather` cuts them on the device. Pictures are drawn by their
    area, except that `rendered_share` of the samples come from the rendered ones; places in them are drawn as `Places` says.
    `say` is told how far the teacher is, where there is one; it ends with Cancelled once `control` is stopped. Raises
    ConfigError when no picture is as large as a patch.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        recipe: Recipe,
        device: torch.device,
        say: Callable[[str], None] = lambda message: None,
        control: Control | None = None,
    ) -> None:
        self.scale, self.patch = recipe.scale, recipe.data.patch
        share = recipe.data.rendered_share
        jobs = [
            partial(_pair, photo, recipe, s)
            for photo in photos
            for s in recipe.data.hr_scales
            # Pictures too small for a patch are left out before they are reduced: nothing would be left of a pixel or two.
            if math.ceil(min(photo.pixels.shape[:2]) * s - 1e-9) >= self.patch * self.scale
        ]
        pairs = _run(jobs)
        if recipe.data.teacher:
            pairs = taught(pairs, recipe.data.teacher, recipe.scale, say, control or Control())
        drawn: list[LumaPair] = []
        if share > 0:
            count = recipe.data.rendered_count
            jobs = [partial(_drawn, recipe.scale, recipe.train.seed, index) for index in range(count)]
            drawn = _large_enough(_run(jobs), self.patch)
        if not pairs and not (drawn and share == 1.0):
            side = self.patch * self.scale
            raise ConfigError(
                f"no picture holds a patch of {side}x{side} pixels",
                hint="use larger pictures or a smaller patch",
            )
        self.count = len(pairs)
        self.megapixels = sum(pair.hr.shape[0] * pair.hr.shape[1] for pair in pairs) / 1e6
        shares = np.concatenate([_shares(pairs, self.patch, 1.0 - share), _shares(drawn, self.patch, share)])
        pairs += drawn
        self._places = Places(pairs, self.patch, shares / shares.sum(), recipe.data.error_power)
        self._lr_size = np.array([pair.lr.shape[:2] for pair in pairs], dtype=np.int64)
        areas = self._lr_size.prod(axis=1)
        self._lr_start = np.cumsum(areas) - areas
        self._hr_start = self._lr_start * self.scale**2
        channels = 3 if recipe.rgb else 1
        self.lr, self.hr = (
            torch.from_numpy(np.concatenate([part.reshape(-1, channels) for part in parts]).T.copy()).to(
                device
            )
            for parts in ([pair.lr for pair in pairs], [pair.hr for pair in pairs])
        )

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """[count, 6]: for the low and the high resolution, where a patch starts, its step down and its step right.

        The eight flips and rotations are in the signs and the order of the steps.
        """
        picture, top, left = self._places.draw(rng, count)
        width = self._lr_size[picture, 1]
        turn = rng.integers(0, 8, count)
        columns: list[npt.NDArray[np.int64]] = []
        for start, scale in ((self._lr_start, 1), (self._hr_start, self.scale)):
            stride, last = width * scale, self.patch * scale - 1
            offset = start[picture] + top * scale * stride + left * scale
            offset += np.where(turn & 1, last * stride, 0) + np.where(turn & 2, last, 0)
            down, right = np.where(turn & 1, -stride, stride), np.where(turn & 2, -1, 1)
            columns += [offset, np.where(turn & 4, right, down), np.where(turn & 4, down, right)]
        return np.stack(columns, axis=1)

    def gather(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Low and high resolution patches, float32 [B, C, P, P] and [B, C, P*scale, P*scale] in 0..1, at `places`
        int64 [B, 6] on the device, as `draw` gives them; C is 1, or 3 for RGB."""
        lr = _cut(self.lr, places[:, :3], self.patch)
        return lr, _cut(self.hr, places[:, 3:], self.patch * self.scale)


def _cut(flat: Tensor, places: Tensor, size: int) -> Tensor:
    steps = torch.arange(size, device=flat.device)
    offset, down, right = places.view(-1, 3, 1, 1).unbind(1)
    indices = offset + down * steps.view(1, -1, 1) + right * steps.view(1, 1, -1)
    return torch.stack([torch.take(plane, indices) for plane in flat], dim=1).float() / 255.0


def _pair(photo: Photo, recipe: Recipe, hr_scale: float) -> LumaPair:
    return degradations.bicubic(photo.name, photo.pixels, recipe.scale, hr_scale)


def _drawn(scale: int, seed: int, index: int) -> LumaPair:
    name, seed = f"rendered-{index}", seed * 100_003 + index
    turn, place = divmod(index, SPECIAL_EVERY)
    if place == 0:
        lr = pixel_pattern(seed, RENDERED_SIDE // scale)
        return LumaPair(name, lr, lr.repeat(scale, 0).repeat(scale, 1))
    if place == 1:
        apart = scale * (1 + turn % _MOST_MOVED)
        return degradations.combed(name, *moved_luma(seed, RENDERED_SIDE, apart), scale)
    return degradations.bicubic(name, rendered_luma(seed, RENDERED_SIDE), scale)


def _run(jobs: Sequence[partial[LumaPair]]) -> list[LumaPair]:
    return in_threads(lambda job: job(), jobs)


def _large_enough(pairs: Sequence[LumaPair], patch: int) -> list[LumaPair]:
    return [pair for pair in pairs if min(pair.lr.shape) >= patch]


def _shares(pairs: Sequence[LumaPair], patch: int, share: float) -> npt.NDArray[np.float64]:
    places = np.array(
        [(pair.lr.shape[0] - patch + 1) * (pair.lr.shape[1] - patch + 1) for pair in pairs], dtype=float
    )
    return places * (share / places.sum()) if len(pairs) else places
