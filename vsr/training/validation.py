"""PSNR of a network on evaluation sets, with the pixels it would really put out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vsr.evaluation.datasets import LumaPair, evaluate_luma

Luma = npt.NDArray[np.uint8]


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
