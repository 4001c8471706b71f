"""Which backend runs, and why not the others."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from vsr.backends.base import Availability, Backend
from vsr.core.errors import ConfigError, MissingDependencyError

# In the order `auto` prefers them without a GPU. Modules are named, not imported: a runtime loads when it is asked for.
BACKENDS: Mapping[str, str] = {
    "openvino": "vsr.backends.openvino",
    "onnxruntime": "vsr.backends.onnxruntime",
    "torch": "vsr.backends.torch.backend",
    "tensorrt": "vsr.backends.tensorrt.backend",
}
_ON_GPUS = ("tensorrt", "torch")


def load_backend(name: str) -> Backend:
    """The backend of that name. Raises ConfigError for an unknown one."""
    if name not in BACKENDS:
        raise ConfigError(f"there is no backend {name!r}", hint=f"choose auto, {', '.join(BACKENDS)}")
    backend: Backend = importlib.import_module(BACKENDS[name]).BACKEND
    return backend


def probe_backends() -> dict[str, Availability]:
    """What each backend says of this machine."""
    return {name: load_backend(name).probe() for name in BACKENDS}


def choose_backend(name: str = "auto") -> tuple[Backend, list[str]]:
    """The backend to use, and a sentence for each better one that `auto` had to pass over.

    Raises ConfigError for an unknown name, MissingDependencyError where the one that is named, or every one, cannot run here.
    """
    if name != "auto":
        backend = load_backend(name)
        availability = backend.probe()
        if availability.usable:
            return backend, []
        raise MissingDependencyError(
            f"backend {name}: {availability.reason}", hint=availability.remedy or None
        )
    passed_over: list[str] = []
    for candidate in _ON_GPUS if has_nvidia_gpu() else ():
        backend = load_backend(candidate)
        availability = backend.probe()
        if availability.on_gpu:
            return backend, passed_over
        why = "it sees no GPU" if availability.usable else availability.reason
        passed_over.append(f"{candidate} not used: {why}")
    for candidate in BACKENDS:
        backend = load_backend(candidate)
        availability = backend.probe()
        if availability.usable:
            return backend, passed_over
        passed_over.append(f"{candidate} not used: {availability.reason}")
    raise MissingDependencyError(
        "no backend is usable: " + "; ".join(passed_over), hint="`vsr doctor` tells more"
    )


def has_nvidia_gpu() -> bool:
    """Whether the driver of one is there. Asking a runtime would mean loading it, which takes seconds."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
