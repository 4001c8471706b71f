"""Reads the bar codes of the tests' camera back, from a file or as a stream plays; and how far its beeps are from its flashes.

python -m tests.support.watching URL SECONDS [OPTION=VALUE...] prints what came of the codes as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.support import barcode

_BRIGHT = 200
_QUIET_S = 0.5


@dataclass(frozen=True)
class Reading:
    """One picture. number, sent_ms: of its bar codes, None where they are damaged. read_ms: when it was read, on the same clock
    (monotonic milliseconds, modulo 2**32). pts_s: None where it has none."""

    number: int | None
    sent_ms: int | None
    read_ms: int
    pts_s: float | None
    size: tuple[int, int]

    @property
    def latency_ms(self) -> int | None:
        return (self.read_ms - self.sent_ms) % 2**32 if self.sent_ms is not None else None


def watch(url: str | Path, timeout_s: float = 10.0, **options: str) -> Iterator[Reading]:
    """Pictures as they come. options: of FFmpeg's demuxer."""
    given = dict(options)
    if str(url).startswith("rtsp"):
        given = {"rtsp_transport": "tcp", "fflags": "nobuffer"} | given
    with av.open(str(url), options=given, timeout=timeout_s) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        for frame in container.decode(stream):
            now = int(time.monotonic() * 1000) % 2**32
            luma = _luma(frame)
            pts_s = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else None
            yield Reading(
                barcode.read(luma, 1), barcode.read(luma, 0), now, pts_s, (frame.width, frame.height)
            )


def readings(path: Path) -> list[Reading]:
    """What `rtsp_server.py --readings` wrote; the times of the pictures are not among it."""
    found = []
    for line in path.read_text().splitlines():
        number, sent, read = (None if word == "None" else int(word) for word in line.split())
        found.append(Reading(number, sent, (read or 0) % 2**32, None, (0, 0)))
    return found


def each_once(found: Sequence[Reading]) -> bool:
    """Whether every picture from the first to the last is there once, in order."""
    numbers = [reading.number for reading in found]
    return bool(numbers) and numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + len(numbers)))


def beeps_after_flashes_s(path: str | Path) -> list[float]:
    """For each flash, how many seconds later the nearest beep begins; before it, where that is negative."""
    flashes, beeps = _flashes(path), _beeps(path)
    return [min((beep - flash for beep in beeps), key=abs) for flash in flashes if beeps]


def _luma(frame: av.VideoFrame) -> np.ndarray[Any, Any]:
    if not frame.format.name.startswith(("yuv", "gray")) or frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : frame.width]


def _flashes(path: str | Path) -> list[float]:
    found, was = [], False
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            luma = _luma(frame)
            bright = bool(luma[luma.shape[0] * 3 // 4 :].mean() > _BRIGHT)
            if bright and not was and frame.pts is not None and frame.time_base is not None:
                found.append(float(frame.pts * frame.time_base))
            was = bright
    return found


def _beeps(path: str | Path) -> list[float]:
    times, loud = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            samples = np.abs(frame.to_ndarray().astype(np.float64).reshape(-1)[: frame.samples])
            step = frame.sample_rate // 1000  # a millisecond
            for begin in range(0, len(samples) - step + 1, step):
                times.append(float(frame.pts * frame.time_base) + begin / frame.sample_rate)
                loud.append(samples[begin : begin + step].max())
    threshold = max(loud, default=0.0) * 0.3
    found, last = [], -_QUIET_S
    for at, volume in zip(times, loud, strict=True):
        if volume > threshold:
            if at - last >= _QUIET_S:
                found.append(at)
            last = at
    return found


def summary(found: Sequence[Reading]) -> dict[str, Any]:
    """Frames, gaps and latency, for people."""
    numbers = [reading.number for reading in found if reading.number is not None]
    steps = np.diff(numbers) if len(numbers) > 1 else np.array([], int)
    late = [reading.latency_ms for reading in found if reading.latency_ms is not None]
    times = [reading.pts_s for reading in found if reading.pts_s is not None]
    distances = np.diff(times) if len(times) > 1 else np.array([0.0])
    return {
        "frames": len(found),
        "unread": len(found) - len(numbers),
        "missing": int((steps[steps > 1] - 1).sum()),
        "repeated": int((steps == 0).sum()),
        "backward": int((steps < 0).sum()),
        "latency_ms": {name: float(np.percentile(late or [0], p)) for name, p in _PERCENTILES.items()},
        "pts_steps_s": [round(float(value), 4) for value in (distances.min(), distances.max())],
        "sizes": sorted({reading.size for reading in found}),
    }


_PERCENTILES = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


def main(url: str, seconds: float, options: dict[str, str]) -> None:
    found, until = [], time.monotonic() + seconds
    for reading in watch(url, **options):
        found.append(reading)
        if time.monotonic() > until:
            break
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), dict(word.split("=", 1) for word in sys.argv[3:]))
