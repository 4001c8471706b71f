"""Measures what frames look like: noise, traces of compression, sharpness, drawn or not, combing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vsr.core.frame import Frame
from vsr.core.look import Look

Samples = NDArray[np.float32]

_BLOCK = 8
_SIDE = 96
# Tiles a side; together they are looked at in some milliseconds.
_ACROSS = 3
_FREQUENCY = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK))
# Near black and white noise is cut off.
_DARKEST, _LIGHTEST = 20.0, 228.0
_WHITE = 0.6
_FLAT, _MOST_FLAT, _FEW_FLAT = 0.2, 0.25, 0.05
_GRID = 0.03
_FEW, _MANY = 12, 800
# The steps of quantizers that are looked for, in codes.
_STEPS = np.arange(3, 64, dtype=np.float32)[:, None]


def look_at(frames: Iterable[Frame]) -> Look:
    """One Look at all of the frames, which are of one stream. Small frames give less, and none gives zeros."""
    tiles = [tile for frame in frames for tile in _tiles(frame)]
    if not tiles:
        return Look()
    phases, blocking = _grid(tiles)
    blocks = np.concatenate([_blocks(tile, phases) for tile in tiles])
    coefficients = _DCT @ blocks @ _DCT.T
    look = Look(
        quantizer=_quantizer(coefficients[_unclipped(blocks)]),
        blocking=round(blocking, 3),
        sharpness=_sharpness(coefficients),
        shading=_shading(blocks),
        combing=round(_combing(tiles), 3),
    )
    # Rows of two moments look like noise.
    return look if look.combed else replace(look, noise=round(_noise(tiles), 1))


def luma_codes(frame: Frame, rows: slice = slice(None), columns: slice = slice(None)) -> Samples:
    """Luma of a part of a frame, in codes of 8 bits as they lie; of RGB by BT.601, as JPEG has it."""
    width, bits = frame.format.bytes_per_sample, frame.format.bits

    def codes(plane: int) -> Samples:
        samples = np.asarray(frame.planes[plane])
        if width == 2:
            samples = np.ascontiguousarray(samples[rows]).view("<u2")[:, columns]
            return samples.astype(np.float32) / np.float32(1 << (bits - 8))
        return samples[rows, columns].astype(np.float32)

    if frame.format.kind != "rgb":
        return codes(0)
    green, blue, red = (codes(plane) for plane in range(3))
    luma: Samples = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return luma


def _tiles(frame: Frame) -> list[Samples]:
    """Tiles of luma, spread over the frame. They begin at multiples of 8 samples and have whole blocks."""
    (tops, high), (lefts, wide) = _places(frame.height), _places(frame.width)
    if not high or not wide:
        return []
    return [
        luma_codes(frame, slice(top, top + high), slice(left, left + wide)) for top in tops for left in lefts
    ]


def _places(length: int) -> tuple[list[int], int]:
    """Where tiles begin along one side, and their length."""
    side = min(_SIDE, length // _BLOCK * _BLOCK)
    if side < 2 * _BLOCK:
        return [], 0
    count = min(_ACROSS, length // side)
    step = (length - side) / max(1, count - 1)
    first = (length - side) / 2 if count == 1 else 0.0
    return [int(first + step * place) // _BLOCK * _BLOCK for place in range(count)], side


def _dct() -> Samples:
    """The matrix of the DCT of 8 samples (DCT-II, orthonormal)."""
    at = np.arange(_BLOCK)
    matrix = np.cos(np.pi * (2 * at + 1) * at[:, None] / (2 * _BLOCK)) * 0.5
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


_DCT = _dct()


def _blocks(tile: Samples, phases: tuple[int, int] = (0, 0)) -> Samples:
    """[N, 8, 8]: the whole blocks of a tile, beginning at (row, column)."""
    tile = tile[phases[0] :, phases[1] :]
    rows, columns = tile.shape[0] // _BLOCK, tile.shape[1] // _BLOCK
    tile = tile[: rows * _BLOCK, : columns * _BLOCK]
    cut: Samples = tile.reshape(rows, _BLOCK, columns, _BLOCK).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    return cut


def _grid(tiles: Sequence[Samples]) -> tuple[tuple[int, int], float]:
    """((row, column) at which blocks of 8 begin, blocking)."""
    (row, vertical), (column, horizontal) = _borders([tile.T for tile in tiles]), _borders(tiles)
    found = min(vertical, horizontal) > _GRID
    return (row, column) if found else (0, 0), max(0.0, (vertical + horizontal) / 2)


def _borders(tiles: Sequence[Samples]) -> tuple[int, float]:
    """(column at which blocks begin, excess of the steps there)."""
    excess, steps = np.zeros(_BLOCK), 0.0
    for tile in tiles:
        step = np.abs(np.diff(tile, axis=1))
        beside = np.clip(step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2, -8, 8).mean(axis=0)
        # The first of these is the step between the second and the third sample.
        folded = np.zeros(tile.shape[1])
        folded[2:-1] = beside
        excess += folded.reshape(-1, _BLOCK).sum(axis=0) / (tile.shape[1] // _BLOCK)
        steps += float(step.mean())
    excess /= len(tiles)
    first = int(excess.argmax())
    # Blocks of 4 have borders halfway, too. An enlarged picture has the same excess at every second sample.
    others = np.delete(excess, [first, (first + 4) % _BLOCK])
    even = excess[(first + 2) % _BLOCK] + excess[(first - 2) % _BLOCK]
    usual = max(float(np.median(others)), float(even) / 2)
    return first, float(excess[first] - usual) / (steps / len(tiles) + 0.5)


def _unclipped(blocks: Samples) -> NDArray[np.bool_]:
    """The blocks whose samples were not cut off at black or white: their coefficients are those that were decoded."""
    low, high = blocks.min(axis=(1, 2)), blocks.max(axis=(1, 2))
    return np.asarray((low > 1) & (high < 254))


def _quantizer(coefficients: Samples) -> float:
    """The step of which low coefficients are multiples, as its median over five of them; 0 if most have none.

    The mean of cos(2 pi c / step) is 1 for exact multiples, and near 0 for anything else.
    """
    some = coefficients[:: len(coefficients) // _MANY + 1]
    found = []
    for row, column in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0)):
        sizes = np.abs(some[:, row, column])
        large = sizes > 0.6 * _STEPS
        count = large.sum(axis=1)
        mean = (np.cos(sizes * (2 * np.pi / _STEPS)) * large).sum(axis=1) / np.maximum(count, 1)
        found.append(float(_STEPS[(count >= _FEW) & (mean > 0.5)].max(initial=0)))
    return sorted(found)[2]


def _noise(tiles: Sequence[Samples]) -> float:
    """The standard deviation of white noise, from the twentieth of all blocks that varies least.

    The second difference both ways (Immerkaer, "Fast noise variance estimation", 1996) sees white noise as strong as the
    deviation from a plane does; of texture it sees less.
    """
    inner = np.concatenate([_blocks(tile[1:-1, 1:-1]) for tile in tiles])
    across = [tile[:-2] - 2 * tile[1:-1] + tile[2:] for tile in tiles]
    both = np.concatenate([_blocks(part[:, :-2] - 2 * part[:, 1:-1] + part[:, 2:]) for part in across])
    if not len(inner):
        return 0.0
    mean = inner.mean(axis=(1, 2))
    # Nothing is flat where there is noise, but for what is black or white.
    flat = inner.std(axis=(1, 2)) < _FLAT
    usable = (mean > _DARKEST) & (mean < _LIGHTEST)
    if usable.sum() < _FEW or flat.mean() > _MOST_FLAT or flat[usable].mean() > _FEW_FLAT:
        return 0.0
    ramp = np.arange(_BLOCK) - (_BLOCK - 1) / 2
    of_ramp = float((ramp**2).mean())
    slopes = (inner * ramp).mean(axis=(1, 2)) ** 2 + (inner * ramp[:, None]).mean(axis=(1, 2)) ** 2
    deviation = np.sqrt(np.maximum(inner.var(axis=(1, 2)) - slopes / of_ramp, 0))[usable]
    difference = np.sqrt((both**2).mean(axis=(1, 2)) / 36)[usable]
    calm = np.argsort(deviation)[: max(_FEW // 3, len(deviation) // 20)]
    noise, most = float(np.median(difference[calm])), float(np.median(deviation[calm]))
    return noise if noise > _WHITE * (most + 0.1) else 0.0


def _sharpness(coefficients: Samples) -> float | None:
    """See Look."""
    detailed = coefficients[np.abs(coefficients[:, _FREQUENCY > 0]).max(axis=1) > 12]
    if len(detailed) < _FEW:
        return None
    high = float((detailed[:, _FREQUENCY >= 8] ** 2).mean())
    middle = float((detailed[:, (_FREQUENCY >= 3) & (_FREQUENCY <= 5)] ** 2).mean())
    return round(10 * float(np.log10((high + 0.1) / (middle + 0.1))), 1)


def _shading(blocks: Samples) -> float | None:
    """See Look. Each block with an edge is divided at its mean into two tones."""
    edged = blocks.reshape(-1, _BLOCK * _BLOCK)
    edged = edged[edged.std(axis=1) > 8]
    if len(edged) < _FEW:
        return None
    light = edged > edged.mean(axis=1, keepdims=True)
    count = light.sum(axis=1)
    upper = (edged * light).sum(axis=1) / count
    lower = (edged * ~light).sum(axis=1) / (edged.shape[1] - count)
    tones = np.where(light, upper[:, None], lower[:, None])
    left_over = np.median(np.abs(edged - tones), axis=1) / (upper - lower)
    return round(float(left_over.mean()), 3)


def _combing(tiles: Sequence[Samples]) -> float:
    """See Look."""

    def share(tile: Samples) -> float:
        bend = tile[:-2] - 2 * tile[1:-1] + tile[2:]
        bend = bend[: len(bend) // _BLOCK * _BLOCK]
        bend[1::2] *= -1
        columns = bend.reshape(-1, _BLOCK, bend.shape[1])
        turning, all_ = np.abs(columns.mean(axis=1)), np.abs(columns).mean(axis=1)
        return float(((turning > 0.8 * all_) & (turning > 6)).mean())

    return float(np.mean([share(tile) - share(tile.T) for tile in tiles]))
