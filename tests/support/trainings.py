"""Trainings small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vsr.core.control import Control
from vsr.training.recipe import Recipe, recipe_from_dict
from vsr.training.trainer import TrainConfig


def small(**train_settings: Any) -> Recipe:
    return recipe_from_dict(
        "small",
        {
            "scale": 2,
            "arch": {"name": "chain", "channels": 8, "depth": 2, "unshuffle": 2},
            "data": {"patch": 16, "batch": 4},
            "train": {"steps": 100, "warmup": 10, "val_every": 64, **train_settings},
        },
    )


class StopsAfter(Control):
    """A control that is stopped once it has been asked `polls` times."""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self._polls = polls

    @property
    def stopped(self) -> bool:
        self._polls -= 1
        return self._polls < 0


def config_for(pictures: Path, out: Path, recipe: Recipe, **settings: Any) -> TrainConfig:
    return TrainConfig(recipe, [pictures / "train"], out, device="cpu", **settings)
