"""Finds where each part of a frame was in the frame before: one vector for every block of 4x4 samples.

A coarse match at a quarter of the size, then steps of Lucas and Kanade ("An iterative image registration technique with an
application to stereo vision", 1981) at a quarter, half and all of the size. Everything is built of operators that the
backends have: pooling, slices, GridSample.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vsr.models.graphs.motion import (
    BLOCK,
    COARSE,
    FLOOR,
    HALVING,
    LEAST,
    LEVELS,
    LONGEST_STEP,
    REACH,
    shifts,
)


def motion(now: Tensor, before: Tensor) -> Tensor:
    """Vectors (x, y) in samples, shaped [N, 2, H/4, W/4]: `before` at place + vector shows what `now` shows at the place.

    now, before: luma from 0 to 1, [N, 1, H, W], both sides multiples of 4. Vectors reach about 16 samples each way.
    """
    sizes = {1: (now, before)}
    for shrunk in (2, 4):
        small_now, small_before = (_halved(plane) for plane in sizes[shrunk // 2])
        sizes[shrunk] = small_now, small_before
    found = _coarse(*sizes[4])
    for shrunk, steps, side, apart in LEVELS:
        found = _stepped(*sizes[shrunk], found, shrunk, steps, side, apart)
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
    padded = functional.pad(before, (REACH,) * 4, mode="replicate")
    apart = torch.cat(
        [
            (now - padded[..., REACH + y : REACH + y + height, REACH + x : REACH + x + width]).abs()
            for x, y in shifts()
        ],
        1,
    )
    table = torch.tensor(shifts(), dtype=now.dtype)
    # If all shifts match equally, as in a clear sky, the shortest is taken.
    costs = mean_around(apart, COARSE) + LEAST * table.norm(dim=1)[:, None, None]
    best = (costs <= costs.amin(1, keepdim=True)).to(now.dtype)
    # The mean of the best ones: there is one, or several that are equal.
    found: Tensor = BLOCK * functional.conv2d(best, table.T[..., None, None]) / best.sum(1, keepdim=True)
    return found


def _stepped(
    now: Tensor, before: Tensor, vectors: Tensor, shrunk: int, steps: int, side: int, apart: float
) -> Tensor:
    """The vectors after steps of Lucas and Kanade on frames that are `shrunk` to a part of their size.

    The whole window of a block moves by the block's own vector. Where a window mixed the vectors of the blocks that it
    covers, neighbours that are wrong would hold each other there.
    """
    block = BLOCK // shrunk
    seen = torch.cat([now, *_gradients(now)], 1)
    shown, x, y = windows(seen, torch.zeros_like(vectors), block, side, apart).chunk(3, 1)
    xx, xy, yy = (functional.avg_pool2d(product, side) for product in (x * x, x * y, y * y))
    xx, yy = xx + FLOOR, yy + FLOOR
    determinant = xx * yy - xy * xy
    for _ in range(steps):
        late = shown - windows(before, vectors / shrunk, block, side, apart)
        along_x, along_y = (functional.avg_pool2d(gradient * late, side) for gradient in (x, y))
        step = torch.cat([yy * along_x - xy * along_y, xx * along_y - xy * along_x], 1) / determinant
        vectors = vectors + step.clamp(-LONGEST_STEP, LONGEST_STEP) * shrunk
    return vectors


def windows(
    plane: Tensor, vectors: Tensor, block: int, side: int, apart: float, mode: str = "bilinear"
) -> Tensor:
    """The windows around all blocks of a plane side by side, [N, C, rows * side, columns * side].

    vectors: by how much each block's window is moved, [N, 2, rows, columns] in samples of the plane, whose blocks have a side
    of `block`. side: samples along a side of a window; apart: their distance. The edge of the plane goes on beyond it.
    """
    rows, columns = vectors.shape[-2:]
    inside = (torch.arange(side, device=plane.device) - (side - 1) / 2) * apart + (block - 1) / 2
    y = ((torch.arange(rows, device=plane.device) * block)[:, None] + inside).flatten()
    x = ((torch.arange(columns, device=plane.device) * block)[:, None] + inside).flatten()
    return _sampled(plane, x, y, spread_out(vectors, side), mode)


def inside(vectors: Tensor, block: int) -> Tensor:
    """1 for samples whose block's vector [N, 2, rows, columns], whole samples, points into the frame, else 0: [N, 1, H, W]."""
    spread = spread_out(vectors, block)
    height, width = spread.shape[-2:]
    x = torch.arange(width, device=vectors.device) + spread[:, :1]
    y = torch.arange(height, device=vectors.device)[:, None] + spread[:, 1:]
    return ((x >= 0) & (x < width) & (y >= 0) & (y < height)).to(vectors.dtype)


def _sampled(plane: Tensor, x: Tensor, y: Tensor, vectors: Tensor, mode: str = "bilinear") -> Tensor:
    """A plane [N, C, H, W] at columns x and rows y plus vectors [N, 2, rows, columns], the edge beyond it."""
    height, width = plane.shape[-2:]
    across = (x[None, None] + vectors[:, 0] + 0.5) * (2.0 / width) - 1.0
    down = (y[None, :, None] + vectors[:, 1] + 0.5) * (2.0 / height) - 1.0
    return functional.grid_sample(plane, torch.stack([across, down], 3), mode, "border", align_corners=False)


def _halved(plane: Tensor) -> Tensor:
    """Half the size, smoothed so that a detail looks alike wherever it lies between samples."""
    taps = torch.tensor(HALVING, dtype=plane.dtype)
    padded = functional.pad(plane, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, torch.outer(taps, taps)[None, None], stride=2)


def _gradients(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Along x and y, by central differences."""
    padded = functional.pad(plane, (1, 1, 1, 1), mode="replicate")
    x = 0.5 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    y = 0.5 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    return x, y
