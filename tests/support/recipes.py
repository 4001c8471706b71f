"""What tests of engines build."""

from __future__ import annotations

from typing import Any

from vsr.backends.tensorrt.recipe import EngineRecipe, recipe_from_dict


def recipe(**settings: Any) -> EngineRecipe:
    """A small one, for GPUs that need not be here."""
    small = {"model": "fast-x2", "width": 64, "height": 48, "compute_capabilities": ["8.9"]}
    return recipe_from_dict(small | settings)
