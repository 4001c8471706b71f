"""The result of a bench, as values and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vsr.bench.statistics import FrameTimes, Spread
from vsr.core.errors import ConfigError, reason
from vsr.core.tables import filled, short
from vsr.machine.environment import Environment
from vsr.machine.load import Load

SCHEMA = 1
"""Raised whenever a figure changes its name, unit or meaning: figures of two schemas are not compared."""


STAGES = ("decode", "infer", "encode")
STEPS = ("copy in", "compute", "chroma", "copy out")
"""What "infer" comes to."""


@dataclass(frozen=True, slots=True)
class Case:
    """The configuration that was measured.

    program: "vsr", or the name and version of another. model: name of the package. size: (width, height) of the input frames;
    size_out: of the output frames. device: as for `--device`. threads: the requested number, 0 for all cores. input:
    "synthetic", or the name of the clip. encoder: as FFmpeg names it, "null" for none. preset: empty where there is none.
    """

    model: str
    scale: int
    size: tuple[int, int]
    size_out: tuple[int, int]
    backend: str
    precision: str
    device: str = "cpu"
    batch: int = 1
    in_flight: int = 1
    threads: int = 0
    input: str = "synthetic"
    encoder: str = "null"
    preset: str = ""
    program: str = "vsr"

    @property
    def network(self) -> str:
        """The case without its encoder, in words: `fast-x2 int8, 960x540, openvino`."""
        (width, height), program = self.size, "" if self.program == "vsr" else f"{self.program}: "
        words = [f"{program}{self.model} {self.precision}", f"{width}x{height}"]
        words += [self.backend if self.device == "cpu" else f"{self.backend} on {self.device}"]
        words += [f"batch {self.batch}"] if self.batch != 1 else []
        words += [f"{self.in_flight} in flight"] if self.in_flight != 1 else []
        words += [f"{self.threads} threads"] if self.threads else []
        words += [self.input] if self.input != "synthetic" else []
        return ", ".join(words)

    @property
    def sink(self) -> str:
        """Encoder and preset in words."""
        return f"{self.encoder} {self.preset}".strip()


@dataclass(frozen=True, slots=True)
class Part:
    """One stage, or all together, in the steady state: compiling and the first frames are not in it.

    fps: frames a second. cpu_ms: processor time of the whole process for one frame, so that threads of codecs and runtimes
    count. gpu_ms: of the GPU for one frame, by CUDA events; None where it was not measured. frame_ms: from one frame to the
    next.
    """

    fps: Spread
    cpu_ms: Spread
    frame_ms: FrameTimes
    gpu_ms: Spread | None = None


@dataclass(frozen=True, slots=True)
class StageShare:
    """How a stage spent the time of a run, in parts of 1: busy, starved (waiting for frames), blocked (waiting for room)."""

    name: str
    busy: float
    starved: float
    blocked: float


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the command to the first frame, in a fresh process.

    imports: Python and vsr. model: opening the input, finding and loading model and runtime, opening the output. compile: of
    the network. first_frame: decoding, inferring and handing the first frame to the encoder. total: all of it.
    """

    imports: Spread
    model: Spread
    compile: Spread
    first_frame: Spread
    total: Spread


@dataclass(frozen=True, slots=True)
class Cell:
    """One case, measured.

    package: hash of the model package's files. together: all stages, as `vsr upscale` runs them. alone: by stage: "decode",
    "infer" and "encode"; and by step of "infer", one frame at a time, if the backend reports them: "copy in", "compute",
    "chroma" (enlarged beside the network) and "copy out". stages, bottleneck: of the run together. cpu_over_alone: processor
    time together over the sum of the stages alone; its quartiles are the widest that both spreads allow. gflops: thousand
    million multiplications and additions a second while inferring alone, two for each multiply-add. of_rate: the part of the
    machine's own rate that this is. cores: of the processor, kept busy while inferring alone. memory_mb: the most the process
    took, in 10^6 bytes. load: what others took of the machine meanwhile.
    """

    case: Case
    together: Part
    alone: Mapping[str, Part] = field(default_factory=dict)
    package: str = ""
    stages: tuple[StageShare, ...] = ()
    bottleneck: str = ""
    cpu_over_alone: Spread | None = None
    gflops: float | None = None
    of_rate: float | None = None
    cores: float | None = None
    memory_mb: float | None = None
    start: Start | None = None
    load: Load | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A case that was not measured, in words, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class BenchResult:
    """The measurements of one `vsr bench`.

    created: start of the measurements, UTC. command: the command that repeats them. rates: speed of one large convolution on
    this machine, in 10^9 operations a second, by backend and precision ("openvino bf16"). seconds: duration of all
    measurements. load: load by other processes during all of them.
    """

    created: str
    command: str
    environment: Environment
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...] = ()
    rates: Mapping[str, Spread] = field(default_factory=dict)
    suite: str = ""
    seconds: float = 0.0
    load: Load | None = None
    schema: int = SCHEMA

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {"schema": self.schema} | asdict(self)


def read_result(path: Path) -> BenchResult:
    """Read a result from its JSON file. Raises ConfigError for another file, or a result of another schema."""
    hint = "give a file that `vsr bench --report FILE` wrote"
    try:
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {reason(error)}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not JSON, nor text", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {short(error, str)}", hint=hint) from error
    if not isinstance(table, dict) or "schema" not in table:
        raise ConfigError(f"{path} is not a result of `vsr bench`: it has no schema", hint=hint)
    if type(table["schema"]) is not int or table["schema"] != SCHEMA:
        raise ConfigError(
            f"{path} is of schema {short(table['schema'])}, and this vsr reads schema {SCHEMA}",
            hint="measure again, or compare with the vsr that wrote it",
        )
    try:
        return filled(BenchResult, table)
    except ConfigError as error:
        raise ConfigError(
            f"{path} is not a complete result of `vsr bench`: {error.message}", hint=hint
        ) from error
