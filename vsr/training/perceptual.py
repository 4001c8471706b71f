"""Compares pictures by the features of a network rather than pixel by pixel.

Johnson et al., "Perceptual losses for real-time style transfer and super-resolution", 2016, with layers before activation as in
ESRGAN (Wang et al., 2018). The usual features are VGG-19's (Simonyan and Zisserman, 2014), whose weights don't come with vsr.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.core.errors import WeightsError, reason

# Convolutions of each block, and their channels. Compared is the last convolution of each.
_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
# Real-ESRGAN's weights of the five blocks.
_WEIGHTS = (0.1, 0.1, 1.0, 1.0, 1.0)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """The last convolution of each of VGG-19's five blocks, before its activation, from luma [N, 1, H, W] in 0..1.

    `weights` is a .safetensors or .pth file with torchvision's names, `features.0.weight` and so on; nothing in it is
    executed. Raises WeightsError for another file. Pictures need 16 pixels a side.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [3, *(channels for count, channels in _BLOCKS for _ in range(count))]
        steps = iter(pairwise(widths))
        self._compared = []
        for count, _ in _BLOCKS:
            for _ in range(count):
                layers += [nn.Conv2d(*next(steps), 3, padding=1), nn.ReLU()]
            self._compared.append(len(layers) - 2)
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-2])
        try:
            self.load_state_dict({k: v for k, v in _read(weights).items() if k in self.state_dict()})
        except RuntimeError as error:
            raise WeightsError(
                f"{weights} does not hold VGG-19's features", hint="torchvision's vgg19 weights do"
            ) from error
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(requires_grad=False)

    def forward(self, luma: Tensor) -> list[Tensor]:
        """Five feature maps, each at half the resolution of the previous one."""
        found: list[Tensor] = []
        features = (luma.expand(-1, 3, -1, -1) - self.mean) / self.std
        for number, layer in enumerate(self.features):
            features = layer(features)
            if number in self._compared:
                found.append(features * _WEIGHTS[len(found)])
        return found


def distance(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of two pictures' features, summed over the layers. The second picture is not learnt from."""
    parts = [functional.l1_loss(a.float(), b.detach().float()) for a, b in zip(first, second, strict=True)]
    return torch.stack(parts).sum()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # A warning about other pickle protocols: it matters only whether the file can be read.
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # torch, pickle and safetensors each have their own exceptions for damaged files.
        raise WeightsError(
            f"cannot read {path}: {reason(error)}",
            hint="torchvision's vgg19 weights, .pth or .safetensors, can be",
        ) from error
    return found if isinstance(found, dict) else {}
