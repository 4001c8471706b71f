"""The machine and versions with which a figure was measured."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vsr.core.limits import cores, memory_bytes
from vsr.core.version import __version__

# Instructions that runtimes choose their kernels by, as Linux names them.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
          "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve")  # fmt: skip
_PACKAGES = ("vsr", "av", "numpy", "openvino", "onnxruntime", "torch", "tensorrt", "tensorrt-rtx")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine, and the versions that matter.

    cores: that this process may use. flags: instructions the processor has, of those that matter, empty where the system does
    not name them. governor: how Linux chooses the clock rate, empty where it does not say. versions: None for packages that are
    not installed. commit: of the checkout that vsr runs from, with "-dirty" where files are changed; empty for an installed
    vsr. gpu, driver: of an NVIDIA GPU, empty where there is none.
    """

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    flags: tuple[str, ...] = ()
    governor: str = ""
    gpu: str = ""
    driver: str = ""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    commit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @property
    def machine(self) -> tuple[str, ...]:
        """The fields that are equal for two figures of one machine."""
        return (f"{self.cpu}, {self.cores} cores", " ".join(self.flags), self.system, self.gpu)


def environment() -> Environment:
    """Look at this machine. Missing facts raise no error."""
    gpu, driver = _gpu()
    return Environment(
        cpu=cpu_name(),
        cores=cores(),
        memory_gb=round(memory_bytes() / 1e9, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        flags=cpu_flags(),
        governor=_text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")).strip(),
        gpu=gpu,
        driver=driver,
        versions={name: version(name) for name in _PACKAGES},
        commit=_commit(_ROOT),
    )


def _gpu() -> tuple[str, str]:
    answer = _answer(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    name, _, driver = answer.partition("\n")[0].partition(", ")
    return name, driver


def _commit(root: Path) -> str:
    if not (root / ".git").exists():
        return ""
    return _answer(["git", "-C", str(root), "describe", "--always", "--exclude=*", "--dirty"]).strip()


def _answer(command: list[str]) -> str:
    """The output of a program; empty if it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def version(name: str) -> str | None:
    """The version of an installed package, None if it is not installed; for vsr also if vsr runs from a folder."""
    if name == "vsr":
        return __version__
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """The processor's name, as the system gives it."""
    return _cpu_entry("model name") or platform.processor() or platform.machine()


def cpu_flags() -> tuple[str, ...]:
    """As `Environment.flags`."""
    # x86 has "flags", ARM has "Features".
    there = set((_cpu_entry("flags") or _cpu_entry("Features")).split())
    return tuple(flag for flag in _FLAGS if flag in there)


def _cpu_entry(name: str) -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""  # Not Linux, or a container hides the file.
