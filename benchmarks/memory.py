"""Memory over a long clip, as the operating system counts it: it must not grow with the number of frames.

    python benchmarks/memory.py --model balanced-x2 --report benchmarks/memory-balanced-x2.json

Makes a clip of 1,800 frames of 960x540 with sound, upscales it, and samples the process about five times a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import vsr
from vsr.machine.environment import environment

AFTER = 200
MIB = 1 << 20


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def peak() -> int:
    """The most bytes this process ever had in memory."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def make_clip(path: Path, frames: int) -> None:
    picture = f"testsrc2=size=960x540:rate=30:duration={frames / 30}"
    sound = f"sine=frequency=440:duration={frames / 30}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
    subprocess.run([*command, "-preset", "veryfast", "-pix_fmt", "yuv420p", str(path)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="auto")
    parser.add_argument("--frames", type=int, default=1800)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    samples: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory(prefix="vsr-memory-") as folder:
        clip = Path(folder) / "in.mp4"
        make_clip(clip, given.frames)
        report = vsr.upscale_file(
            str(clip),
            f"{folder}/out.mp4",
            model=given.model,
            preset="veryfast",
            progress=lambda progress: samples.append((progress.frames_done, resident())),
        )
    assert report.frames_out == given.frames
    early = statistics.median(size for done, size in samples if AFTER <= done < AFTER + 100)
    late = statistics.median(size for done, size in samples if given.frames - 100 <= done < given.frames)
    every = max(1, len(samples) // 40)
    result: dict[str, Any] = {
        "environment": environment().as_dict(),
        "command": f"python benchmarks/memory.py --model {given.model} --frames {given.frames}",
        "model": report.model,
        "backend": report.backend,
        "frames": report.frames_out,
        "mib_after_200_frames": round(early / MIB, 1),
        "mib_at_the_end": round(late / MIB, 1),
        "growth": round(late / early - 1, 4),
        "mib_peak": round(peak() / MIB, 1),
        "mib_by_frame": {str(done): round(size / MIB, 1) for done, size in samples[::every]},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.report:
        given.report.write_text(text + "\n")


if __name__ == "__main__":
    main()
