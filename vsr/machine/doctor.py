"""Packages and devices that are usable on this machine, and how to get the others."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from vsr.backends.choose import WATCHED, devices_here, load_backend, probe_backends
from vsr.core.errors import ConfigError, VsrError
from vsr.core.extras import DISTRIBUTION, install, installed, missing
from vsr.machine.environment import environment
from vsr.machine.measured import measured_here
from vsr.machine.tuned import kept_here
from vsr.models import shipped_models
from vsr.models.registry import all_models


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `vsr doctor`. needed: whether vsr works only with it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = False


# The purpose of each extra; the package's metadata names its packages.
_EXTRAS = {
    "onnx": "making model packages, the ONNX Runtime backend",
    "torch": "training, exporting and importing models, the torch backend",
    "tensorrt": "building and running engines on NVIDIA GPUs",
    "rtx": "building engines for NVIDIA RTX GPUs",
    "cluster": "`vsr upscale --cluster`",
    "live": "the page of `vsr stream`, SRT",
}


def doctor() -> list[Check]:
    """Check all packages and devices. Raises no error for missing ones."""
    machine = environment()
    checks = [
        Check("machine", True, f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb} GB"),
        _ffmpeg(),
        *(
            Check(f"backend {name}", found.usable, found.reason, found.remedy, needed=name == "openvino")
            for name, found in probe_backends().items()
        ),
        *_devices(),
        _models(),
        _tuned(),
        _measured(),
    ]
    for extra, purpose in _EXTRAS.items():
        # If vsr is not installed, but runs from a folder, the packages of an extra are unknown.
        left = missing(extra) if installed(DISTRIBUTION) else [DISTRIBUTION]
        detail = f"not installed: {', '.join(left)} ({purpose})" if left else purpose
        checks.append(Check(f"extra [{extra}]", not left, detail, install(extra) if left else ""))
    return checks


def _devices() -> list[Check]:
    """A check for each device that --device can name. It tells if no test of vsr has run on that kind."""
    found = []
    for device, said in devices_here().items():
        unrun = ", which no test of vsr has run on" if device.partition(":")[0] in WATCHED else ""
        what = max(said.values())
        found.append(Check(f"device {device}", True, f"{what}{': ' if what else ''}{', '.join(said)}{unrun}"))
    return found


def _ffmpeg() -> Check:
    try:
        from vsr.media.write.encoders import available_encoders

        encoders = available_encoders()
        version = metadata.version("av")
    except (ImportError, metadata.PackageNotFoundError) as error:
        return Check("PyAV", False, str(error), "pip install av", needed=True)
    wanted = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "prores_ks", "ffv1")
    there = [name for name in wanted if name in encoders]
    return Check(
        "PyAV",
        "libx264" in there,
        f"{version}, encoders: {', '.join(there)}",
        "pip install -U av",
        needed=True,
    )


def _tuned() -> Check:
    try:
        path, networks, others = kept_here()
    except ConfigError as error:
        return Check("tuned", False, error.message, "vsr bench tune")
    found = "; ".join(f"{name}: {tuned}, {tuned.fps:g} fps" for name, tuned in networks.items())
    detail = f"{found} ({path})" if found else "nothing yet; `vsr bench tune` finds the fastest settings"
    if others:
        detail += f"; {others} of other hardware or versions not used"
    return Check("tuned", True, detail)


def _measured() -> Check:
    try:
        found = measured_here(all_models(), load_backend("openvino"))
    except VsrError as error:
        return Check("precisions", False, error.message)
    detail = "; ".join(f"{each.model}: {each}" for each in found)
    return Check("precisions", True, detail or "none measured yet; the first use of a network does")


def _models() -> Check:
    try:
        names = [spec.id for spec in shipped_models()]
    except VsrError as error:
        return Check("models", False, error.message, "reinstall vsr", needed=True)
    return Check("models", True, ", ".join(names), needed=True)
