"""Learning rate and loss over the course of a training."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vsr.training.recipe import TrainRecipe


def fraction_done(step: int, steps: int, seconds: float, limit_s: float | None) -> float:
    """The finished part of a training, 0..1: by steps, or by the clock if a limit will end it sooner."""
    by_clock = seconds / limit_s if limit_s else 0.0
    return min(1.0, max(step / steps, by_clock))


def learning_rate(recipe: TrainRecipe, step: int, fraction: float, since: int = 0) -> float:
    """Linear rise over the warm-up, then from the recipe's rate along a cosine to zero at `fraction` 1, or halved in steps.

    `since` is the step at which the optimizer started without state.
    """
    rise = min(1.0, (step - since + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "step":
        return recipe.lr * rise * 0.5 ** min(recipe.halvings, int(fraction * (recipe.halvings + 1)))
    return recipe.lr * rise * 0.5 * (1.0 + math.cos(math.pi * fraction))


def chunk_rates(
    recipe: TrainRecipe,
    first: int,
    count: int,
    seconds: float,
    step_s: float,
    limit_s: float | None,
    since: int = 0,
) -> npt.NDArray[np.float32]:
    """Learning rate and share of the mean squared error, float32 [count, 2], for steps `first`, `first` + 1, ...

    `seconds` were spent before step `first`, and each takes about `step_s`; both matter only with `limit_s`. `since` as above.
    """
    rows = []
    for index in range(count):
        fraction = fraction_done(first + index, recipe.steps, seconds + index * step_s, limit_s)
        mse = 1.0 if recipe.mse_share and fraction >= 1.0 - recipe.mse_share else 0.0
        rows.append((learning_rate(recipe, first + index, fraction, since), mse))
    return np.array(rows, dtype=np.float32)
