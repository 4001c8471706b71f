"""From the weights a training leaves to a package that runs anywhere."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy

from vsr.convert.builder import WEIGHTS_NAME
from vsr.convert.networks import ChainNetwork, Network
from vsr.convert.package import PackageFacts, write_package
from vsr.core.errors import WeightsError
from vsr.models.archs import spec_from_dict
from vsr.models.spec import ModelSpec


def package_from_weights(
    weights: Path,
    folder: Path,
    *,
    id: str,
    title: str,
    training: Mapping[str, Any],
    quality: Mapping[str, Any],
    card: str,
    licence: str = "Apache-2.0",
) -> ModelSpec:
    """Make the package of a folded network that `vsr train` wrote. Needs the extras onnx and torch.

    Raises WeightsError where the file is damaged.
    """
    try:
        with safetensors.safe_open(weights, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"cannot read {weights}: {error}") from error
    try:
        arch, hyperparameters = metadata["arch"], json.loads(metadata["hyperparameters"])
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{weights} does not say what network it is of", hint="`vsr train` writes that"
        ) from error
    with tempfile.TemporaryDirectory() as temporary:
        # Only the tensors and what they are go along: the rest of the metadata is in the spec and the card.
        bare = Path(temporary) / WEIGHTS_NAME
        kept = {key: metadata[key] for key in ("arch", "hyperparameters")}
        safetensors.numpy.save_file(tensors, bare, kept)
        spec = spec_from_dict(arch, hyperparameters)
        network: Network
        if arch == "chain":
            network = ChainNetwork(spec, bare)
        else:
            from vsr.convert.traced import TracedNetwork

            network = TracedNetwork(arch, spec, bare)
        facts = PackageFacts(id, title, licence, training=training, quality=quality, card=card)
        return write_package(network, facts, folder)
