"""OpenVINO's runtime, imported without its unused parts, and the devices that it sees."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vsr.models.spec import Precision

if TYPE_CHECKING:
    import openvino

KINDS = ("cpu", "gpu", "npu")
"""Of devices."""
HINTS: Mapping[Precision, str] = {"bf16": "bf16", "fp16": "f16", "fp32": "f32"}
"""OpenVINO's names of precisions, the fastest first."""


def imported() -> ModuleType:
    """OpenVINO, imported without its unused parts. Raises ImportError."""
    if "openvino" not in sys.modules:
        _import_without_converter()
    return import_module("openvino")


@cache
def core() -> openvino.Core:
    """OpenVINO itself, one for the process. Raises ImportError."""
    made: openvino.Core = imported().Core()
    return made


def _import_without_converter() -> None:
    """OpenVINO's converter of models takes longer to import than the rest, and its telemetry asks the network. OpenVINO
    does without what cannot be imported. The converter comes when a program of somebody else's calls it."""
    converter = "openvino.tools.ovc"
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules[converter] = None
    try:
        openvino = import_module("openvino")
    finally:
        del modules[converter]

    def convert_model(*given: Any, **named: Any) -> Any:
        return import_module(converter).convert_model(*given, **named)

    openvino.__dict__.setdefault("convert_model", convert_model)


def devices() -> dict[str, str]:
    """OpenVINO's devices (CPU, GPU or GPU.1, NPU or NPU.4000): from vsr's name for each to the name of its hardware."""
    found = {}
    for theirs in core().available_devices:
        kind, _, number = theirs.lower().partition(".")
        name = f"gpu:{number or 0}" if kind == "gpu" else kind
        if kind in KINDS:
            found[name] = name_of(theirs)
    if "cpu" not in found:
        # OpenVINO leaves the processor out if memory is short, without a message. Asked for by name, it gives the reason.
        found["cpu"] = name_of("CPU")
    return found


def name_of(theirs: str) -> str:
    """The full name of a device that OpenVINO calls so, as "Intel(R) Core(TM) i7"."""
    return str(core().get_property(theirs, "FULL_DEVICE_NAME"))


def own_name(device: str) -> str:
    """OpenVINO's name of a device of ours."""
    return device.upper().replace(":", ".")


def precisions(device: str) -> list[Precision]:
    """The precisions the device computes in, the fastest first as far as names tell. int8 comes last on a processor without
    int8 instructions, which add up without overflow, and on other devices, where int8 was never measured."""
    native = core().get_property(own_name(device), "OPTIMIZATION_CAPABILITIES")
    found: list[Precision] = [p for p in HINTS if p.upper() in native]
    if device == "cpu" or "INT8" in native:
        found.insert(0 if device == "cpu" and _has_vnni() else len(found), "int8")
    return found


def _has_vnni() -> bool:
    return not flags().isdisjoint(("avx512_vnni", "avx_vnni", "amx_int8"))


@cache
def flags() -> frozenset[str]:
    """The processor's instructions as Linux names them, none where it does not; OpenVINO does not tell them all."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.partition(":")[2].split())
    return frozenset()
