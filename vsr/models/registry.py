"""Names to packages. The list of shipped ones is written out, so importing it reads no disk."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from vsr.core.errors import ConfigError, UnknownModelError, WeightsError
from vsr.files.checks import is_folder
from vsr.files.user import data_folder
from vsr.models.auto import Rule, Use, auto_family
from vsr.models.spec import ModelSpec, load_spec

Temporal = Literal["auto", "on", "off"]
"""Whether a network with memory takes the place of the one without: off, never; on, for video always."""

# A family name picks its member by scale.
FAMILIES: Mapping[str, Mapping[int, str]] = {
    "balanced": {2: "balanced-x2", 4: "balanced-x4"},
    "fast": {2: "fast-x2"},
    "tiny": {2: "tiny-x2"},
    "quality": {2: "quality-x2", 4: "quality-x4"},
    "restore": {2: "restore-x2", 4: "restore-x4"},
    "anime": {2: "anime-x2"},
    "temporal": {2: "temporal-x2", 4: "temporal-x4"},
    "bicubic": {2: "bicubic-x2", 3: "bicubic-x3", 4: "bicubic-x4"},
}
SHIPPED = tuple(name for family in FAMILIES.values() for name in family.values())

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
"""Of networks that `vsr model import` reads by spandrel."""
NCNN_SUFFIX = ".param"
"""Of ncnn's networks, whose weights lie beside it in a .bin."""
_NETWORKS = (".onnx", NCNN_SUFFIX, *CHECKPOINT_SUFFIXES)
_PACKAGES = Path(__file__).parent / "packages"


def shipped_models() -> list[ModelSpec]:
    """The specs of all shipped packages."""
    return [load_spec(_PACKAGES / name) for name in SHIPPED]


def own_models() -> list[ModelSpec]:
    """The specs of the user's complete packages."""
    found = []
    for path in sorted(models_folder().glob("*/model.toml")):
        with contextlib.suppress(WeightsError):  # A damaged package is reported when it is asked for.
            found.append(load_spec(path.parent))
    return found


def all_models() -> list[ModelSpec]:
    """The models that come with vsr, then the user's own."""
    return shipped_models() + own_models()


def models_folder() -> Path:
    """The folder of the user's packages by name: VSR_MODELS, or vsr/models in the user's folder for data."""
    if chosen := os.environ.get("VSR_MODELS"):
        return Path(chosen).expanduser()
    return data_folder() / "models"


def package_folder(target: str) -> Path:
    """The folder of a package to be made: of the user's models for a bare name, else `target` as a path.

    Raises ConfigError for the name of a shipped model.
    """
    if Path(target).name != target:
        return Path(target)
    if target in ("auto", *SHIPPED, *FAMILIES):
        raise ConfigError(f"{target} is a model that comes with vsr", hint="take another name")
    return models_folder() / target


def with_memory(spec: ModelSpec) -> ModelSpec | None:
    """The network with memory whose `single` is this one; None if there is none."""
    others = (other for other in all_models() if other.states)
    return next((other for other in others if (other.single, other.scale) == (spec.id, spec.scale)), None)


def for_use(spec: ModelSpec, temporal: Temporal, use: Use) -> ModelSpec:
    """The network that runs where this one is named: with memory, without, or as it is. Pictures are for networks without.

    Raises ConfigError if there is no network with memory, and the errors of `find_model` if there is no network without.
    """
    if use == "picture" or temporal == "off":
        return find_model(spec.single) if spec.states and spec.single != spec.id else spec
    if temporal == "on" and not spec.states:
        found = with_memory(spec)
        if found is None:
            there = dict.fromkeys(other.single for other in all_models() if other.states)
            raise ConfigError(
                f"{spec.id} has no network with memory",
                hint="leave out --temporal on" + (f", or take --model {' or '.join(there)}" if there else ""),
            )
        return found
    return spec


def find_model(
    name: str, scale: float = 2.0, use: Use = "video", *, on_gpu: bool = False, rule: Rule | None = None
) -> ModelSpec:
    """Find a model by its name (one of vsr's or one of the user's), `auto`, a family's name, or the path of a package folder.
    Several of these, separated by commas, are a chain, in which a family gives its member for x2.

    Of a family, the member with the smallest scale that reaches `scale` is chosen, otherwise its largest, which then runs
    repeatedly. `use`, `on_gpu` and `rule` matter for `auto` only. Raises UnknownModelError with the nearest names, and for a
    chain whose scale is too large; WeightsError for a damaged package; ConfigError for a path that cannot be searched; and the
    errors of `chained`.
    """
    family = FAMILIES.get(auto_family(use, on_gpu=on_gpu, rule=rule)[0] if name == "auto" else name)
    if family:
        name = family[min((member for member in family if member >= scale), default=max(family))]
    if name in SHIPPED:
        return load_spec(_PACKAGES / name)
    if name and Path(name).name == name and is_folder(models_folder() / name):
        return load_spec(models_folder() / name)
    if name and is_folder(Path(name)):
        return load_spec(Path(name))
    if "," in name:
        from vsr.models.chains import chained

        return chained([find_model(part.strip(), 2.0, use, on_gpu=on_gpu) for part in name.split(",")])
    if Path(name).suffix.lower() in _NETWORKS:
        raise UnknownModelError(
            f"{name!r} is not a model package", hint=f"`vsr model import {name} NAME` makes one from it"
        )
    own = [spec.id for spec in own_models()]
    near = difflib.get_close_matches(name, [*SHIPPED, *FAMILIES, *own], n=2)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    raise UnknownModelError(f"there is no model {name!r}", hint=f"{guess}`vsr model list` shows the models")
