"""PSNR of a network on evaluation sets, with the pixels it would really put out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vsr.evaluation.datasets import LumaPair, evaluate_luma, luma8
from vsr.evaluation.metrics import psnr
from vsr.evaluation.names import names_of_folders
from vsr.evaluation.resize import resize_bicubic
from vsr.media.inputs import VIDEO_SUFFIXES, files_below
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.models.archs.temporal import PlainTemporal, past_of

Luma = npt.NDArray[np.uint8]

CLIP_FRAMES = 16
"""Of each clip, from its beginning."""
CLIP_FIRST = 4
"""The first frames of a clip show what the memory is worth later: they are left out."""
CLIP_SIDE = 256
"""The most of a clip's rows and columns, in its middle."""


def upscaled_luma(network: nn.Module, luma: Luma, scale: int, size_multiple: int) -> Luma:
    """`luma` uint8 [h, w] through a luma network on its own device: uint8 [h*scale, w*scale], rounded and clipped.

    Sizes that are no multiple of `size_multiple` are padded with their edge, and the result cropped.
    """
    height, width = luma.shape
    padded = np.pad(luma, ((0, -height % size_multiple), (0, -width % size_multiple)), mode="edge")
    device = next(network.parameters()).device
    with torch.inference_mode():
        result = network(torch.from_numpy(padded).to(device)[None, None].float() / 255.0)
        pixels = (result[0, 0] * 255.0).round().clamp(0, 255).to(torch.uint8)
    array: Luma = pixels.cpu().numpy()
    return array[: height * scale, : width * scale]


def psnr_by_set(
    network: nn.Module, sets: Mapping[str, Sequence[LumaPair]], scale: int, size_multiple: int
) -> dict[str, float]:
    """Mean PSNR in dB of each set, on luma, `scale` pixels left out at each border."""

    def upscale(luma: Luma) -> Luma:
        return upscaled_luma(network, luma, scale, size_multiple)

    # Every picture has a size of its own: the search for the fastest algorithm would take longer than it saves.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
        return {
            name: evaluate_luma(upscale, pairs, scale, ("psnr",)).mean["psnr"] for name, pairs in sets.items()
        }


@dataclass(frozen=True)
class Clip:
    """Luma uint8 in both resolutions, [frames, height, width]."""

    lr: npt.NDArray[np.uint8]
    hr: npt.NDArray[np.uint8]


def load_clips(folders: Sequence[Path], scale: int, unit: int) -> dict[str, list[Clip]]:
    """The clips below each folder that has some, by the folder's name: their first frames, the middle of each. For names see
    `vsr.evaluation.names`."""
    found: dict[str, list[Clip]] = {}
    whole = list(dict.fromkeys(folder.resolve() for folder in folders))
    for name, folder in zip(names_of_folders(whole), whole, strict=True):
        for path in files_below(folder, VIDEO_SUFFIXES):
            with open_source(str(path), SourceOptions()) as source:
                frames = [luma8(frame) for frame in islice(source, CLIP_FRAMES)]
            sides = [min(side, CLIP_SIDE) // (scale * unit) * (scale * unit) for side in frames[0].shape]
            if len(frames) <= CLIP_FIRST or not min(sides):
                continue
            top, left = ((side - kept) // 2 for side, kept in zip(frames[0].shape, sides, strict=True))
            hr = np.stack([frame[top : top + sides[0], left : left + sides[1]] for frame in frames])
            lr = np.stack([resize_bicubic(np.ascontiguousarray(frame), 1 / scale) for frame in hr])
            found.setdefault(name, []).append(Clip(lr, hr))
    return found


def psnr_of_clips(network: PlainTemporal, sets: Mapping[str, Sequence[Clip]]) -> dict[str, float]:
    """Mean PSNR in dB of each set from the fifth frame on, with memory ("NAME") and reset at each frame ("NAME reset")."""
    found: dict[str, float] = {}
    for name, clips in sets.items():
        means = np.mean([_psnr_of_clip(network, clip) for clip in clips], axis=0)
        found |= {name: float(means[0]), f"{name} reset": float(means[1])}
    return found


def _psnr_of_clip(network: PlainTemporal, clip: Clip) -> tuple[float, float]:
    device, rows = next(network.parameters()).device, []
    last: tuple[torch.Tensor, torch.Tensor] | None = None
    with torch.inference_mode():
        for number, (small, large) in enumerate(zip(clip.lr, clip.hr, strict=True)):
            luma = torch.from_numpy(small).to(device)[None, None].float() / 255.0
            alone = network(luma)
            made = alone if last is None else network.step(luma, past_of(luma, *last))
            pixels = [(each * 255.0).round().clamp(0, 255) for each in (made, alone)]
            last = luma, pixels[0] / 255.0
            if number >= CLIP_FIRST:
                rows.append([psnr(each[0, 0].byte().cpu().numpy(), large) for each in pixels])
    with_memory, reset = np.mean(rows, axis=0)
    return float(with_memory), float(reset)
