"""Weights between those of two trainings of one network: SHARE of the first, the rest of the second.

    python scripts/interpolate.py runs/restore-x2 runs/restore-x2-psnr 0.7 runs/restore-x2-mixed

Network interpolation (Wang et al., "ESRGAN", 2018): between a network trained against an adversary and the one it began from,
it trades invented detail for faithfulness without training again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

WEIGHTS = "weights.safetensors"


def read(folder: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    with safetensors.safe_open(folder / WEIGHTS, framework="numpy") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    facts, first = read(args.first)
    _, second = read(args.second)
    mixed = {
        name: np.float32(args.share) * a + np.float32(1 - args.share) * second[name]
        for name, a in first.items()
    }
    args.out.mkdir(parents=True)
    safetensors.numpy.save_file(mixed, args.out / WEIGHTS, facts)
    print(args.out / WEIGHTS)


if __name__ == "__main__":
    main()
