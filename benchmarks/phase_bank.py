"""What one past frame is worth without training: linear filters on top of a network's picture, fitted to real clips.

    python -m benchmarks.phase_bank --fit CLIP... --held-out CLIP... --check CLIP... --out benchmarks/phase-bank.json

Each frame is reduced by bicubic and enlarged by the network. Motion against the frame before is found on the small frames
(`vsr/models/archs/motion.py`). The past frame is gathered at whole samples; a filter for each sub-sample phase, fitted by
least squares, says from both small frames what the network's picture lacks. A gate by how badly the frames match scales
it. What is written: PSNR of Y from the fifth frame on, for the network alone and with the filters, clip by clip.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.interleave import write_result
from vsr.evaluation.datasets import luma8
from vsr.evaluation.evaluate import larger_luma
from vsr.evaluation.metrics import psnr
from vsr.evaluation.resize import resize_bicubic
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.models.archs.motion import mean_around, motion, moved, spread_out
from vsr.models.graphs.motion import BLOCK
from vsr.upscale.upscaler import Upscaler

_SIDE = 5  # Of the filters, in small samples.
_PHASES = 5  # Of -1/2 to 1/2 sample, each way.
_ERRORS = (
    0.25,
    0.4,
    0.6,
    0.9,
    1.4,
)  # Between classes of the match: what is off, over what differs from sample to sample.
_ACTIVITIES = (1.0, 2.0, 4.0, 8.0)  # Between classes of that, in codes of 255.
_CLASSES = len(_ERRORS) + 1
_GATES = _CLASSES * (len(_ACTIVITIES) + 1)
_SHARED = 0.02  # How much of what its whole phase saw each filter learns from.
_RIDGE = 1e-4
_MOST = (384, 640)  # Of a frame, rows and columns: its middle.


@dataclass(frozen=True)
class Moment:
    """A frame: original (uint8 [2h, 2w]), the network's picture of it, small [1, 1, h, w] from 0 to 1."""

    original: np.ndarray
    base: np.ndarray
    small: Tensor


