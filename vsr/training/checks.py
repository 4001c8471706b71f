"""Checks of a training: before its first step, when it is resumed, and if memory is too short."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.spec import WEIGHTS_NAME
from vsr.training import checkpoint as disk
from vsr.training.config import TrainConfig
from vsr.training.recipe import Recipe, differing, recipe_from_dict

# Entries of [train] that may change when a training is resumed, because no earlier step depends on them.
_MAY_CHANGE = ("steps", "val_every")
_SHOWN = 4
# Parts of torch's messages for lack of memory on each device, and for sizes beyond any number.
_NO_MEMORY = ("allocate", "out of memory", "not enough memory", "verflow")


def check(config: TrainConfig) -> None:
    """Raise ConfigError for settings that cannot work."""
    for limit in (config.time_limit_s, config.stop_after_s):
        if limit is not None and not 0 < limit < math.inf:
            raise ConfigError(f"a time must be positive and finite, got {limit} s")
    recipe = config.recipe
    if recipe.train.rounded and recipe.arch != "chain":
        raise ConfigError(f"rounded trains a chain, not {recipe.arch}", hint="leave it out of [train]")
    if recipe.gan and config.init is None and not config.resume:
        raise ConfigError(
            "training against an adversary starts from a trained network", hint="--init WEIGHTS"
        )
    if config.continued and (config.init is None or config.resume):
        raise ConfigError("--continue needs --init with the packed training", hint="--init FILE --continue")
    if config.vgg is not None and not (recipe.gan and recipe.gan.features):
        raise ConfigError(
            "VGG-19's weights are for a recipe with features under [gan]", hint="leave --vgg out"
        )


def check_existing(config: TrainConfig, checkpoint: Path) -> None:
    """Raise ConfigError where there is nothing to resume, or something that would be lost."""
    if config.resume:
        if not checkpoint.exists():
            raise ConfigError(f"nothing to resume: no {checkpoint}", hint="leave --resume out to start")
        return
    if checkpoint.exists():
        raise ConfigError(f"{checkpoint} exists already", hint="--resume continues it")
    # Weights without a checkpoint, or weights of a model package, cannot be made again.
    for name in (WEIGHTS_NAME, "model.toml"):
        if (config.out / name).exists():
            raise ConfigError(f"{config.out / name} exists already", hint="name another folder")


def check_same_recipe(stored: Mapping[str, Any], recipe: Recipe, checkpoint: Path) -> None:
    """Raise WeightsError where the recipe a training was started with differs from the one it is to go on with."""
    try:
        before = recipe_from_dict(recipe.name, {k: v for k, v in stored.items() if k != "name"})
    except ConfigError as error:
        raise WeightsError(f"the recipe in {checkpoint} cannot be used: {error.message}") from error
    apart = differing(_decisive(before), _decisive(recipe))
    if apart:
        more = f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
        raise WeightsError(
            f"{checkpoint} was started with another recipe: {', '.join(apart[:_SHOWN])}{more}",
            hint=f"resume with the recipe it was started with; {' and '.join(_MAY_CHANGE)} may change",
        )


def check_same_features(before: str | None, now: str, checkpoint: Path) -> None:
    """Raise WeightsError if a resumed training would compare pictures by other features. `before` is None if the checkpoint
    does not name them, as older ones."""
    if before is not None and before != now:
        raise WeightsError(
            f"{checkpoint} was started with a perceptual loss by {before}",
            hint="leave --vgg out" if now.startswith("VGG") else "give --vgg again",
        )


def _decisive(recipe: Recipe) -> dict[str, Any]:
    table = recipe.as_dict()
    train = {key: value for key, value in table["train"].items() if key not in _MAY_CHANGE}
    return {key: value for key, value in table.items() if key != "name"} | {"train": train}


def warn_of_other_pictures(out: Path, count: int, warn: Callable[[str], None]) -> None:
    """Warn if a resumed training finds more or fewer pictures than before, by the weights beside its checkpoint."""
    with contextlib.suppress(WeightsError, KeyError, TypeError, ValueError, OverflowError):
        before = int(json.loads(disk.load_tensors(out / WEIGHTS_NAME)[1]["pictures"]))
        if before != count:
            warn(f"{count} pictures; the training began with {before}, so its result will differ")


@contextlib.contextmanager
def affordable(what: str) -> Generator[None]:
    """Raise ConfigError that names `what` if memory runs out inside."""
    try:
        yield
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        torchs = isinstance(error, (RuntimeError, TypeError))
        if torchs and not any(word in str(error) for word in _NO_MEMORY):
            raise
        raise ConfigError(f"there is no memory for {what}", hint="take smaller values") from error
