"""What tests of whole jobs share: one quick call, and what lies in a file as ffprobe and FFmpeg's own decoders tell it."""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

import vsr
from tests.support import clips

QUICK = {"preset": "ultrafast"}
"""For x264 and x265 outputs whose picture does not matter."""


def enlarge(path: Path | str, output: Path | str | None, **options: Any) -> vsr.Report:
    """`vsr.upscale_file` with the model that needs no training."""
    options.setdefault("model", "bicubic")
    return vsr.upscale_file(str(path), None if output is None else str(output), **options)


def seconds(path: Path, stream: str = "v:0", what: str = "pts") -> list[Fraction]:
    """pts (or duration) of every packet that is shown, in order of presentation, exactly."""
    found = clips.ffprobe(path, f"packet=pts,{what},flags:stream=time_base", "-select_streams", stream)
    tick = Fraction(found["streams"][0]["time_base"])
    shown = [packet for packet in found["packets"] if "D" not in packet["flags"]]
    return [int(packet[what]) * tick for packet in sorted(shown, key=lambda p: int(p["pts"]))]


def tick(path: Path, stream: str = "v:0") -> Fraction:
    """The stream's unit of time."""
    return Fraction(
        clips.ffprobe(path, "stream=time_base", "-select_streams", stream)["streams"][0]["time_base"]
    )


def frame_seconds(path: Path) -> list[Fraction]:
    """Time of every frame that decodes."""
    return [time * tick(path) for time in clips.frame_times(path)]


def stream(path: Path, which: str = "v:0") -> dict[str, Any]:
    """Everything ffprobe tells of one stream."""
    result: dict[str, Any] = clips.ffprobe(path, "stream", "-select_streams", which)["streams"][0]
    return result


def packets(path: Path, which: str) -> list[tuple[Fraction | None, str]]:
    """(time, hash) of every packet of a stream; pictures on a cover have no time."""
    entries = "packet=pts,data_hash:stream=time_base"
    found = clips.ffprobe(path, entries, "-show_data_hash", "md5", "-select_streams", which)
    unit = Fraction(found["streams"][0]["time_base"])
    return [(int(p["pts"]) * unit if "pts" in p else None, p["data_hash"]) for p in found["packets"]]


def pictures(path: Path, pix_fmt: str | None = None) -> list[NDArray[Any]]:
    """Every frame, decoded, as PyAV gives it."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=pix_fmt) for frame in container.decode(video=0)]


def luma(path: Path) -> list[NDArray[Any]]:
    """The first plane of every frame, 8 bits a sample."""
    planes = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            planes.append(rows[:, : plane.width].copy())
    return planes


def descriptors() -> set[str]:
    """Open files and pipes of this process, by what they lead to (libraries' own anonymous ones left out)."""
    found = set()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")  # noqa: PTH115
        except OSError:
            continue
    return found


def own_threads() -> list[str]:
    """Names of the pipeline's threads that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vsr-")]


def all_packets(path: Path) -> list[Any]:
    """Of the video and the first sound."""
    return [packets(path, stream) for stream in ("v:0", "a:0")]
