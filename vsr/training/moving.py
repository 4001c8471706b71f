"""Sequences of frames for networks with memory: photographs that are moved, and what happens to frames on their way.

A sequence is luma uint8 [frames, height, width] in high resolution. Every choice is drawn from the generator that is given.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vsr.evaluation.resize import resize_bicubic
from vsr.media.compress import compressed
from vsr.training.degradations import jpeg

Luma = npt.NDArray[np.uint8]
Frames = npt.NDArray[np.uint8]

# Speeds in pixels a frame, drawn evenly on a logarithmic scale: slow movement shows as much as fast one.
_SLOWEST, _FASTEST = 0.15, 14.0
_WHOLE, _TURNED, _TWO_LAYERS = 0.3, 0.55, 0.8
_STILL, _NOISY, _COMPRESSED = 0.1, 0.15, 0.2


def moved(photo: Luma, frames: int, side: int, rng: np.random.Generator) -> Frames | None:
    """A part of a photograph that moves: by whole pixels, along a line, turned and zoomed, or in two layers. None where the
    photograph is too small for it."""
    kind = rng.random()
    if kind < _WHOLE:
        return _by_whole_pixels(photo, frames, side, rng)
    if min(photo.shape) < 3 * side:
        return None
    sequence = _along_a_path(photo, frames, side, rng, turns=kind >= _TURNED)
    if kind < _TWO_LAYERS:
        return sequence
    # A blob that moves by itself shows the same photograph, elsewhere and moved otherwise: things cover each other.
    other = _along_a_path(photo, frames, side, rng, turns=True)
    return np.where(_blob(frames, side, rng), other, sequence)


def met_by_chance(sequence: Frames, rng: np.random.Generator) -> Frames:
    """The same turned or mirrored; at times it begins with a still, or each frame has noise or JPEG blocks of its own, which
    are no detail that the last frame could show."""
    sequence = np.rot90(sequence, int(rng.integers(4)), (1, 2))
    if rng.random() < 0.5:
        sequence = sequence[:, :, ::-1]
    if rng.random() < _STILL:
        still = int(rng.integers(2, max(3, len(sequence) // 2 + 1)))
        sequence = np.concatenate([np.repeat(sequence[:1], still, 0), sequence[: len(sequence) - still]])
    if rng.random() < _NOISY:
        sequence = _with_noise(sequence, rng)
    return np.ascontiguousarray(sequence)


def reduced(sequence: Frames, scale: int, rng: np.random.Generator) -> Frames:
    """The low resolution of a sequence, by bicubic; of some sequences compressed as H.264."""
    small = np.stack([resize_bicubic(np.ascontiguousarray(frame), 1 / scale) for frame in sequence])
    if rng.random() < _COMPRESSED:
        damaged = compressed([[frame] for frame in small], "libx264", int(rng.integers(14, 28)))
        small = np.stack([luma for (luma,) in damaged])
    return small


def _speed(rng: np.random.Generator) -> tuple[float, float]:
    length = math.exp(rng.uniform(math.log(_SLOWEST), math.log(_FASTEST)))
    angle = rng.uniform(0, 2 * math.pi)
    return length * math.cos(angle), length * math.sin(angle)


def _by_whole_pixels(photo: Luma, frames: int, side: int, rng: np.random.Generator) -> Frames | None:
    """No pixel is interpolated: what the frames show of each other is exact."""
    steps = [round(part) for part in _speed(rng)]
    needed = [side + abs(step) * (frames - 1) for step in reversed(steps)]
    if any(room < size for room, size in zip(photo.shape, needed, strict=True)):
        return None
    y, x = (
        int(rng.integers(room - size + 1)) + max(0, -step) * (frames - 1)
        for room, size, step in zip(photo.shape, needed, reversed(steps), strict=True)
    )
    places = [(y + steps[1] * frame, x + steps[0] * frame) for frame in range(frames)]
    return np.stack([photo[top : top + side, left : left + side] for top, left in places])


def _along_a_path(photo: Luma, frames: int, side: int, rng: np.random.Generator, *, turns: bool) -> Frames:
    """Sampled at twice the size and reduced, so that frames are as sharp as the photograph is."""
    height, width = photo.shape
    across, down = (2 * part for part in _speed(rng))
    turn, zoom = (rng.normal() * 0.008, rng.normal() * 0.012) if turns else (0.0, 0.0)
    middle = [rng.uniform(1.4 * side, size - 1.4 * side) for size in (width, height)]
    places = torch.arange(2 * side) - (side - 0.5)
    plane = torch.from_numpy(np.ascontiguousarray(photo)).float()[None, None]
    found = []
    for frame in range(frames):
        time = frame - (frames - 1) / 2
        larger = math.exp(zoom * time)
        cosine, sine = larger * math.cos(turn * time), larger * math.sin(turn * time)
        x = middle[0] + across * time + cosine * places[None] - sine * places[:, None]
        y = middle[1] + down * time + sine * places[None] + cosine * places[:, None]
        grid = torch.stack([(x + 0.5) * 2 / width - 1, (y + 0.5) * 2 / height - 1], -1)[None].float()
        large = functional.grid_sample(plane, grid, "bicubic", "reflection", align_corners=False)[0, 0]
        found.append(resize_bicubic(large.round().clamp(0, 255).byte().numpy(), 0.5))
    return np.stack(found)


def _blob(frames: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    margin = 4 * frames
    coarse = torch.from_numpy(rng.normal(size=(1, 1, 5, 5))).float()
    field = functional.interpolate(coarse, size=(side + 2 * margin, side + 2 * margin), mode="bicubic")[
        0, 0
    ].numpy()
    across, down = rng.integers(-3, 4, 2)
    starts = [(margin + down * frame, margin + across * frame) for frame in range(frames)]
    return np.stack([field[y : y + side, x : x + side] for y, x in starts]) > 0.2


def _with_noise(sequence: Frames, rng: np.random.Generator) -> Frames:
    if rng.random() < 0.65:
        quality = int(rng.integers(60, 96))
        return np.stack([jpeg(np.ascontiguousarray(frame), quality) for frame in sequence])
    noise = rng.normal(size=sequence.shape) * rng.uniform(0.7, 5)
    return np.clip(np.rint(sequence + noise), 0, 255).astype(np.uint8)
