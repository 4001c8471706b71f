"""The settings that `vsr bench tune` found best on this machine, kept in the user's folder for configuration.

One JSON file for each key of hardware and versions, `tuned/KEY.json`. Other hardware and other versions have another key, so
the settings are not used there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vsr.backends.devices import parse_device
from vsr.core.errors import ConfigError, reason
from vsr.core.limits import cores
from vsr.core.tables import filled
from vsr.files.checks import make_folder
from vsr.files.ordinary import read_ordinary
from vsr.files.user import config_folder
from vsr.files.whole import write_whole
from vsr.machine.environment import cpu_flags, cpu_name, version
from vsr.models import ModelSpec, Precision

_VERSIONS = ("vsr", "openvino", "onnxruntime", "torch", "tensorrt", "tensorrt-rtx", "av")
_MOST = 1024
_NVIDIA = Path("/proc/driver/nvidia")
_ASSUMED: ContextVar[Tuned | None] = ContextVar("assumed", default=None)


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best settings of a network. 0 or None: vsr's own choice. threads: of the network. in_flight: frames in progress at
    once. batch: frames in a run. encoder_threads: of a software encoder. workers: processes that work on segments; each chooses
    its own settings for its share of the machine.

    backend, device: where the settings were found; this device is used if neither is named. package: hash of the model package.
    fps: frames per second it was found to make, and fps_before without it.
    """

    threads: int = 0
    in_flight: int | None = None
    batch: int | None = None
    precision: Precision | None = None
    encoder_threads: int = 0
    workers: int = 0
    backend: str = ""
    device: str = ""
    package: str = ""
    fps: float = 0.0
    fps_before: float = 0.0

    def __post_init__(self) -> None:
        parse_device(self.device or "auto")
        for name in ("threads", "in_flight", "batch", "encoder_threads", "workers"):
            value = getattr(self, name)
            least = 1 if name in ("in_flight", "batch") else 0
            if value is not None and not least <= value <= _MOST:
                raise ConfigError(f"{name} {value} is out of range")

    def __str__(self) -> str:
        chosen = [
            f"{name.replace('_', ' ')} {value}"
            for name in ("threads", "in_flight", "batch", "precision", "encoder_threads", "workers")
            if (value := getattr(self, name))
        ]
        if self.device.partition(":")[0] in ("gpu", "npu"):
            chosen.insert(0, f"on {self.device}")
        return ", ".join(chosen) or "vsr's own choices are the fastest"


@dataclass(frozen=True, slots=True)
class TunedFile:
    """The content of one file. machine: the hardware and versions of its key. networks: by the model's name."""

    machine: Mapping[str, str]
    networks: Mapping[str, Tuned]


def tuned_for(spec: ModelSpec, backend: str, device: str | None) -> Tuned:
    """The kept settings of a network on this machine, an empty Tuned if there are none. device: None for any. Raises
    ConfigError for a damaged file."""
    if (assumed := _ASSUMED.get()) is not None:
        return assumed
    if not _folder().is_dir():
        return Tuned()
    path = _folder() / f"{_key(machine())}.json"
    kept = read(path).networks.get(spec.id) if path.exists() else None
    same = kept and (kept.backend, kept.package) == (backend, spec.numbers_hash)
    return kept if kept and same and device in (None, kept.device) else Tuned()


@contextlib.contextmanager
def assumed(tuned: Tuned) -> Generator[None]:
    """Let networks that are made meanwhile, on this thread, run as `tuned` says, whatever is kept."""
    token = _ASSUMED.set(tuned)
    try:
        yield
    finally:
        _ASSUMED.reset(token)


def keep(spec: ModelSpec, tuned: Tuned) -> Path:
    """Keep the settings of a network on this machine. The settings of other networks stay, unless the file is damaged.
    Raises FileError."""
    here = machine()
    path = _folder() / f"{_key(here)}.json"
    make_folder(path.parent)
    try:
        others = dict(read(path).networks) if path.exists() else {}
    except ConfigError:
        others = {}
    networks = {
        name: {field: value for field, value in asdict(each).items() if value is not None}
        for name, each in {**others, spec.id: tuned}.items()
    }
    text = json.dumps({"machine": here, "networks": networks}, indent=2, sort_keys=True)
    write_whole(path, f"{text}\n".encode())
    return path


def kept_here() -> tuple[Path, Mapping[str, Tuned], int]:
    """(this machine's file, what it holds, how many files there are of other hardware or versions).

    Raises ConfigError for a file that is damaged.
    """
    path = _folder() / f"{_key(machine())}.json"
    others = sum(1 for other in _folder().glob("*.json") if other != path) if _folder().is_dir() else 0
    return path, read(path).networks if path.exists() else {}, others


def read(path: Path) -> TunedFile:
    """Raises ConfigError for another file."""
    try:
        values = json.loads(read_ordinary(path))
        if not isinstance(values, dict):
            raise ConfigError("it holds no table")
        networks = values.pop("networks", {})
        if not isinstance(networks, dict):
            raise ConfigError("networks is not a table")
        return TunedFile(
            dict(values.get("machine", {})), {name: filled(Tuned, each) for name, each in networks.items()}
        )
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        said = error.message if isinstance(error, ConfigError) else reason(error)
        raise ConfigError(
            f"{path} is damaged: {said}", hint="delete it, or let `vsr bench tune` write it again"
        ) from error


def machine() -> dict[str, str]:
    """The hardware and versions that a tuning holds for."""
    return {
        "cpu": cpu_name(),
        "flags": " ".join(cpu_flags()),
        "cores": str(cores()),
        "gpu": ", ".join(_nvidia_gpus()),
        **{name: installed for name in _VERSIONS if (installed := version(name))},
    }


def _nvidia_gpus() -> list[str]:
    """The names of NVIDIA GPUs, from the driver's files on Linux; nvidia-smi would take a second."""
    found = []
    for path in sorted(_NVIDIA.glob("gpus/*/information")):
        with contextlib.suppress(OSError):
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found


def _folder() -> Path:
    return config_folder() / "tuned"


def _key(here: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(here, sort_keys=True).encode()).hexdigest()[:16]
