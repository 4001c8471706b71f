"""The discriminator of a network: it learns to tell originals from the network's results, and the network learns from it.

A U-Net with spectral normalisation that judges every pixel (Wang et al., "Real-ESRGAN", 2021; Miyato et al., "Spectral
normalization for generative adversarial networks", 2018), trained by turns with the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from vsr.training.optimizers import Adam
from vsr.training.perceptual import VggFeatures, distance
from vsr.training.recipe import GanRecipe
from vsr.training.workers import Workers


class Discriminator(nn.Module):
    """Luma [N, 1, H, W] in 0..1 to logits [N, 1, H, W], above 0 where a pixel looks original."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = [channels << level for level in range(4)]
        self.head = nn.Conv2d(1, channels, 3, padding=1)
        self.down = nn.ModuleList(
            _normalised(nn.Conv2d(a, b, 4, 2, 1, bias=False)) for a, b in pairwise(wide)
        )
        self.up = nn.ModuleList(
            _normalised(nn.Conv2d(b, a, 3, padding=1, bias=False)) for a, b in reversed(list(pairwise(wide)))
        )
        self.body = _normalised(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.tail = nn.Conv2d(channels, 1, 3, padding=1)

    def features(self, luma: Tensor) -> list[Tensor]:
        """The way down: full resolution, a half, a quarter, an eighth."""
        found = [_bent(self.head(luma))]
        for layer in self.down:
            found.append(_bent(layer(found[-1])))
        return found

    def forward(self, luma: Tensor) -> Tensor:
        *skips, up = self.features(luma)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            up = functional.interpolate(up, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            up = _bent(layer(up)) + skip
        logits: Tensor = self.tail(_bent(self.body(up)))
        return logits


class Adversary:
    """A discriminator with its optimizer. `state` names every tensor it is made of.

    `features`, if given, are used to compare pictures; otherwise the discriminator's own features are. `compute_dtype` is that
    of the convolutions. The discriminator is drawn on the CPU from torch's random state as it stands.
    """

    def __init__(
        self,
        recipe: GanRecipe,
        device: torch.device,
        workers: Workers,
        features: VggFeatures | None = None,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        self._recipe, self._workers = recipe, workers
        self._autocast = partial(
            torch.autocast, device.type, compute_dtype, enabled=compute_dtype != torch.float32
        )
        self._network = Discriminator(recipe.channels).to(device).to(memory_format=torch.channels_last)
        self._features = features.to(device) if features else None
        self._named = dict(self._network.named_parameters())
        rate = torch.tensor(recipe.lr, device=device)
        self._adam = Adam(self._named, rate)

    @property
    def state(self) -> Mapping[str, Tensor]:
        """Parameters, the vectors of the spectral norm, and Adam's."""
        return {k: v.detach() for k, v in self._network.state_dict().items()} | self._adam.state

    def judge(self, output: Tensor, target: Tensor) -> Tensor:
        """The losses of the network: being recognized by the discriminator, and differing in features from the original."""
        self._network.eval()  # The spectral norm's vectors advance where the discriminator learns, not here.
        with self._autocast():
            loss = self._recipe.weight * _cross_entropy(self._network(output), original=True)
            if self._recipe.features:
                find: Any = self._features or self._network.features
                loss = loss + self._recipe.features * distance(find(output), find(target))
        return loss.float()

    def learn(self, output: Tensor, target: Tensor) -> Tensor:
        """One step of the discriminator. Its loss: 2 ln 2 when it can only guess, 0 when nothing deceives it."""
        self._network.train()
        with self._autocast():
            real = _cross_entropy(self._network(target), original=True)
            loss = real + _cross_entropy(self._network(output.detach()), original=False)
        parameters = list(self._named.values())
        gradients = self._workers.average(torch.autograd.grad(loss, parameters))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self._adam.step()
        return loss.detach()


def _cross_entropy(logits: Tensor, *, original: bool) -> Tensor:
    return functional.softplus(-logits.float() if original else logits.float()).mean()


def _bent(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, 0.2)


def _normalised(layer: nn.Conv2d) -> nn.Module:
    made: nn.Module = parametrizations.spectral_norm(layer)
    return made
