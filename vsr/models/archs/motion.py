"""Finds where each part of a frame was in the frame before: one vector for every block of 4x4 samples.

A coarse match at a quarter of the size, then steps of Lucas and Kanade ("An iterative image registration technique with an
application to stereo vision", 1981) at a quarter, half and all of the size. Everything is built of operators that the
backends have: pooling, slices, GridSample.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 4
"""Side of a block, in samples."""

_REACH = 4  # The coarse match's, in samples at a quarter of the size: 16 of the frame.
_COARSE = 9  # Side of the coarse match's windows, in the same samples.
_LEAST = 0.1 / 255  # A shift must be better than none by this for each sample of its length.
_LEVELS = ((4, 3, 7), (2, 2, 8), (1, 2, 12))  # (Factor of shrinking, steps, side of the windows).
_LONGEST_STEP = 1.0
_FLOOR = 2e-5  # Added to the squares of gradients: flat windows stay where they are.


def motion(now: Tensor, before: Tensor) -> Tensor:
    """Vectors (x, y) in samples, shaped [N, 2, H/4, W/4]: `before` at place + vector shows what `now` shows at the place.

    now, before: luma from 0 to 1, [N, 1, H, W], both sides multiples of 16. Vectors reach about 16 samples each way.
    """
    sizes = {1: (now, before)}
    for shrunk in (2, 4):
        small_now, small_before = (functional.avg_pool2d(_smoothed(plane), 2) for plane in sizes[shrunk // 2])
        sizes[shrunk] = small_now, small_before
    found = _coarse(*sizes[4])
    for shrunk, steps, window in _LEVELS:
        found = _stepped(*sizes[shrunk], found, shrunk, steps, window)
    return found


def moved(before: Tensor, vectors: Tensor) -> Tensor:
    """`before` [N, C, H, W] sampled bilinearly at each place plus its vector [N, 2, H, W], in samples."""
    return _sampled(before, torch.arange(before.shape[3]), torch.arange(before.shape[2]), vectors)


def spread_out(vectors: Tensor, factor: int) -> Tensor:
    """A vector for each sample of a block, from one for the block."""
    return vectors.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def mean_around(planes: Tensor, window: int, stride: int = 1) -> Tensor:
    """Means over windows that are centred on blocks of side `stride`; the edge is repeated beyond the picture."""
    before = (window - stride) // 2
    after = window - stride - before
    padded = functional.pad(planes, (before, after, before, after), mode="replicate")
    return functional.avg_pool2d(padded, window, stride)


def _coarse(now: Tensor, before: Tensor) -> Tensor:
    """The best whole shift of small frames, in samples of the frame."""
    height, width = now.shape[-2:]
    padded = functional.pad(before, (_REACH,) * 4, mode="replicate")
    shifts = [(x, y) for y in range(-_REACH, _REACH + 1) for x in range(-_REACH, _REACH + 1)]
    apart = torch.cat(
        [
            (now - padded[..., _REACH + y : _REACH + y + height, _REACH + x : _REACH + x + width]).abs()
            for x, y in shifts
        ],
        1,
    )
    table = torch.tensor(shifts, dtype=now.dtype)
    # If all shifts match equally, as in a clear sky, the shortest is taken.
    best = (mean_around(apart, _COARSE) + _LEAST * table.norm(dim=1)[:, None, None]).argmin(1)
    return BLOCK * table[best].permute(0, 3, 1, 2)


def _stepped(now: Tensor, before: Tensor, vectors: Tensor, shrunk: int, steps: int, window: int) -> Tensor:
    """The vectors after steps of Lucas and Kanade on frames that are `shrunk` to a part of their size.

    The whole window of a block moves by the block's own vector. Where a window mixed the vectors of the blocks that it
    covers, neighbours that are wrong would hold each other there.
    """
    still = torch.zeros_like(vectors)
    shown, x, y = (_windows(plane, still, shrunk, window) for plane in (now, *_gradients(now)))
    xx, xy, yy = (functional.avg_pool2d(product, window) for product in (x * x, x * y, y * y))
    xx, yy = xx + _FLOOR, yy + _FLOOR
    determinant = xx * yy - xy * xy
    for _ in range(steps):
        late = shown - _windows(before, vectors, shrunk, window)
        along_x, along_y = (functional.avg_pool2d(gradient * late, window) for gradient in (x, y))
        step = torch.cat([yy * along_x - xy * along_y, xx * along_y - xy * along_x], 1) / determinant
        vectors = vectors + step.clamp(-_LONGEST_STEP, _LONGEST_STEP) * shrunk
    return vectors


def _windows(plane: Tensor, vectors: Tensor, shrunk: int, window: int) -> Tensor:
    """The windows around all blocks side by side, [N, 1, rows * window, columns * window], each moved by its block's vector."""
    block = BLOCK // shrunk
    rows, columns = vectors.shape[-2:]
    inside = torch.arange(window) - (window - 1) / 2
    y = ((torch.arange(rows) * block + (block - 1) / 2)[:, None] + inside).flatten()
    x = ((torch.arange(columns) * block + (block - 1) / 2)[:, None] + inside).flatten()
    return _sampled(plane, x, y, spread_out(vectors / shrunk, window))


def _sampled(plane: Tensor, x: Tensor, y: Tensor, vectors: Tensor) -> Tensor:
    """A plane [N, C, H, W] bilinearly at columns x and rows y plus vectors [N, 2, rows, columns], the edge beyond it."""
    height, width = plane.shape[-2:]
    across = (x[None, None] + vectors[:, 0] + 0.5) * (2.0 / width) - 1.0
    down = (y[None, :, None] + vectors[:, 1] + 0.5) * (2.0 / height) - 1.0
    return functional.grid_sample(
        plane, torch.stack([across, down], 3), "bilinear", "border", align_corners=False
    )


def _smoothed(plane: Tensor) -> Tensor:
    """The plane smoothed by 1, 2, 1 each way: after halving, a detail looks alike wherever it lies between samples."""
    for axis in (2, 3):
        size = plane.shape[axis]
        padded = functional.pad(plane, (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0), mode="replicate")
        plane = sum(
            (weight * padded.narrow(axis, start, size) for start, weight in enumerate((0.25, 0.5, 0.25))),
            torch.zeros(()),
        )
    return plane


def _gradients(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Along x and y, by central differences."""
    padded = functional.pad(plane, (1, 1, 1, 1), mode="replicate")
    x = 0.5 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    y = 0.5 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    return x, y
