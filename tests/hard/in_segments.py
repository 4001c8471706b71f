"""Upscale every file of a folder in one pass and in segments of a second, and compare what comes out.

    python tests/hard/in_segments.py ../shared/data/hard [--only WORD] [--segment 1]

Both go through FFV1 into Matroska. All pictures, their times and durations, and all packets of sound and text must be the
same, and a file that one way refuses must be refused by the other. Exits with 1 if anything is otherwise.
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
    given = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    for name, options in files_of(given.folder):
        if given.only not in name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                one = make(given.folder / name, options, "0", Path(scratch))
                parts = make(given.folder / name, options, given.segment, Path(scratch))
                wrong = verdict(one, parts)
            except subprocess.TimeoutExpired:
                wrong = f"over {_LIMIT_S} s"
            cut = "made in one pass" not in parts.said
            kind = "PROBLEM" if wrong else "refused" if one.code else "segments" if cut else "one pass"
        counts[kind] += 1
        print(f"{kind:9}{name}  {wrong}", flush=True)
    print(", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if counts["PROBLEM"] else 0


if __name__ == "__main__":
    sys.exit(main())
