"""Pictures as pairs, each patch cut and damaged when it is drawn: no two are alike, however long a training is."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vsr.core.errors import ConfigError
from vsr.evaluation.datasets import in_threads
from vsr.training.damage import DEGRADATIONS, Damaged, Rgb, damaged, planes_of, side_needed
from vsr.training.data import RENDERED_SIDE, Photo
from vsr.training.recipe import Recipe
from vsr.training.render import pixel_pattern, rendered_rgb

_PATTERN_EVERY = 4
"""Of so many samples from rendered pictures, one is a pattern of single pixels, undamaged."""


class DamagedPool:
    """Pictures uint8 [H, W, 3] on the host, of which patches are cut, damaged (`vsr.training.damage`) and brought to `device`.

    `draw` and `gather` as `vsr.training.data.PatchPool` has them, but `gather` computes on the host, and gives a network in
    colour three planes. Pictures are drawn by their area, except that `rendered_share` of the samples come from rendered ones.
    Raises ConfigError when no picture is as large as a patch with its surroundings.
    """

    def __init__(self, photos: Sequence[Photo], recipe: Recipe, device: torch.device) -> None:
        self.scale, self.patch, self.device = recipe.scale, recipe.data.patch, device
        self.planes = recipe.planes
        self._how = DEGRADATIONS[recipe.data.degradation]
        self._side = side_needed(self.patch, self.scale)
        wanted = [
            (photo, scale)
            for photo in photos
            for scale in recipe.data.hr_scales
            # Before they are reduced: nothing would be left of a pixel or two.
            if round(min(photo.pixels.shape[:2]) * scale) >= self._side
        ]
        self._pictures = in_threads(lambda each: _reduced(each[0].pixels, each[1]), wanted)
        share = recipe.data.rendered_share
        if not self._pictures and share < 1.0:
            raise ConfigError(
                f"no picture holds a patch and its surroundings of {self._side}x{self._side} pixels",
                hint="use larger pictures or a smaller patch",
            )
        self.count = len(self._pictures)
        self.megapixels = sum(picture.shape[0] * picture.shape[1] for picture in self._pictures) / 1e6
        shares = _by_area(self._pictures) * (1.0 - share)
        if share > 0:
            side, seed = max(RENDERED_SIDE, self._side), recipe.train.seed
            numbers = range(recipe.data.rendered_count)
            drawn = in_threads(lambda number: rendered_rgb(seed * 100_003 + number, side), numbers)
            self._pictures = [*self._pictures, *drawn]
            shares = np.concatenate([shares, _by_area(drawn) * share])
        self._edges = np.cumsum(shares)

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """[count, 6]: the picture, the top and the left of a place in it, one of eight turns, a seed, and zero."""
        picture = np.searchsorted(self._edges, rng.random(count) * self._edges[-1], side="right")
        picture = np.minimum(picture, len(self._pictures) - 1)
        sizes = np.array([self._pictures[number].shape[:2] for number in picture])
        top, left = (rng.random((count, 2)) * (sizes - self._side + 1)).astype(np.int64).T
        turn, seed = rng.integers(0, 8, count), rng.integers(0, 2**62, count)
        return np.stack([picture, top, left, turn, seed, np.zeros_like(seed)], axis=1)

    def gather(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Damaged patches and their ground truth, float32 [B, C, P, P] and [B, C, P*scale, P*scale], at `places` int64 [B, 6],
        as `draw` gives them; the units are those of `vsr.training.damage.Damaged`, and C is 1 or 3."""
        with ThreadPoolExecutor(torch.get_num_threads(), "damage") as threads:
            pairs = list(threads.map(self._damaged, places.cpu().tolist()))
        lr, hr = (np.stack([each[: self.planes] for each in side]) for side in zip(*pairs, strict=True))
        return torch.from_numpy(lr).to(self.device), torch.from_numpy(hr).to(self.device)

    def _damaged(self, place: Sequence[int]) -> Damaged:
        number, top, left, turn, seed, _ = place
        rng = np.random.default_rng(seed)
        if number >= self.count and rng.random() < 1 / _PATTERN_EVERY:
            pattern = np.repeat(pixel_pattern(seed % 2**31, self.patch)[..., None], 3, axis=2)
            return Damaged(planes_of(pattern), planes_of(pattern.repeat(self.scale, 0).repeat(self.scale, 1)))
        crop = self._pictures[number][top : top + self._side, left : left + self._side]
        turned = np.rot90(crop, turn % 4)
        return damaged(turned[:, ::-1] if turn >= 4 else turned, self.scale, rng, self._how)


def _reduced(picture: Rgb, scale: float) -> Rgb:
    if scale == 1.0:
        return picture
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _by_area(pictures: Sequence[Rgb]) -> npt.NDArray[np.float64]:
    areas = np.array([picture.shape[0] * picture.shape[1] for picture in pictures], np.float64)
    return areas / areas.sum() if len(areas) else areas
