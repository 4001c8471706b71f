"""What a bench measured, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vsr.bench.config import BenchConfig
from vsr.jobs.report import StageReport


@dataclass(frozen=True, slots=True)
class Part:
    """One stage, measured alone. seconds: of the clock. fps: frames in one of them. cpu_s: seconds of processors, of the whole
    process, so that threads of codecs and runtimes count."""

    frames: int
    seconds: float
    fps: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Whole(Part):
    """All stages together into one sink, as `vsr upscale` runs them. setup_s: seconds before the first frame. stages: what each
    did. cpu_over_alone: `cpu_s` over that of the same stages measured alone."""

    bottleneck: str
    setup_s: float
    stages: tuple[StageReport, ...]
    cpu_over_alone: float


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What `vsr.benchmark` measured.

    environment: the machine and the versions (vsr.machine.environment). config: what was asked; model, backend, precision and
    batch: what was taken. size_in, size_out: (width, height) of the frames. alone: by stage, "decode", "infer" and "encode x264
    PRESET". together: by sink, "null" and "x264 PRESET".
    """

    environment: Mapping[str, Any]
    config: BenchConfig
    model: str
    backend: str
    precision: str
    batch: int
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    alone: Mapping[str, Part]
    together: Mapping[str, Whole]

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values. Under `config` stands what was taken where something else was asked."""
        asked = asdict(self.config)
        taken = {name: getattr(self, name) for name in ("model", "backend", "precision", "batch")}
        return {
            "environment": dict(self.environment),
            "config": asked.pop("network") | asked | taken,
            "size_in": list(self.size_in),
            "size_out": list(self.size_out),
            "alone": {name: asdict(part) for name, part in self.alone.items()},
            "together": {name: asdict(whole) for name, whole in self.together.items()},
        }
