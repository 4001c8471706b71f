"""Names of devices: cpu, gpu[:N] and npu, as OpenVINO counts its own, and cuda[:N], as CUDA counts those it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vsr.core.errors import ConfigError

GRAMMAR = "auto, cpu, gpu[:N], cuda[:N] or npu"
NUMBERED = ("gpu", "cuda")


def parse_device(name: str) -> tuple[str, int | None]:
    """The kind of a device, or "auto", and its number, None where none is given. Raises ConfigError for any other name."""
    kind, colon, number = name.partition(":")
    numbered = not colon or (kind in NUMBERED and re.fullmatch("[0-9]{1,3}", number))
    if kind not in ("auto", "cpu", "npu", *NUMBERED) or not numbered:
        raise ConfigError(f"there is no device {name!r}", hint=f"choose {GRAMMAR}")
    return kind, int(number) if colon else None


def parse_devices(names: str) -> tuple[str, ...]:
    """Devices separated by commas, of one kind: "cuda:0,cuda:1". Raises ConfigError as `parse_device`, and for others."""
    devices = tuple(names.split(","))
    if len({parse_device(device)[0] for device in devices}) > 1:
        raise ConfigError(f"devices {names!r} are of several kinds", hint="give devices of one kind")
    if len({full_name(device) for device in devices}) < len(devices):
        raise ConfigError(f"devices {names!r} name one twice", hint="give --workers for several processes")
    return devices


def full_name(name: str) -> str:
    """The name with its number: the first of its kind is taken where none is given. Raises ConfigError as `parse_device`."""
    kind, number = parse_device(name)
    return f"{kind}:{number or 0}" if kind in NUMBERED else kind


def gpu_number(name: str) -> int:
    """The number of a cuda device, 0 where none is given. Raises ConfigError for any other device."""
    kind, number = parse_device(name)
    if kind not in ("auto", "cuda"):
        raise ConfigError(f"engines of TensorRT run on cuda, not on {name}", hint="choose cuda or cuda:N")
    return number or 0


def listed(devices: Mapping[str, str]) -> str:
    """Devices and their descriptions, by name, in one line: cpu (AMD EPYC 7B13), gpu:0."""
    return ", ".join(f"{name} ({what})" if what else name for name, what in devices.items()) or "none"
