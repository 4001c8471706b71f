"""VMAF of one video against another, by libvmaf in PyAV's FFmpeg or in an `ffmpeg` program.

VMAF joins measures of detail and of motion to what viewers said (Li et al., "Toward a practical perceptual video quality
metric", 2016), from 0 to 100. VMAF-NEG gives nothing for contrast that the original lacks, as sharpening adds it. Both look at
luma only.
"""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
import numpy.typing as npt

from vsr.core.errors import InferenceError, MissingDependencyError
from vsr.core.extras import install

Luma = npt.NDArray[np.uint8]

_NAMES = ("vmaf", "vmaf_neg")
_MODELS = "version=vmaf_v0.6.1:name=vmaf|version=vmaf_v0.6.1neg:name=vmaf_neg"
_LOG = "vmaf.json"


def check_vmaf() -> None:
    """Raise MissingDependencyError where no FFmpeg here has libvmaf."""
    if not _in_pyav() and not _program():
        raise MissingDependencyError(
            "VMAF needs libvmaf: neither PyAV's FFmpeg nor an ffmpeg program here has it",
            hint=install("vmaf"),
        )


@contextmanager
def vmaf(width: int, height: int) -> Iterator[Vmaf]:
    """Something that takes pairs of frames of that size. Raises MissingDependencyError."""
    check_vmaf()
    kind = _InPyav if _in_pyav() else _InProgram
    with tempfile.TemporaryDirectory(prefix="vsr-vmaf-") as folder:
        measuring = kind(width, height, Path(folder))
        try:
            yield measuring
        finally:
            measuring.close()


class Vmaf(ABC):
    """Takes frames one after the other, and has the figures in the end."""

    def __init__(self, width: int, height: int, folder: Path) -> None:
        # The last sample of an odd side has no chroma samples of its own.
        self._width, self._height = width // 2 * 2, height // 2 * 2
        self._folder = folder

    @abstractmethod
    def add(self, result: Luma, original: Luma) -> None:
        """One frame of both, uint8 [H, W], limited range."""

    def figures(self) -> dict[str, float]:
        """Means over all frames: "vmaf" and "vmaf_neg". No frame can be added after it. Raises InferenceError."""
        self._end()
        self.close()
        pooled = json.loads((self._folder / _LOG).read_text())["pooled_metrics"]
        return {name: float(pooled[name]["mean"]) for name in _NAMES}

    def close(self) -> None:  # noqa: B027 - not all hold anything
        """Release the resources of the measurement."""

    @abstractmethod
    def _end(self) -> None:
        """After the last frame."""

    def _even(self, luma: Luma) -> Luma:
        return luma[: self._height, : self._width]


class _InPyav(Vmaf):
    def __init__(self, width: int, height: int, folder: Path) -> None:
        super().__init__(width, height, folder)
        graph: Any = av.filter.Graph()
        self._inputs: Any = [
            graph.add_buffer(width=self._width, height=self._height, format="yuv420p", time_base=1)
            for _ in range(2)
        ]
        measured = graph.add("libvmaf", model=_MODELS, log_fmt="json", log_path=str(folder / _LOG))
        for number, source in enumerate(self._inputs):
            source.link_to(measured, 0, number)
        self._out = graph.add("buffersink")
        measured.link_to(self._out)
        graph.configure()
        self._graph: Any = graph
        self._count = 0

    def add(self, result: Luma, original: Luma) -> None:
        for source, luma in zip(self._inputs, (result, original), strict=True):
            frame = av.VideoFrame.from_ndarray(_with_chroma(self._even(luma)), format="yuv420p")
            frame.pts = self._count
            source.push(frame)
        self._count += 1
        self._pull()

    def _end(self) -> None:
        for source in self._inputs:
            source.push(None)
        self._pull()

    def close(self) -> None:
        if self._graph is not None:
            self._graph = self._inputs = self._out = None
            # libvmaf writes its log when the graph is freed, and the parts of the graph refer to each other.
            gc.collect()

    def _pull(self) -> None:
        try:
            while True:
                self._out.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class _InProgram(Vmaf):
    def __init__(self, width: int, height: int, folder: Path) -> None:
        super().__init__(width, height, folder)
        program = _program()
        assert program is not None
        w, h = self._width, self._height
        # Both frames come in one picture, one below the other: two pipes could wait for each other.
        models = _MODELS.replace(":", r"\:")
        graph = (
            f"split[a][b];[a]crop={w}:{h}:0:0[result];[b]crop={w}:{h}:0:{h}[original];"
            f"[result][original]libvmaf=model='{models}':log_fmt=json:log_path={_LOG}"
        )
        given = f"-f rawvideo -pix_fmt yuv420p -s {w}x{2 * h} -i pipe:0".split()
        self._errors: IO[bytes] = (folder / "errors").open("w+b")
        self._process = subprocess.Popen(
            [program, "-v", "error", *given, "-lavfi", graph, "-f", "null", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            cwd=folder,
        )

    def add(self, result: Luma, original: Luma) -> None:
        assert self._process.stdin is not None
        both = _with_chroma(np.concatenate([self._even(result), self._even(original)]))
        try:
            self._process.stdin.write(both.tobytes())
        except BrokenPipeError:
            raise self._failed() from None

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait():
            raise self._failed()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
        self._errors.close()

    def _failed(self) -> InferenceError:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return InferenceError(f"VMAF: {said[-1] if said else 'ffmpeg failed'}")


def _with_chroma(luma: Luma) -> Luma:
    """Planes of 4:2:0 without colour, one below the other, uint8 [3 * H / 2, W]."""
    return np.concatenate([luma, np.full((luma.shape[0] // 2, luma.shape[1]), 128, np.uint8)])


def _in_pyav() -> bool:
    return "libvmaf" in av.filter.filters_available


@cache
def _program() -> str | None:
    """An ffmpeg that has libvmaf: the system's, or that of the package imageio-ffmpeg."""
    found = [shutil.which("ffmpeg")]
    try:
        import imageio_ffmpeg

        found.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # RuntimeError: the package has no program for this system
        pass
    for program in filter(None, found):
        listed = subprocess.run(
            [program, "-hide_banner", "-filters"], capture_output=True, text=True, check=False
        )
        if " libvmaf " in listed.stdout:
            return program
    return None