def moments(path: Path, upscaler: Upscaler, most: int) -> Iterator[Moment]:
    """The first frames of a clip. What is large or was compressed hard is halved first."""
    with open_source(str(path), SourceOptions()) as source:
        for frame in islice(source, most):
            luma = luma8(frame)
            if min(luma.shape) > 400:
                luma = resize_bicubic(luma, 0.5)
            sides = [min(side, limit) // 32 * 32 for side, limit in zip(luma.shape, _MOST, strict=True)]
            top, left = ((side - kept) // 2 for side, kept in zip(luma.shape, sides, strict=True))
            original = np.ascontiguousarray(luma[top : top + sides[0], left : left + sides[1]])
            small = resize_bicubic(original, 1 / upscaler.scale)
            yield Moment(
                original, larger_luma(upscaler, small), torch.from_numpy(small / 255.0).float()[None, None]
            )


@dataclass(frozen=True)
class Seen:
    """For each small sample: what the filters see [h*w, 2*25+1], and the numbers of its filter and of its gate."""

    windows: Tensor
    filters: Tensor
    gates: Tensor


def seen(now: Moment, before: Moment) -> Seen:
    vectors = motion(now.small, before.small)
    whole = spread_out(vectors.round(), BLOCK)
    phase = ((vectors - vectors.round()) * (_PHASES - 1)).round().long() + _PHASES // 2
    phases = spread_out(phase[:, 1:] * _PHASES + phase[:, :1], BLOCK).flatten()
    height, width = now.small.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at_y = (y + whole[0, 1].long()).clamp(0, height - 1)
    at_x = (x + whole[0, 0].long()).clamp(0, width - 1)
    gathered = before.small[0, 0][at_y, at_x][None, None]
    off = mean_around((now.small - moved(before.small, spread_out(vectors, BLOCK))).abs(), _SIDE)
    differs = mean_around((now.small - mean_around(now.small, 3)).abs(), _SIDE)
    errors = torch.bucketize((off / (differs + 0.5 / 255)).flatten(), torch.tensor(_ERRORS))
    activities = torch.bucketize(255 * differs.flatten(), torch.tensor(_ACTIVITIES))
    centre = now.small.flatten()[:, None]
    windows = torch.cat(
        [_windows(now.small) - centre, _windows(gathered) - centre, torch.ones_like(centre)], 1
    )
    classes = errors * (len(_ACTIVITIES) + 1) + activities
    return Seen(windows, phases * _CLASSES + errors, phases * _GATES + classes)


def lacking(moment: Moment) -> Tensor:
    """What the network's picture lacks, in codes: for each small sample, the large ones in its place [h*w, scale^2]."""
    apart = torch.from_numpy(moment.original.astype(np.float32) - moment.base.astype(np.float32))
    scale = len(apart) // moment.small.shape[2]
    return functional.pixel_unshuffle(apart[None, None], scale)[0].flatten(1).T


def _windows(plane: Tensor) -> Tensor:
    padded = functional.pad(plane, (_SIDE // 2,) * 4, mode="replicate")
    return functional.unfold(padded, _SIDE)[0].T


class Bank:
    """Filters by phase and match, gates by phase, match and activity. First filters are fitted, then gates, on other clips.

    A frame counts by what the network lacks there, as decibels do: or clips full of detail would decide for all.
    past: whether the filters see the past frame; without it they show what one frame alone would gain by them.
    """

    def __init__(self, scale: int, *, past: bool) -> None:
        width = 2 * _SIDE**2 + 1
        filters, self._outputs = _PHASES**2 * _CLASSES, scale**2
        self._scale, self._past = scale, past
        self._squares = torch.zeros(filters, width, width, dtype=torch.float64)
        self._products = torch.zeros(filters, width, self._outputs, dtype=torch.float64)
        self._filters = torch.zeros(filters, width, self._outputs)
        self._agreement = torch.zeros(_PHASES**2 * _GATES, 2, dtype=torch.float64)
        self._gates = torch.ones(_PHASES**2 * _GATES)

    def learn(self, now: Moment, before: Moment) -> None:
        what, missing = self._seen(now, before), lacking(now)
        weight = 1 / float(missing.square().mean() + 0.1)
        for number in what.filters.unique().tolist():
            chosen = what.filters == number
            some, wanted = what.windows[chosen].double(), missing[chosen].double()
            self._squares[number] += weight * some.T @ some
            self._products[number] += weight * some.T @ wanted

    def fit(self) -> None:
        squares, products = (
            both.unflatten(0, (_PHASES**2, _CLASSES)) for both in (self._squares, self._products)
        )
        squares = squares + _SHARED * squares.sum(1, keepdim=True)
        products = products + _SHARED * products.sum(1, keepdim=True)
        scale = squares.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] + 1e-9
        ridge = _RIDGE * scale * torch.eye(squares.shape[-1], dtype=torch.float64)
        self._filters = torch.linalg.solve(squares + ridge, products).flatten(0, 1).float()

    def weigh(self, now: Moment, before: Moment) -> None:
        """How far each filter may be believed."""
        what, missing = self._seen(now, before), lacking(now)
        added = self._added(what)
        agreement = torch.stack([(added * missing).sum(1), added.square().sum(1)], 1).double()
        self._agreement.index_add_(0, what.gates, agreement / float(missing.square().mean() + 0.1))

    def set_gates(self) -> None:
        agreement = self._agreement.unflatten(0, (_PHASES**2, _GATES))
        agreement = agreement + 0.1 * agreement.mean(0, keepdim=True)
        along, square = agreement.flatten(0, 1).T
        self._gates = (along / (square + 1e-9)).clamp(0, 1).float()

    def enlarge(self, now: Moment, before: Moment) -> np.ndarray:
        what = self._seen(now, before)
        added = self._added(what) * self._gates[what.gates][:, None]
        planes = added.T.reshape(1, self._outputs, *now.small.shape[-2:])
        large = functional.pixel_shuffle(planes, self._scale)[0, 0]
        found = torch.from_numpy(now.base.astype(np.float32)) + large
        return found.round().clamp(0, 255).byte().numpy()

    def _seen(self, now: Moment, before: Moment) -> Seen:
        what = seen(now, before)
        if not self._past:
            what.windows[:, _SIDE**2 : 2 * _SIDE**2] = 0
        return what

    def _added(self, what: Seen) -> Tensor:
        added = torch.zeros(len(what.windows), self._outputs)
        for number in what.filters.unique().tolist():
            chosen = what.filters == number
            added[chosen] = what.windows[chosen] @ self._filters[number]
        return added


def pairs(path: Path, upscaler: Upscaler, most: int) -> Iterator[tuple[Moment, Moment]]:
    before = None
    for now in moments(path, upscaler, most):
        if before is not None:
            yield now, before
        before = now


def measured(path: Path, upscaler: Upscaler, banks: dict[str, Bank], most: int) -> dict[str, float]:
    """Means over frames from the fifth on, in dB."""
    found: dict[str, list[float]] = {"network": [], **{name: [] for name in banks}}
    for number, (now, before) in enumerate(pairs(path, upscaler, most), 2):
        if number >= 5:
            found["network"].append(psnr(now.base, now.original, border=8))
            for name, bank in banks.items():
                found[name].append(psnr(bank.enlarge(now, before), now.original, border=8))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fit", nargs="+", type=Path, required=True)
    parser.add_argument("--held-out", nargs="+", type=Path, default=[])
    parser.add_argument("--check", nargs="+", type=Path, default=[], help="clips that only measure")
    parser.add_argument("--model", default="fast-x2")
    parser.add_argument("--pairs", type=int, default=10, help="of each clip that is fitted to")
    parser.add_argument("--frames", type=int, default=30, help="of each clip that is measured")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with torch.inference_mode(), Upscaler(model=given.model) as upscaler:
        banks = {name: Bank(upscaler.scale, past=name == "with_past") for name in ("one_frame", "with_past")}
        for number, path in enumerate(given.fit):
            # Gates are set on other clips than filters, or they would believe all.
            for now, before in pairs(path, upscaler, given.pairs):
                for bank in banks.values():
                    if number % 3:
                        bank.learn(now, before)
        for bank in banks.values():
            bank.fit()
        for path in given.fit[::3]:
            for now, before in pairs(path, upscaler, given.pairs):
                for bank in banks.values():
                    bank.weigh(now, before)
        found = {}
        for bank in banks.values():
            bank.set_gates()
        for kind, paths in {"held_out": given.held_out, "check": given.check}.items():
            found[kind] = {path.stem: measured(path, upscaler, banks, given.frames) for path in paths}
            for name, row in found[kind].items():
                print(kind, name, row, file=sys.stderr, flush=True)
    means = {
        kind: {
            name: round(float(np.mean([row[name] - row["network"] for row in rows.values()])), 3)
            for name in banks
        }
        for kind, rows in found.items()
        if rows
    }
    write_result(given.out, model=given.model, clips=found, mean_gain=means)


if __name__ == "__main__":
    main()
