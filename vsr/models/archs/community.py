"""Networks of the community on RGB, to be trained further: Compact (Wang et al., "Real-ESRGAN", 2021), SPAN (Wan et al., "Swift
parameter-free attention network for efficient super-resolution", 2024) and ESRGAN (Wang et al., 2018), as spandrel has them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vsr.core.errors import ConfigError, MissingDependencyError, WeightsError, reason
from vsr.core.extras import install

KINDS = {"Compact": "compact", "SPAN": "span", "ESRGAN": "esrgan"}
"""spandrel's names, and ours in a recipe."""
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class CommunitySpec:
    """kind: "compact", "span" or "esrgan". channels: of its trunk. blocks: of an ESRGAN; of a Compact, its inner convolutions;
    a SPAN has six. unshuffle: pixels a side that an ESRGAN takes as one. norm: whether a SPAN brings colours about 0 first.
    Raises ConfigError for what makes no network."""

    scale: int
    kind: str = "compact"
    channels: int = 64
    blocks: int = 16
    unshuffle: int = 1
    norm: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS.values():
            raise ConfigError(f"kind must be one of {', '.join(KINDS.values())}, got {self.kind!r}")
        for name in ("scale", "channels", "blocks", "unshuffle"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def size_multiple(self) -> int:
        """Width and height of the input must be multiples."""
        return self.unshuffle


def spec_of(architecture: str, hyperparameters: Mapping[str, Any], scale: int) -> CommunitySpec:
    """The spec of a network that spandrel found, by its names. Raises ConfigError for one that is not trained here."""
    given = dict(hyperparameters)
    kind = KINDS.get(architecture)
    pictures = (given.get("num_in_ch", 3), given.get("num_out_ch", 3), given.get("out_nc", 3))
    if kind is None or given.get("plus") or pictures != (3, 3, 3):
        raise ConfigError(
            f"a network of type {architecture} on {pictures[0]} channels cannot be trained further here",
            hint=f"those on RGB of type {', '.join(KINDS)} can",
        )
    if kind == "compact":
        return CommunitySpec(scale, kind, given["num_feat"], given["num_conv"])
    if kind == "span":
        return CommunitySpec(scale, kind, given["feature_channels"], 6, norm=given["norm"])
    return CommunitySpec(
        scale, kind, given["num_filters"], given["num_blocks"], given.get("shuffle_factor") or 1
    )


def _built(spec: CommunitySpec) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from spandrel.architectures.Compact import Compact
            from spandrel.architectures.ESRGAN import ESRGAN
            from spandrel.architectures.SPAN import SPAN
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"networks of the community need {error.name}, which is not installed", hint=install("torch")
        ) from error
    made: nn.Module
    if spec.kind == "compact":
        made = Compact(num_feat=spec.channels, num_conv=spec.blocks, upscale=spec.scale)
    elif spec.kind == "span":
        made = SPAN(
            num_in_ch=3, num_out_ch=3, feature_channels=spec.channels, upscale=spec.scale, norm=spec.norm
        )
    else:
        made = ESRGAN(
            in_nc=3 * spec.unshuffle**2,
            num_filters=spec.channels,
            num_blocks=spec.blocks,
            scale=spec.scale * spec.unshuffle,
            shuffle_factor=spec.unshuffle if spec.unshuffle > 1 else None,
        )
    return made


class PlainCommunity(nn.Module):
    """The network as it runs: float [N, 3, H, W] in 0..1 to [N, 3, H*scale, W*scale]. A gray picture [N, 1, H, W] comes back as
    one, so that it can be measured as networks on luma are."""

    def __init__(self, spec: CommunitySpec) -> None:
        super().__init__()
        self.network = _built(spec).eval()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load weights by spandrel's names."""
        return self.network.load_state_dict(state_dict, strict, assign)

    def forward(self, picture: Tensor) -> Tensor:
        if picture.shape[1] == 3:
            larger: Tensor = self.network(picture)
            return larger
        weights = torch.tensor(_LUMA, device=picture.device).view(1, 3, 1, 1)
        gray: Tensor = (self.network(picture.repeat(1, 3, 1, 1)) * weights).sum(1, keepdim=True)
        return gray


class Community(nn.Module):
    """The network as it trains. `compute_dtype` bfloat16 runs the convolutions so, with weights in float32."""

    def __init__(self, spec: CommunitySpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.spec, self.compute_dtype = spec, compute_dtype
        self.network = _built(spec).train()
        for part in self.network.modules():  # SPAN's folded kernels, which no gradient reaches.
            part._modules.pop("eval_conv", None)

    def train(self, mode: bool = True) -> Community:
        """Stays as it is: without what its kernels are folded into, it only trains."""
        return self

    def forward(self, picture: Tensor) -> Tensor:
        fast = self.compute_dtype != torch.float32
        with torch.autocast(picture.device.type, self.compute_dtype, enabled=fast):
            larger: Tensor = self.network(picture)
        return larger.float()

    @torch.no_grad()
    def fold(self) -> dict[str, Tensor]:
        """The weights by spandrel's names: float32 on the CPU."""
        whole = _built(self.spec).eval()
        whole.load_state_dict(self.network.state_dict(), strict=False)
        for part in whole.modules():
            if "eval_conv" in part._modules:
                part.update_params()  # type: ignore[operator]
        return {
            name: tensor.detach().float().cpu().clone().contiguous()
            for name, tensor in whole.state_dict().items()
        }

    @torch.no_grad()
    def load_folded(self, state: dict[str, Tensor]) -> None:
        """Start from what `fold` gave. Raises WeightsError where it doesn't fit."""
        wanted = self.network.state_dict()
        try:
            self.network.load_state_dict({name: state[name] for name in wanted})
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"these weights are not of a network with {self.spec}: {reason(error)}"
            ) from error
