"""Measure one pass beside the same work in segments, and by two workers, file to file, in turn.

    python -m benchmarks.segments --frames 4800 --rounds 3 --out benchmarks/side-by-side/segments.json
    python -m benchmarks.segments --ways one-pass workers --frames 1200 --out benchmarks/side-by-side/workers.json

Each run is a command of its own. `command_s` is all of it: start, planning, journal and join count.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.against import upscaled
from benchmarks.interleave import interleaved, make_clip, of, ratio, write_result

HERE = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ways", nargs="+", default=["one-pass", "segments"], help="the first is compared with"
    )
    parser.add_argument("--segment", type=float, help="seconds; by default as vsr chooses them")
    parser.add_argument("--model", default="fast-x2")
    parser.add_argument("--size", default="960x540")
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--preset", default="superfast")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    length = [] if given.segment is None else ["--segment", str(given.segment)]
    options = {
        "one-pass": ["--segment", "0"],
        "segments": length,
        "workers": [*length, "--workers", "2"],
    }
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="vsr-segments-") as folder:
        clip = Path(folder) / "in.mp4"
        make_clip(clip, width, height, given.frames)
        common = ["--preset", given.preset]
        runs = {
            way: lambda way=way: upscaled(HERE, clip, given.model, [*common, *options[way]])
            for way in given.ways
        }
        rounds = interleaved(runs, given.rounds)
    first, *others = given.ways
    write_result(
        given.out,
        model=given.model,
        size=[width, height],
        frames=given.frames,
        preset=given.preset,
        segment_s=given.segment,
        command_s={way: of(rounds, way, "command_s") for way in given.ways},
        times_the_time={way: ratio(rounds, way, first, "command_s") for way in others},
        times_the_processor_time={way: ratio(rounds, way, first, "cpu_ms") for way in others},
        rounds=rounds,
    )


if __name__ == "__main__":
    main()
