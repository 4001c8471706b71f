"""Weights of a trained network as the beginning of a training."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs import COMMUNITY, architecture_of, spec_from_dict
from vsr.models.archs.growing import grown, grown_gated
from vsr.models.archs.temporal import from_chain
from vsr.models.registry import CHECKPOINT_SUFFIXES, find_model
from vsr.models.spec import WEIGHTS_NAME
from vsr.training.checkpoint import CHECKPOINT, load_tensors, standing
from vsr.training.config import TrainConfig
from vsr.training.recipe import Recipe, recipe_from_dict


def weights_of(init: Path, scale: int) -> Path:
    """The file of weights itself, or that in a folder or in the model of that name. Raises UnknownModelError."""
    if init.is_file() or init.suffix == Path(WEIGHTS_NAME).suffix:
        return init
    return (init if init.is_dir() else find_model(str(init), scale).folder) / WEIGHTS_NAME


def suited(config: TrainConfig) -> Recipe:
    """The recipe; one for networks of the community with the network that `init` holds, or that a resumed training has.

    Raises ConfigError where neither tells, WeightsError for a file that spandrel knows no network of.
    """
    recipe = config.recipe
    if recipe.arch != COMMUNITY:
        return recipe
    if config.resume:
        path = (config.checkpoints or config.out) / CHECKPOINT
        if not path.exists():
            return recipe  # Reported later, by the check of everything that is needed to resume.
        told = recipe_from_dict(recipe.name, {k: v for k, v in _stored(path).items() if k != "name"})
        return replace(recipe, scale=told.scale, spec=told.spec)
    if config.init is None or not config.init.is_file():
        raise ConfigError(
            f"{recipe.name} trains a network of the community further",
            hint="name its checkpoint: --init FILE",
        )
    from vsr.convert.community import known
    from vsr.models.archs.community import spec_of

    found = known(config.init)
    try:
        spec = spec_of(found.architecture.id, found.model.hyperparameters, found.scale)
    except ConfigError as error:
        raise WeightsError(f"{config.init}: {error.message}", hint=error.hint) from error
    return replace(recipe, scale=spec.scale, spec=spec)


def _stored(checkpoint: Path) -> dict[str, Any]:
    return standing(checkpoint, load_tensors(checkpoint)[1]).recipe


def begin_with(network: Any, init: Path, recipe: Recipe) -> None:
    """Give `network` the weights of `init`, a file, a folder with one or a model: of the same network, or of a chain or gated
    network that grows into it. A network with memory also begins as a chain of its size, the luma of one in colour as a chain.

    A smaller network is what the larger one then computes; one of another scale gives all but the last layer. Raises
    WeightsError for others, ConfigError for a network that does not grow into this one, UnknownModelError.
    """
    if recipe.arch == COMMUNITY:
        from vsr.convert.community import known

        network.load_folded(dict(known(init).model.state_dict()))
        return
    init = weights_of(init, recipe.scale)
    if init.suffix.lower() in CHECKPOINT_SUFFIXES and init.suffix.lower() != Path(WEIGHTS_NAME).suffix:
        raise WeightsError(
            f"{init} is not of a network that {recipe.name} trains",
            hint="the recipe `finetune` trains networks of the community further",
        )
    weights, facts = load_tensors(init)
    arch = facts.get("arch", recipe.arch)
    if (arch, recipe.arch) == ("chain", "temporal"):
        network.load_folded(from_chain(recipe.spec, weights))
        return
    if arch != recipe.arch and (arch, recipe.arch) != ("chain", "colour"):
        raise WeightsError(
            f"{init} is of {arch}, and the recipe trains {recipe.arch}", hint="take weights of its own"
        )
    try:
        network.load_folded(_of_this_size(network, weights, facts, recipe, arch))
    except WeightsError as error:
        raise WeightsError(
            f"{init}: {error.message}",
            hint="take the weights.safetensors of a training by this recipe; no checkpoint will do",
        ) from error


def _of_this_size(
    network: Any, weights: dict[str, Tensor], facts: dict[str, str], recipe: Recipe, arch: str
) -> dict[str, Tensor]:
    if arch not in _GROW or "hyperparameters" not in facts:
        return weights
    try:
        small = spec_from_dict(arch, json.loads(facts["hyperparameters"]))
    except (ConfigError, ValueError) as error:
        raise WeightsError(f"it does not name its network: {error}") from error
    if small == recipe.spec:
        return weights
    architecture = architecture_of(arch)
    # Check that the weights fit the network that the file states, because growing relies on it.
    architecture.load(architecture.trainable)(small).load_folded(weights)
    return _GROW[arch](weights, small, recipe.spec, network.fold())


_GROW: dict[str, Callable[..., dict[str, Tensor]]] = {"chain": grown, "gated": grown_gated}
