"""What is installed and usable here, and how to get what is not."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata

from vsr.backends import probe_backends
from vsr.bench.environment import environment
from vsr.core.errors import VsrError
from vsr.models import shipped_models


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `vsr doctor`. needed: without it vsr does not work at all."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = False


# Extra: the modules it brings and what for.
_EXTRAS = {
    "onnx": (("onnx", "onnxruntime"), "making model packages, the ONNX Runtime backend"),
    "torch": (("torch", "safetensors", "onnx", "spandrel"), "training, importing models, the torch backend"),
    "tensorrt": (("tensorrt", "onnx", "pycuda"), "building engines on NVIDIA GPUs"),
    "rtx": (("tensorrt-rtx", "onnx"), "building engines for NVIDIA RTX GPUs"),
    "live": (("aiohttp",), "the page of `vsr stream`"),
}


def doctor() -> list[Check]:
    """Look at everything; never raises for what is missing."""
    machine = environment()
    checks = [
        Check("machine", True, f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB"),
        _ffmpeg(),
        *(
            Check(f"backend {name}", found.usable, found.reason, found.remedy, needed=name == "openvino")
            for name, found in probe_backends().items()
        ),
        _models(),
    ]
    for extra, (modules, purpose) in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name.replace("-", "_")) is None]
        detail = f"not installed: {', '.join(missing)} ({purpose})" if missing else purpose
        checks.append(
            Check(
                f"extra [{extra}]", not missing, detail, f"pip install {' '.join(missing)}" if missing else ""
            )
        )
    return checks


def _ffmpeg() -> Check:
    try:
        from vsr.media.encoders import available_encoders

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


def _models() -> Check:
    try:
        names = [spec.id for spec in shipped_models()]
    except VsrError as error:
        return Check("models", False, error.message, "reinstall vsr", needed=True)
    return Check("models", True, ", ".join(names), needed=True)
