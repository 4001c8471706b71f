"""Measure this vsr beside another checkout of it, file to file, in turn.

    python -m benchmarks.against ../vsr-before --out benchmarks/side-by-side/against-idle.json
    python -m benchmarks.against ../vsr-before --busy 2 --out benchmarks/side-by-side/against-busy.json

Each run is a command of its own, so that its start counts in `command_s`; `fps` is of the frames after it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.interleave import busy, commit, interleaved, make_clip, of, path_to, ratio, write_result

HERE = Path(__file__).parents[1]


def upscaled(tree: Path, clip: Path, model: str, options: list[str]) -> dict[str, Any]:
    """One `vsr upscale` of a tree."""
    output, report = clip.with_name("out.mp4"), clip.with_name("report.json")
    command = [sys.executable, "-m", "vsr", "upscale", str(clip), str(output), "--model", model, *options]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--report", str(report), "--overwrite", "--quiet"],
        check=True,
        cwd=clip.parent,
        env=path_to(tree),
    )
    seconds = time.perf_counter() - began
    (said,) = json.loads(report.read_text())["reports"]
    frames = said["frames_out"]
    return {
        "fps": round(frames / (said["seconds"] - said["setup_s"]), 3),
        "command_s": round(seconds, 3),
        "cpu_ms": round(1000 * said["cpu_s"] / frames, 1),
        "precision": said["precision"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--model", nargs="+", default=["fast-x2", "balanced-x2"])
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--preset", default="superfast")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=0, help="so many busy processes beside")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    models = {}
    with tempfile.TemporaryDirectory(prefix="vsr-against-") as folder, busy(given.busy):
        clip = Path(folder) / "in.mp4"
        make_clip(clip, width, height, given.frames)
        for model in given.model:
            trees = {"this": HERE, "other": given.other}
            runs = {
                name: lambda tree=tree, model=model: upscaled(tree, clip, model, ["--preset", given.preset])
                for name, tree in trees.items()
            }
            rounds = interleaved(runs, given.rounds)
            models[model] = {
                "fps": {name: of(rounds, name, "fps") for name in trees},
                "times_as_fast": ratio(rounds, "this", "other", "fps"),
                "times_as_fast_with_start": ratio(rounds, "other", "this", "command_s"),
                "times_the_processor_time": ratio(rounds, "this", "other", "cpu_ms"),
                "rounds": rounds,
            }
    write_result(
        given.out,
        size=[width, height],
        frames=given.frames,
        preset=given.preset,
        busy=given.busy,
        other=commit(given.other),
        models=models,
    )


if __name__ == "__main__":
    main()
