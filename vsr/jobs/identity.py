"""The values that a job's output depends on: the input, the options, the model and vsr itself, by names that users know."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError, SourceOpenError, reason
from vsr.core.version import __version__
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.journal import Identity
from vsr.jobs.size import OutputSize
from vsr.media.types import SinkOptions, SourceOptions
from vsr.models import ModelSpec
from vsr.upscale.options import NetworkOptions

_HASHED_BYTES = 1 << 20
# These options change the speed, but no picture; of the network with memory, the model tells. The size of the sink follows
# from the size of the job.
_NOT_SEEN = frozenset({"threads", "batch", "build", "overwrite", "size", "temporal"})
_NAMES = {"container_format": "--format", "encoder_options": "--encoder-option"}


SEGMENT = "--segment"


def identity(config: UpscaleConfig, path: Path, spec: ModelSpec, backend: str, device: str) -> Identity:
    """The identity of a job whose input is a file. Raises SourceOpenError if the file cannot be read."""
    return {
        **input_identity(path),
        **options_of(config),
        SEGMENT: config.segment,
        "vsr": __version__,
        "model": spec.id,
        "files of the model": _hash_of_folder(spec.folder),
        "backend": backend,
        "device": device,
    }


def input_identity(path: Path) -> Identity:
    """A file's path, and facts that show a change of it: its size, its time, and a hash of its first and last MiB. Raises
    SourceOpenError."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            checked = hashlib.sha256(file.read(_HASHED_BYTES))
            file.seek(max(0, found.st_size - _HASHED_BYTES))
            checked.update(file.read(_HASHED_BYTES))
    except OSError as error:
        raise SourceOpenError(f"{path}: {reason(error)}", hint="check the file") from error
    return {
        "input": str(path.absolute()),
        "bytes of the input": found.st_size,
        "time of the input's last change (ns)": found.st_mtime_ns,
        "beginning and end of the input": checked.hexdigest()[:16],
    }


def options_of(config: UpscaleConfig) -> Identity:
    """The options that change the output. Several devices are of one kind, and count as the first."""
    first = replace(config.network, device=config.devices[0])
    values = config_values(replace(config, network=first))
    values.pop("size")
    size = config.size
    named: dict[str, str | int | float | None] = {"--size": str(OutputSize.read(size)) if size else None}
    for part in values.values():
        for name, value in part.items():
            if name not in _NOT_SEEN:
                named[_NAMES.get(name, "--" + name.removesuffix("_s").replace("_", "-"))] = _plain(value)
    return named


def _plain(value: Any) -> str | int | float | None:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={item}" for key, item in sorted(value.items())) or None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _hash_of_folder(folder: Path) -> str:
    """A hash of the names and bytes of all files in a folder."""
    checked = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            checked.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return checked.hexdigest()[:16]


def differences(then: Identity, now: Identity) -> list[str]:
    """The changed values, by name, in words."""
    names = dict.fromkeys((*then, *now))
    return [
        f"{name} was {_said(then.get(name))}, is {_said(now.get(name))}"
        for name in names
        if then.get(name) != now.get(name)
    ]


def check_same(folder: Path, then: Identity, now: Identity) -> None:
    """Raise ConfigError if the job in that folder was begun with other values."""
    if changed := differences(then, now):
        raise ConfigError(
            f"{folder} was begun otherwise: {'; '.join(changed)}",
            hint="give the same options, or discard the finished segments with --restart",
        )


def check_unchanged(path: Path, then: Identity) -> None:
    """Raise ConfigError if an input has changed since its job began: segments of two versions would be joined."""
    now = input_identity(path)
    if changed := differences({name: then[name] for name in now}, now):
        raise ConfigError(
            f"{path} has changed while it was worked on: {'; '.join(changed)}",
            hint="--restart discards it and begins again",
        )


def _said(value: str | int | float | None) -> str:
    return "not given" if value is None else str(value)


def config_values(config: UpscaleConfig) -> dict[str, Any]:
    """The part of a configuration that is needed to join a job, for JSON."""
    values = {
        "network": asdict(config.network),
        "source": asdict(config.source),
        "sink": asdict(config.sink),
        "size": config.size,
    }
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def config_from(values: Mapping[str, Any], url: str, output: str) -> UpscaleConfig:
    """The configuration of a job, as its journal has it. Raises TypeError, KeyError, ValueError, ConfigError."""
    rate = values["source"]["frame_rate"]
    source = {**values["source"], "frame_rate": Fraction(rate) if rate else None}
    return UpscaleConfig(
        inputs=(url,),
        output=output,
        network=NetworkOptions(**values["network"]),
        size=tuple(values["size"]) if isinstance(values["size"], list) else values["size"],
        source=SourceOptions(**source),
        sink=SinkOptions(**values["sink"]),
    )
