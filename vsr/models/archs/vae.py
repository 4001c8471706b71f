"""A variational autoencoder for super-resolution: one small input, several plausible results.

Kingma and Welling, "Auto-encoding variational Bayes", 2014, conditioned on the input (Sohn et al., 2015). While training, an
encoder sees the original, and describes in a few numbers the details that the small picture leaves open; the decoder gets these
numbers. Afterwards they are drawn. They hold for a whole picture and scale and shift the channels of each convolution (Perez et
al., "FiLM", 2018), so drawn once they fold into the kernels: a sample is a plain network, steady over a video.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv, initialise_for_relu, last_conv


@dataclass(frozen=True)
class VaeSpec(NetworkSpec):
    """`channels` and `depth` of the decoder's trunk, and how many numbers the `latent` has."""

    channels: int = 32
    depth: int = 6
    latent: int = 8


class VaeDecoder(LumaNetwork):
    """The network as it runs, with the latent at zero. `sampled` gives the weights for another latent."""

    def __init__(self, spec: VaeSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        widths = [1] + [spec.channels] * spec.depth
        self.convs = nn.ModuleList(conv(width, spec.channels) for width in widths)
        self.activation = nn.ReLU()
        initialise_for_relu(self.convs)
        self.tail = last_conv(spec.channels, spec.scale**2)
        # Map the latent to each channel's scale minus one, and shift. At first the latent has no effect.
        self.bends = nn.ModuleList(nn.Linear(spec.latent, 2 * spec.channels, bias=False) for _ in widths)
        for parameter in self.bends.parameters():
            nn.init.zeros_(parameter)

    def detail(self, luma: Tensor) -> Tensor:
        features = luma
        for layer in self.convs:
            features = self.activation(layer(features))
        result: Tensor = self.tail(features)
        return result

    def bent_detail(self, luma: Tensor, latent: Tensor) -> Tensor:
        """The same for a `latent` [N, latent] of each picture."""
        features = luma
        for layer, bend in zip(self.convs, self.bends, strict=True):
            scale, shift = bend(latent)[:, :, None, None].chunk(2, dim=1)
            features = self.activation(layer(features) * (1 + scale) + shift)
        result: Tensor = self.tail(features)
        return result

    @torch.no_grad()
    def sampled(self, seed: int) -> dict[str, Tensor]:
        """The state dict of a decoder whose zero is a latent drawn by `seed`."""
        state = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        like = state["bends.0.weight"]
        latent = torch.randn(like.shape[1], generator=torch.Generator().manual_seed(seed)).to(like)
        for number, bend in enumerate(self.bends):
            scale, shift = bend(latent).chunk(2)
            state[f"convs.{number}.weight"] *= (1 + scale).view(-1, 1, 1, 1)
            state[f"convs.{number}.bias"] = state[f"convs.{number}.bias"] * (1 + scale) + shift
        return state


class Vae(VaeDecoder):
    """The network as it trains: the decoder, and the encoder, which only training uses."""

    def __init__(self, spec: VaeSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.latent = spec.latent
        wide = 2 * spec.channels
        self.encoder = nn.Sequential(
            nn.Conv2d(1 + spec.scale**2, wide, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, 2, 1),
            nn.ReLU(),
            conv(wide, wide),
            nn.ReLU(),
        )
        self.told = nn.Linear(wide, 2 * spec.latent)
        for parameter in self.told.parameters():
            nn.init.zeros_(parameter)  # Training starts at the prior.

    def reconstruct(self, luma: Tensor, original: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The result for what the encoder finds in `original` [N, 1, H*scale, W*scale], blurred by `noise` [N, latent] from
        a normal distribution, and the information from the encoder: the divergence from the prior, nats a picture."""
        fast = self.compute_dtype != torch.float32
        with torch.autocast(luma.device.type, self.compute_dtype, enabled=fast):
            seen = self.encoder(torch.cat([luma, functional.pixel_unshuffle(original, self.scale)], dim=1))
        mean, log_variance = self.told(seen.float().mean(dim=(2, 3))).chunk(2, dim=1)
        latent = mean + noise * torch.exp(0.5 * log_variance)
        with torch.autocast(luma.device.type, self.compute_dtype, enabled=fast):
            detail = self.bent_detail(luma, latent)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return self.enlarged(luma, detail.float()), divergence

    def fold(self) -> dict[str, Tensor]:
        return {k: v for k, v in super().fold().items() if not k.startswith(("encoder.", "told."))}

    def load_folded(self, state: dict[str, Tensor]) -> None:
        kept = {k: v for k, v in self.state_dict().items() if k.startswith(("encoder.", "told."))}
        super().load_folded(kept | state)


VaeSpec.network = VaeDecoder
