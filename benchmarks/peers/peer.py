"""What every peer is: a module of this folder with a `PEER`, imported by the driver and again in the peer's own environment."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Task:
    """What all of them do: enlarge width x height by scale and encode with libx264.

    folder: holds the network as `compact.safetensors`, `compact.onnx`, `compact.param` with `compact.bin`, and `compact.pth`.
    """

    folder: Path
    width: int
    height: int
    scale: int
    preset: str = "superfast"
    crf: int = 20


class Peer(ABC):
    """requirements: pinned, for pip; none means the environment that the driver runs in. licence: of the program."""

    name: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]] = ()
    licence: ClassVar[str]

    def left_out(self) -> str | None:
        """Why it cannot run on this machine. Asked by the driver: only the standard library is there."""
        return None

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Load the network."""

    @abstractmethod
    def run(self, clip: str, output: str) -> tuple[int, float]:
        """Enlarge a file into a file; the frames, and the seconds from opening one to closing the other.

        Called twice: what the first call compiles is there for the second, which counts.
        """


class Loop(Peer):
    """The script a person writes: PyAV, an array of RGB, the network, PyAV."""

    task: Task

    @abstractmethod
    def enlarge(self, rgb: Any) -> Any:
        """uint8 [h, w, 3] to uint8 [scale h, scale w, 3]."""

    def run(self, clip: str, output: str) -> tuple[int, float]:
        import av

        frames, began = 0, time.perf_counter()
        with av.open(clip) as source, av.open(output, "w") as sink:
            video = source.streams.video[0]
            video.thread_type = "AUTO"
            options = {"preset": self.task.preset, "crf": str(self.task.crf)}
            stream = sink.add_stream("libx264", rate=video.average_rate, options=options)
            stream.width, stream.height = video.width * self.task.scale, video.height * self.task.scale
            stream.pix_fmt = "yuv420p"
            for frame in source.decode(video):
                large = av.VideoFrame.from_ndarray(self.enlarge(frame.to_ndarray(format="rgb24")), "rgb24")
                large.pts, large.time_base = frame.pts, frame.time_base
                sink.mux(stream.encode(large))
                frames += 1
            sink.mux(stream.encode(None))
        return frames, time.perf_counter() - began


def flags() -> set[str]:
    """What the processor says it can, as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def no_gpu() -> str | None:
    return None if shutil.which("nvidia-smi") else "needs an NVIDIA GPU, and this machine has none"
