"""A hundred pictures of a hundred sizes beside a hundred of one size, with as many pixels.

    python -m benchmarks.many_sizes --model fast-x2 --out benchmarks/side-by-side/many-sizes.json

Whatever is compiled is compiled anew in each round. With --other, another checkout of vsr is measured in turn.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.interleave import commit, interleaved, of, path_to, ratio, write_result
from vsr.bench.synthetic import synthetic_frames

HERE = Path(__file__).parents[1]


def make_pictures(folder: Path, sizes: list[tuple[int, int]]) -> None:
    """Gray ones as RGB, cut out of one large texture."""
    folder.mkdir()
    width, height = (max(side) for side in zip(*sizes, strict=True))
    luma = np.asarray(next(synthetic_frames(width + width % 2, height + height % 2, 1)).planes[0])
    for number, (w, h) in enumerate(sizes):
        Image.fromarray(luma[:h, :w]).convert("RGB").save(folder / f"{number:03}.png", compress_level=1)


def upscaled(tree: Path, pictures: Path, model: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=pictures.parent) as output:
        # What an earlier round compiled is not there.
        environment = {**path_to(tree), "XDG_CACHE_HOME": f"{output}-cache"}
        command = [sys.executable, "-m", "vsr", "upscale", str(pictures), output, "--model", model, "--quiet"]
        began, before = time.perf_counter(), _processor_seconds()
        subprocess.run(command, check=True, cwd=pictures.parent, env=environment)
        seconds, taken = time.perf_counter() - began, _processor_seconds() - before
        made, given = len(list(Path(output).glob("*.png"))), len(list(pictures.glob("*.png")))
    if made != given:
        raise SystemExit(f"{tree}: {made} of {given} pictures were made")
    return {"seconds": round(seconds, 3), "processor_seconds": round(taken, 3)}


def _processor_seconds() -> float:
    """Of programs that were begun here and are over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="fast-x2")
    parser.add_argument("--pixels", type=int, default=640 * 360, help="of a picture")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--other", type=Path, help="another checkout")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    trees = {"this": HERE} | ({"other": given.other} if given.other else {})
    side = round((given.pixels * 9 / 16) ** 0.5)
    heights = [side - given.pictures // 2 + number for number in range(given.pictures)]
    many = [(round(given.pixels / height), height) for height in heights]
    one = [(round(given.pixels / side), side)] * given.pictures
    with tempfile.TemporaryDirectory(prefix="vsr-sizes-") as folder:
        runs = {}
        for name, sizes in (("many", many), ("one", one)):
            make_pictures(Path(folder) / name, sizes)
            for whose, tree in trees.items():
                runs[f"{whose}, {name}"] = lambda tree=tree, name=name: upscaled(
                    tree, Path(folder) / name, given.model
                )
        rounds = interleaved(runs, given.rounds)
    write_result(
        given.out,
        model=given.model,
        pixels=given.pixels,
        pictures=given.pictures,
        other=commit(given.other) if given.other else None,
        seconds={name: of(rounds, name, "seconds") for name in runs},
        many_takes_times={
            what: {whose: ratio(rounds, f"{whose}, many", f"{whose}, one", what) for whose in trees}
            for what in ("seconds", "processor_seconds")
        },
        rounds=rounds,
    )


if __name__ == "__main__":
    main()
