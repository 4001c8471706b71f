"""Upscale every file of a folder in one pass and in segments of a second, and compare what comes out.

    python tests/hard/in_segments.py ../shared/data/hard [--only WORD] [--segment 1] [--part]

With --part it leaves out the first and the last tenth of each file, by --start and --duration. Both ways go through FFV1 into
Matroska. All pictures, their times and durations, and all packets of sound and text must be the same, and a file that one way
refuses must be refused by the other. Exits with 1 if anything is otherwise.
"""

from __future__ import annotations

import argparse
import collections
import difflib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.hard.sweep import files_of  # noqa: E402 - the checkout comes before anything installed

_LIMIT_S = 240


@dataclass
class Made:
    """code: of vsr. said: on standard error. content: a line for each picture and packet."""

    code: int
    said: str
    content: list[str]


def make(path: Path, options: tuple[str, ...], seconds: str, folder: Path) -> Made:
    """One way."""
    output = folder / f"{seconds}.mkv"
    command = [sys.executable, "-m", "vsr", "upscale", str(path), str(output), "--model", "bicubic", "-q"]
    command += ["--encoder", "ffv1", "--segment", seconds, *options]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_LIMIT_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    content: list[str] = []
    if output.exists():
        copied = "-map 0 -c copy -c:v rawvideo -fps_mode passthrough -f framemd5 -".split()
        hashed = subprocess.run(
            ["ffmpeg", "-v", "error", "-copyts", "-i", str(output), *copied],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        content = [line for line in hashed.stdout.splitlines() if not line.startswith("#software")]
        output.unlink()
    return Made(ran.returncode, ran.stderr, content)


def most_of(path: Path, cut: tuple[str, ...]) -> tuple[str, ...]:
    """Options for a file without its first tenth and its last. cut: those that shorten one that is too long. Where nobody knows
    how long it is, what comes after a tenth of a second."""
    asked = ("-show_entries", "format=duration", "-of", "csv=p=0", str(path))
    found = subprocess.run(["ffprobe", "-v", "quiet", *asked], capture_output=True, text=True, check=False)
    try:
        length = min(map(float, (found.stdout.strip(), *cut[1:])))
    except ValueError:
        return ("--start", "0.1", *cut)
    return ("--start", f"{length / 10:.3f}", "--duration", f"{length * 8 / 10:.3f}")


def verdict(one: Made, parts: Made) -> str:
    """ "" where both are the same."""
    if one.code != parts.code:
        return f"one pass ends with {one.code}, segments with {parts.code}: {parts.said or one.said}"
    if one.content != parts.content:
        changes = [
            line
            for line in difflib.unified_diff(one.content, parts.content, lineterm="", n=0)
            if line[:1] in "+-"
        ]
        return f"{len(changes) - 2} lines differ, as {changes[2:5]}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--segment", default="1")
    parser.add_argument("--part", action="store_true")
    given = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    for name, cut in files_of(given.folder):
        if given.only not in name:
            continue
        options = most_of(given.folder / name, cut) if given.part else cut
        with tempfile.TemporaryDirectory() as scratch:
            try:
                one = make(given.folder / name, options, "0", Path(scratch))
                parts = make(given.folder / name, options, given.segment, Path(scratch))
                wrong = verdict(one, parts)
            except subprocess.TimeoutExpired:
                wrong = f"over {_LIMIT_S} s"
            whole = "made in one pass" in parts.said
            kind = "PROBLEM" if wrong else "refused" if one.code else "one pass" if whole else "segments"
        counts[kind] += 1
        print(f"{kind:9}{name}  {wrong}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if counts["PROBLEM"] else 0


if __name__ == "__main__":
    sys.exit(main())
