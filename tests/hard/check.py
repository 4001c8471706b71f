"""Whether `vsr upscale` treats one file as it should: a correct output, or one clear error and nothing left behind.

What is correct is judged from outside: by ffprobe on input and output, and by FFmpeg's newest libraries (PyAV) where the
installed ffprobe is older and sees less.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.stream import Disposition
from av.video.frame import VideoFrame

TIMEOUT_S = 60.0
# Containers without a clock, or with one that only counts frames: pictures are compared by number.
_COUNTED = frozenset({".264", ".h264", ".avi", ".y4m", ".265", ".hevc"})
_QUICK = frozenset({".mp4", ".mkv", ".mov", ".m4v", ".ts", ".flv", ".avi", ".264", ".h264"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. told: the error, the problem, or a remark."""

    file: str
    verdict: Literal["ok", "refused", "PROBLEM"]
    seconds: float
    frames_in: int | None
    frames_out: int | None
    told: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """Presentation times in seconds, None where the stream has none.

    tick: the unit they are counted in. start: of the whole file, sound included.
    """

    times: list[Fraction | None]
    tick: Fraction
    start: Fraction


def check(
    file: Path, folder: Path, *, name: str = "", options: tuple[str, ...] = (), timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Upscale `file` into the new folder `folder` as a user would, and judge what came of it."""
    folder.mkdir(parents=True)
    name = name or file.name
    quick = ("--preset", "ultrafast") if file.suffix.lower() in _QUICK else ()
    command = [sys.executable, "-m", "vsr", "upscale", str(file), f"{folder}/", "--model", "bicubic", "-q"]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [*command, *quick, *options],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    except subprocess.TimeoutExpired:
        return Outcome(name, "PROBLEM", timeout_s, None, None, f"hangs: no end within {timeout_s:g} s")
    seconds = time.perf_counter() - started
    left = sorted(p.name for p in folder.iterdir())
    problem = _said_wrong(done.returncode, done.stderr)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    if problem is None and done.returncode and left:
        problem = f"leaves {', '.join(left)} after an error"
    if problem is not None:
        return Outcome(name, "PROBLEM", seconds, None, None, problem)
    if done.returncode:
        return Outcome(name, "refused", seconds, None, None, _plain(errors[0][len("error: ") :], file))
    if len(left) != 1 or left[0].endswith(".part"):
        return Outcome(name, "PROBLEM", seconds, None, None, f"success with the files {left}")
    warned = "warning:" in done.stderr
    duration = float(options[options.index("--duration") + 1]) if "--duration" in options else None
    return _judge(file, folder / left[0], name, seconds, duration, warned=warned)


def _said_wrong(code: int, stderr: str) -> str | None:
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:")]
    if code < 0:
        return f"dies by signal {-code}"
    if "Traceback" in stderr or "internal error" in stderr:
        return f"internal error: {next((x for x in lines if 'error' in x), lines[-1])[:200]}"
    if code and len(errors) != 1:
        return f"exit {code} with {len(errors)} error lines: {' / '.join(lines)[:200]}"
    if not code and errors:
        return f"success, yet {errors[0]}"
    foreign = [line for line in lines if not line.startswith(("error: ", "hint: ", "warning: "))]
    return f"says to the user: {foreign[0][:200]}" if foreign else None


def _judge(
    file: Path, output: Path, name: str, seconds: float, duration: float | None, *, warned: bool
) -> Outcome:
    after = probed_pictures(output)
    remark = ""
    before = probed_pictures(file)
    problem = _difference(before, after, output, duration)
    if problem is not None:
        # The installed ffprobe may be older than the libraries vsr decodes with.
        newer = decoded_pictures(file)
        newer_problem = _difference(newer, after, output, duration)
        if newer_problem is None:
            remark = f"ffprobe differs: {problem}"
            before, problem = newer, None
    if problem is None:
        problem = _sound(packets_of(file), packets_of(output), duration, warned=warned)
        if problem is not None and not _sound(
            demuxed_packets(file), demuxed_packets(output), duration, warned=warned
        ):
            remark, problem = f"ffprobe differs: {problem}", None
    verdict: Literal["ok", "PROBLEM"] = "PROBLEM" if problem else "ok"
    count = len(_within(before, duration))
    return Outcome(name, verdict, seconds, count, len(after.times), problem or remark)


def _within(pictures: Pictures, duration: float | None) -> list[Fraction | None]:
    if duration is None:
        return pictures.times
    end = pictures.start + Fraction(duration).limit_denominator(1000)
    return [t for t in pictures.times if t is not None and t < end]


def _difference(before: Pictures, after: Pictures, output: Path, duration: float | None) -> str | None:
    times = _within(before, duration)
    if len(times) != len(after.times):
        return f"{len(times)} frames in, {len(after.times)} out"
    if output.suffix.lower() in _COUNTED or None in times or None in after.times:
        return None
    # Half a tick of rounding on the way out, and half of one where FFmpeg's tools round what they read.
    allowed = after.tick / 2 + (before.tick / 2 if before.tick > after.tick else 0)
    latest = None
    for index, (here, there) in enumerate(zip(times, after.times, strict=True)):
        # A time that doesn't rise is put right by a tick.
        stuck = latest is not None and (here or 0) <= latest
        latest = here
        if abs((here or 0) - (there or 0)) > allowed + stuck * after.tick:
            return f"frame {index} at {float(here or 0):.6f} s comes out at {float(there or 0):.6f} s"
    return None


def ffprobe(path: Path, *args: str) -> dict[str, Any]:
    """ffprobe's JSON; empty where it fails."""
    command = ["ffprobe", "-v", "quiet", "-of", "json", *args, str(path)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    result: dict[str, Any] = json.loads(done.stdout or "{}")
    return result


def probed_pictures(path: Path) -> Pictures:
    """The main video stream's decodable frames, as ffprobe tells them."""
    streams = ffprobe(path, "-show_streams", "-select_streams", "v").get("streams", [])
    chosen = next((n for n, s in enumerate(streams) if not s["disposition"]["attached_pic"]), 0)
    entries = "frame=best_effort_timestamp:stream=time_base:format=start_time"
    # Edit lists end pictures early; ffprobe shows even those marked to be thrown away by the decoder.
    found = ffprobe(path, "-select_streams", f"v:{chosen}", "-show_entries", entries)
    tick = Fraction(found["streams"][0]["time_base"]) if found.get("streams") else Fraction(1, 1000)
    stamps = [frame.get("best_effort_timestamp") for frame in found.get("frames", [])]
    start = Fraction(found.get("format", {}).get("start_time", 0))
    return Pictures([None if t is None else int(t) * tick for t in stamps], tick, start)


def decoded_pictures(path: Path) -> Pictures:
    """The same from PyAV, packet by packet."""
    times: list[Fraction | None] = []
    with av.open(str(path)) as container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        stream = streams[0]
        tick = stream.time_base or Fraction(1, 1000)
        start = Fraction(container.start_time or 0, av.time_base)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                times.append(None if frame.pts is None else frame.pts * tick)
    return Pictures(times, tick, start)


def _sound(
    before: dict[int, list[str]], after: dict[int, list[str]], duration: float | None, *, warned: bool
) -> str | None:
    """What is wrong with the copied sound, if anything is."""
    if len(after) < len(before) and not warned:
        return f"{len(before)} audio streams in, {len(after)} out, and no warning"
    if len(after) == len(before):
        for (index, here), there in zip(before.items(), after.values(), strict=True):
            if duration is None and here != there:
                return f"audio stream {index}: {len(here)} packets in, {len(there)} out, or others"
            if duration is not None and not _holds(here, there):
                return f"audio stream {index}: other packets than those of the input"
    return None


def _holds(here: list[str], there: list[str]) -> bool:
    """Whether the packets are a stretch of the others."""
    if not there:
        return True
    starts = [n for n, value in enumerate(here) if value == there[0]]
    return any(here[n : n + len(there)] == there for n in starts)


def packets_of(path: Path) -> dict[int, list[str]]:
    """Hashes of the packets of every audio stream, by stream index."""
    entries = "packet=stream_index,data_hash:stream=index"
    found = ffprobe(path, "-select_streams", "a", "-show_data_hash", "md5", "-show_entries", entries)
    packets: dict[int, list[str]] = {int(s["index"]): [] for s in found.get("streams", [])}
    grouped: dict[int, list[str]] = collections.defaultdict(list)
    for packet in found.get("packets", []):
        grouped[packet["stream_index"]].append(packet.get("data_hash", ""))
    return {index: grouped[index] for index in packets}


def demuxed_packets(path: Path) -> dict[int, list[str]]:
    """The same from PyAV."""
    with av.open(str(path)) as container:
        packets: dict[int, list[str]] = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(*container.streams.audio):
            if packet.size:
                packets[packet.stream_index].append(hashlib.md5(bytes(packet)).hexdigest())
        return packets


def _plain(text: str, file: Path) -> str:
    """The message without the folder the file lies in."""
    return re.sub(re.escape(str(file.parent) + os.sep), "", text)
