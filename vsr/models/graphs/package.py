"""Writing model packages: all frame graphs of a network, its spec and its card."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from vsr.core.errors import ConfigError
from vsr.files.checks import make_folder, os_error
from vsr.models.graphs.colour_graph import colour_graph
from vsr.models.graphs.frame_graph import frame_graph
from vsr.models.graphs.networks import Network
from vsr.models.graphs.quantize import quantized
from vsr.models.graphs.temporal import TemporalNetwork
from vsr.models.spec import ALL_LAYOUTS, WEIGHTS_NAME, GraphLayout, ModelSpec, Precision, State, load_spec

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class PackageFacts:
    """The facts of a package that do not follow from the network: see ModelSpec."""

    id: str
    title: str
    licence: str = "Apache-2.0"
    precision: Literal["any", "fp32", "shown"] = "any"
    holds: tuple[Precision, ...] = ()
    states: tuple[State, ...] = ()
    single: str = ""
    strength: float = 1.0
    calibration: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""


def refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """Raise ConfigError for an existing folder that is no package or must stay, and for a folder that ONNX cannot open."""
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{str(folder)!r} is not UTF-8, and ONNX cannot open files with such names",
            hint="name another folder",
        ) from error
    try:
        there, package = folder.exists(), (folder / "model.toml").is_file()
    except OSError as error:
        raise os_error(str(folder), error) from error
    if there and not (overwrite and package):
        why = "exists" if overwrite else "exists; --overwrite replaces a package"
        raise ConfigError(f"{folder} {why}", hint="name a new folder")


def write_package(
    network: Network | TemporalNetwork,
    facts: PackageFacts,
    folder: Path,
    make: Callable[[GraphLayout], onnx.ModelProto] | None = None,
) -> ModelSpec:
    """Write the package into `folder`, replacing one that is there only once the new one is whole.

    `make` gives the frame graphs of a network on RGB. Raises FileError where nothing can be written.
    """
    if make is None and network.domain == "ycbcr":
        assert not isinstance(network, TemporalNetwork)
        make = partial(colour_graph, network)
    make = make or partial(frame_graph, network, exact=facts.precision != "any")
    target = folder.resolve()
    make_folder(target.parent)
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            _fill(part, network, facts, make)
            load_spec(part)  # A package that cannot be read back must not replace a good one.
            _put(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise os_error(str(folder), error) from error
    return load_spec(folder)


def _fill(
    part: Path,
    network: Network | TemporalNetwork,
    facts: PackageFacts,
    make: Callable[[GraphLayout], onnx.ModelProto],
) -> None:
    part.chmod(0o755)
    if network.weights_file:
        shutil.copyfile(network.weights_file, part / WEIGHTS_NAME)
    kernels = _kernels(network) if facts.calibration else {}
    for layout in ALL_LAYOUTS:
        model = make(layout)
        variants = {"": model}
        if facts.calibration:
            variants["-int8"] = quantized(model, kernels, facts.calibration)
        for variant, graph in variants.items():
            path = part / f"{layout.name}{variant}.onnx"
            onnx.save_model(graph, str(path))
            onnx.checker.check_model(str(path), full_check=True)
    (part / "model.toml").write_text(_spec_toml(network, facts), encoding="utf-8")
    (part / "card.md").write_text(facts.card, encoding="utf-8", errors="replace")


def _put(part: Path, folder: Path) -> None:
    """Give `part` its name; a package that has it goes only once the new one is in its place."""
    if not folder.exists():
        os.replace(part, folder)
        return
    old = part.with_name(f"{part.name}.old")
    os.replace(folder, old)
    try:
        os.replace(part, folder)
    except OSError:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _kernels(network: Network | TemporalNetwork) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load_file

    return load_file(network.weights_file) if network.weights_file else {}


def _spec_toml(network: Network | TemporalNetwork, facts: PackageFacts) -> str:
    top = {
        "id": facts.id,
        "title": facts.title,
        "scale": network.scale,
        "domain": network.domain,
        "size_multiple": network.size_multiple,
        "halo": network.halo,
        "macs_per_pixel": network.macs_per_pixel,
        "parameters": network.parameters,
        "precision": facts.precision,
        "holds": facts.holds or None,
        "states": facts.states or None,
        "single": facts.single or None,
        "strength": facts.strength if network.domain == "ycbcr" else None,
        "licence": facts.licence,
    }
    sections = {
        "calibration": facts.calibration,
        "network": network.table(),
        "training": facts.training,
        "quality": facts.quality,
    }
    lines = _toml_lines(top)
    for name, table in sections.items():
        if table:
            lines += ["", f"[{name}]", *_toml_lines(table)]
    return "\n".join(lines) + "\n"


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    """Numbers, strings, booleans and lists of them."""
    return [
        f"{key if _BARE_KEY.fullmatch(key) else _toml_value(key)} = {_toml_value(value)}"
        for key, value in table.items()
        if value is not None
    ]


def _toml_value(value: Any) -> str:
    """JSON writes most values as TOML does."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):  # File names may contain bytes that are no character.
        value = value.encode(errors="replace").decode()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
