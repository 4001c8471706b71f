"""About how much work an input is, before any is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vsr.core.limits import cores
from vsr.models import ModelSpec, Precision

# Measured rates of two cores with AVX2 and of an H100, rounded. A segment twice as long or as short as meant does no harm.
_MACS_A_CORE = 40e9
_MACS_A_GPU = 20e12
_PIXELS_A_CORE = 40e6  # decoded, encoded and converted


@dataclass(frozen=True, slots=True)
class Outlook:
    """An input and the network that will enlarge it. frames: from its header, None if it does not say.

    pixels_in, pixels_out: of a frame. passes: how often the network runs on each. spec, backend, device: the choices.
    encoder_threads, precision: the requested values, or the best ones found here, 0 and None if there are none. workers: the
    same for processes that make segments, for a network on the processor.
    """

    frames: int | None
    pixels_in: int
    pixels_out: int
    passes: int
    spec: ModelSpec
    backend: str
    device: str
    on_gpu: bool
    encoder_threads: int = 0
    precision: Precision | None = None
    workers: int = 0

    def work_s(self, frames: int) -> float:
        """The estimated seconds for a number of frames."""
        enlarged: int = sum(self.spec.scale ** (2 * number) for number in range(self.passes))
        macs = self.spec.macs_per_pixel * self.pixels_in * enlarged
        infer_s = macs / (_MACS_A_GPU if self.on_gpu else _MACS_A_CORE * cores())
        return frames * (infer_s + self.pixels_out / (_PIXELS_A_CORE * cores()))


@dataclass(frozen=True, slots=True)
class Preview:
    """The plan for one input.

    input, output: their names. size_in, size: (width, height) of the coded pictures. frames: their number, None where unknown.
    seconds: the estimated time. bytes: the estimated size of the output's video, known with a bitrate only. notes, warnings:
    sentences known before the first frame, such as the streams that the container cannot hold. error: the reason why the run
    would fail; the fields after `model` are then empty.
    """

    input: str
    output: str
    size_in: tuple[int, int]
    size: tuple[int, int]
    model: str
    backend: str = ""
    device: str = ""
    precision: str = ""
    encoder: str | None = None
    frames: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)
