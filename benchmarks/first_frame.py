"""Seconds from the command to the first enlarged frame that is written.

    python -m benchmarks.first_frame --model fast-x2 quality-x2 --out benchmarks/side-by-side/first-frame.json

The frames go to a pipe as they are, for an encoder would hold the first ones back. A first command is not counted: what it
keeps (compiled networks) is there for the others. With --other, another checkout of vsr is measured in turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.interleave import commit, interleaved, make_clip, of, path_to, ratio, write_result

HERE = Path(__file__).parents[1]
SCALE = 2


def first_frame(tree: Path, clip: Path, model: str, size: int) -> dict[str, Any]:
    """size: bytes of an enlarged frame."""
    command = [sys.executable, "-m", "vsr", "upscale", str(clip), "-", "--model", model]
    command += ["--encoder", "rawvideo", "--format", "nut", "--quiet"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=clip.parent, env=path_to(tree)) as vsr:
        assert vsr.stdout is not None
        got = len(vsr.stdout.read(size))
        seconds = time.perf_counter() - began
        vsr.kill()
    if got < size:
        raise SystemExit(f"{tree}: no frame came")
    return {"seconds": round(seconds, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["fast-x2", "quality-x2"])
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--other", type=Path, help="another checkout")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    trees = {"this": HERE} | ({"other": given.other} if given.other else {})
    models = {}
    with tempfile.TemporaryDirectory(prefix="vsr-first-") as folder:
        clip = Path(folder) / "in.mp4"
        make_clip(clip, width, height, 24)
        for model in given.model:
            runs = {
                name: lambda tree=tree, model=model: first_frame(
                    tree, clip, model, width * height * SCALE**2 * 3 // 2
                )
                for name, tree in trees.items()
            }
            for run in runs.values():
                run()
            rounds = interleaved(runs, given.rounds)
            models[model] = {
                "seconds": {name: of(rounds, name, "seconds") for name in trees},
                "rounds": rounds,
            }
            if given.other:
                models[model]["this_takes_times"] = ratio(rounds, "this", "other", "seconds")
    other = commit(given.other) if given.other else None
    write_result(given.out, size=[width, height], other=other, models=models)


if __name__ == "__main__":
    main()
