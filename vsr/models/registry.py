"""Names to packages. The list of shipped ones is written out, so importing it reads no disk."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from vsr.core.errors import UnknownModelError
from vsr.models.spec import ModelSpec, load_spec

# A family name picks its member by scale. `auto` is `balanced`, the best there is for files without a GPU.
FAMILIES: Mapping[str, Mapping[int, str]] = {
    "balanced": {2: "balanced-x2"},
    "fast": {2: "fast-x2"},
    "bicubic": {2: "bicubic-x2", 3: "bicubic-x3", 4: "bicubic-x4"},
}
SHIPPED = tuple(name for family in FAMILIES.values() for name in family.values())

_PACKAGES = Path(__file__).parent / "packages"


def shipped_models() -> list[ModelSpec]:
    """The specs of all shipped packages."""
    return [load_spec(_PACKAGES / name) for name in SHIPPED]


def find_model(name: str, scale: float = 2.0) -> ModelSpec:
    """The spec of a model by its name, `auto`, a family's name, or the path of a package folder.

    Of a family, the member with the smallest scale that reaches `scale` is taken, else its largest, to be run repeatedly.
    Raises UnknownModelError with the nearest names, WeightsError for a damaged package.
    """
    family = FAMILIES.get("balanced" if name == "auto" else name)
    if family:
        name = family[min((member for member in family if member >= scale), default=max(family))]
    if name in SHIPPED:
        return load_spec(_PACKAGES / name)
    if name and Path(name).is_dir():
        return load_spec(Path(name))
    near = difflib.get_close_matches(name, [*SHIPPED, *FAMILIES], n=2)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    raise UnknownModelError(f"there is no model {name!r}", hint=f"{guess}`vsr model list` shows the models")
