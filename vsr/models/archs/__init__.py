"""The torch architectures, by name. An architecture's file is imported when it is asked for, and torch with it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsr.core.errors import ConfigError, MissingDependencyError
from vsr.core.extras import install
from vsr.core.tables import checked, filled


@dataclass(frozen=True)
class Architecture:
    """The module and the class names of an architecture, as strings so that listing them loads nothing.

    In `module`: `spec` is the dataclass of hyperparameters, `trainable` the nn.Module built from one that is trained and
    has `fold()`, `plain` the one that runs and loads what `fold()` gives.
    """

    module: str
    spec: str
    trainable: str
    plain: str

    def load(self, name: str) -> Any:
        """The class called `name` in the architecture's module. Raises MissingDependencyError without torch."""
        try:
            return getattr(importlib.import_module(self.module), name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingDependencyError("this needs torch", hint=install("torch")) from error


WITH_MEMORY = "temporal"
"""Of networks that also take the frame before."""

ARCHITECTURES: Mapping[str, Architecture] = {
    "chain": Architecture("vsr.models.archs.chain", "ChainSpec", "Chain", "PlainChain"),
    "colour": Architecture("vsr.models.archs.colour", "ColourSpec", "Colour", "PlainColour"),
    "gated": Architecture("vsr.models.archs.gated", "GatedSpec", "Gated", "PlainGated"),
    WITH_MEMORY: Architecture("vsr.models.archs.temporal", "TemporalSpec", "Temporal", "PlainTemporal"),
    **{
        name: Architecture(f"vsr.models.archs.{name}", f"{name.title()}Spec", name.title(), name.title())
        for name in ("srcnn", "espcn", "encdec", "edsr", "compact", "rrdb", "rcan", "separable")
    },
    "vae": Architecture("vsr.models.archs.vae", "VaeSpec", "Vae", "VaeDecoder"),
}

COMMUNITY = "community"
"""Of networks of the community on RGB, which are trained further; all others are on luma."""
_COMMUNITY = Architecture("vsr.models.archs.community", "CommunitySpec", "Community", "PlainCommunity")


def architecture_of(name: str) -> Architecture:
    """The architecture of that name. Raises ConfigError for an unknown one."""
    if name == COMMUNITY:
        return _COMMUNITY
    try:
        return ARCHITECTURES[name]
    except (KeyError, TypeError):
        raise ConfigError(
            f"no architecture {name!r}", hint=f"there are: {', '.join([*ARCHITECTURES, COMMUNITY])}"
        ) from None


def spec_from_dict(name: str, hyperparameters: Mapping[str, Any]) -> Any:
    """The spec of architecture `name` from plain values, as read from TOML or JSON.

    Raises ConfigError for an unknown architecture, an unknown or missing hyperparameter, or one of the wrong type.
    """
    architecture = architecture_of(name)
    return filled(
        architecture.load(architecture.spec),
        checked(f"{name}: hyperparameters", hyperparameters, Mapping[str, Any]),
        f"{name}: ",
    )
