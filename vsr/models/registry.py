"""Names to packages. The list of shipped ones is written out, so importing it reads no disk."""

from __future__ import annotations

import difflib
from pathlib import Path

from vsr.core.errors import ConfigError, UnknownModelError
from vsr.models.spec import ModelSpec, load_spec

SHIPPED = ("fast-x2", "balanced-x2", "bicubic-x2")
# Shorter names for the same.
ALIASES = {"bicubic": "bicubic-x2", "fast": "fast-x2", "balanced": "balanced-x2"}
# What `auto` takes for files on a machine without a GPU.
DEFAULT = "balanced-x2"

_PACKAGES = Path(__file__).parent / "packages"


def shipped_models() -> list[ModelSpec]:
    """The specs of all shipped packages, lightest last."""
    return [load_spec(_PACKAGES / name) for name in SHIPPED]


def find_model(name: str) -> ModelSpec:
    """The spec of a model by its name, `auto`, or the path of a package folder.

    Raises UnknownModelError with the nearest names, WeightsError for a damaged package.
    """
    name = DEFAULT if name == "auto" else ALIASES.get(name, name)
    if name in SHIPPED:
        return load_spec(_PACKAGES / name)
    if not name:
        raise ConfigError("the model name is empty", hint="`vsr model list` shows the models")
    folder = Path(name)
    if folder.is_dir():
        return load_spec(folder)
    near = difflib.get_close_matches(name, [*SHIPPED, *ALIASES], n=2)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    raise UnknownModelError(f"there is no model {name!r}", hint=f"{guess}`vsr model list` shows the models")
