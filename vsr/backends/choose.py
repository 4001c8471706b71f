"""Chooses the backend and the device, and says why the others are not used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from vsr.backends.base import Availability, Backend
from vsr.backends.devices import full_name, listed
from vsr.backends.watched import WatchedBackend
from vsr.core.errors import ConfigError, MissingDependencyError

# Backends in the order `auto` prefers them without a GPU. Modules are named, not imported: a runtime loads at its first use.
BACKENDS: Mapping[str, str] = {
    "openvino": "vsr.backends.openvino",
    "onnxruntime": "vsr.backends.onnxruntime",
    "torch": "vsr.backends.torch.backend",
    "tensorrt": "vsr.backends.tensorrt.backend",
}
_ON_GPUS = ("tensorrt", "torch")
WATCHED = ("gpu", "npu")
"""Kinds of devices that no test has run on: their results for the first frames are compared with float32."""


def load_backend(name: str) -> Backend:
    """The backend of that name, on the device it prefers. Raises ConfigError for an unknown one."""
    if name not in BACKENDS:
        raise ConfigError(f"there is no backend {name!r}", hint=f"choose auto, {', '.join(BACKENDS)}")
    backend: Backend = importlib.import_module(BACKENDS[name]).BACKEND
    return backend


def probe_backends() -> dict[str, Availability]:
    """The availability of each backend on this machine."""
    return {name: load_backend(name).probe() for name in BACKENDS}


def devices_here(names: Iterable[str] = BACKENDS) -> dict[str, dict[str, str]]:
    """The devices of this machine by name; for each, the backends that see it, and their descriptions."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        for device, what in load_backend(name).devices().items():
            found.setdefault(device, {})[name] = what
    return dict(sorted(found.items()))


def choose_backend(
    name: str = "auto", device: str = "auto", *, measured: str = "cpu"
) -> tuple[Backend, list[str]]:
    """The backend to use, and a sentence for each better backend that `auto` had to pass over. More sentences are added to that
    list if a device turns out to be unfit.

    device: see vsr.backends.devices. measured: the device that measuring found OpenVINO to be fastest on here; it is taken
    where neither backend nor device are named and there is no NVIDIA GPU, and the processor where it fails.
    Raises ConfigError for an unknown name, and for a backend that does not run on such devices; MissingDependencyError where
    the backend or the device that is named, or every one, cannot be used here.
    """
    passed_over: list[str] = []
    if device == "auto" and name == "auto":
        backend = _best(passed_over)
        if measured != "cpu" and (backend.name, backend.device) == ("openvino", "cpu"):
            faster = backend.on(full_name(measured))
            if (availability := faster.probe()).usable:
                return WatchedBackend(faster, backend, passed_over), passed_over
            passed_over.append(f"{faster.device} not used: {availability.reason}")
        return backend, passed_over
    if device == "auto":
        return _usable(load_backend(name)), passed_over
    device = full_name(device)
    kind = device.partition(":")[0]
    if name != "auto":
        backend = load_backend(name)
        if kind not in backend.kinds:
            raise ConfigError(
                f"{name} runs on {' or '.join(backend.kinds)}, not on {device}", hint=_what_is_here()
            )
        backend = _usable(backend.on(device))
    else:
        backend = _best_on(device, passed_over)
    return (WatchedBackend(backend, None, passed_over) if kind in WATCHED else backend), passed_over


def _usable(backend: Backend) -> Backend:
    availability = backend.probe()
    if availability.usable:
        return backend
    raise MissingDependencyError(
        f"backend {backend.name}: {availability.reason}", hint=availability.remedy or None
    )


def _best(passed_over: list[str]) -> Backend:
    for candidate in _ON_GPUS if has_nvidia_gpu() else ():
        backend = load_backend(candidate)
        availability = backend.probe()
        if availability.on_gpu:
            return backend
        why = "it sees no GPU" if availability.usable else availability.reason
        passed_over.append(f"{candidate} not used: {why}")
    for candidate in BACKENDS:
        backend = load_backend(candidate)
        availability = backend.probe()
        if availability.usable:
            return backend
        passed_over.append(f"{candidate} not used: {availability.reason}")
    raise MissingDependencyError(
        "no backend is usable: " + "; ".join(passed_over), hint="`vsr doctor` says more"
    )


def _best_on(device: str, passed_over: list[str]) -> Backend:
    kind, remedy = device.partition(":")[0], ""
    for candidate in _ON_GPUS if kind == "cuda" else BACKENDS:
        if kind in load_backend(candidate).kinds:
            backend = load_backend(candidate).on(device)
            availability = backend.probe()
            if availability.usable:
                return backend
            passed_over.append(f"{candidate} not used: {availability.reason}")
            remedy = availability.remedy
    if kind == "cuda" and not has_nvidia_gpu():
        # Without a driver, no package helps.
        passed_over, remedy = ["there is no NVIDIA driver"], ""
    raise MissingDependencyError(
        f"{device} cannot be used here: " + "; ".join(passed_over), hint=remedy or _what_is_here()
    )


def _what_is_here() -> str:
    # Asking torch takes seconds, and says nothing new without a driver.
    names = [name for name in BACKENDS if name not in _ON_GPUS or has_nvidia_gpu()]
    found = devices_here(names)
    return "this machine has " + listed({name: max(said.values()) for name, said in found.items()})


# Files of the NVIDIA driver on Linux, in Windows' subsystem for Linux, and on Windows.
_OF_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll")


def has_nvidia_gpu() -> bool:
    """Whether the driver of one is there. Asking a runtime would mean loading it, which takes seconds."""
    return any(Path(part).exists() for part in _OF_DRIVERS)
