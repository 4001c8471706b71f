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
        frame_s = infer_s(self.spec, self.passes, self.pixels_in, on_gpu=self.on_gpu)
        return frames * (frame_s + codec_s(self.pixels_out))


def codec_s(pixels: int) -> float:
    """The estimated seconds to read a frame, and to write it with that many pixels."""
    return pixels / (_PIXELS_A_CORE * cores())


def infer_s(spec: ModelSpec, passes: int, pixels: int, *, on_gpu: bool) -> float:
    """The estimated seconds of a network for a frame of so many pixels, on which it runs `passes` times."""
    enlarged: int = sum(spec.scale ** (2 * number) for number in range(passes))
    macs = spec.macs_per_pixel * pixels * enlarged
    return macs / (_MACS_A_GPU if on_gpu else _MACS_A_CORE * cores())


def stated_bytes(bitrate: int | None, video_s: float | None) -> int | None:
    """The bytes of a video of this bitrate (bit/s) and length; None if either is unknown."""
    return round(bitrate * video_s / 8) if bitrate and video_s else None


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
