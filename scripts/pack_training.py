"""Pack an unfinished training into one small file that can be committed.

    python scripts/pack_training.py runs/quality-x2 training/quality-x2.safetensors
    vsr train quality-x2 --init training/quality-x2.safetensors --continue --data ... --out runs/next

The file has the averaged weights, folded, in float16, and the step, the seconds, the pixels seen, the recipe, the hardware and
the log. The optimizer's state is left out: the learning rate rises again over the recipe's warm-up.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from vsr.models.spec import WEIGHTS_NAME
from vsr.training.checkpoint import CHECKPOINT, Standing, load_tensors, save_tensors


def pack(run: Path, out: Path) -> dict[str, Any]:
    """Write `out` from the files of the training in `run`. Gives its metadata."""
    weights, facts = load_tensors(run / WEIGHTS_NAME)
    _, state = load_tensors(run / CHECKPOINT)
    data, step = json.loads(state["recipe"])["data"], int(state["step"])
    if step != int(facts["steps"]):
        raise SystemExit(f"{run} was stopped while it wrote: {WEIGHTS_NAME} and {CHECKPOINT} differ in steps")
    packed: dict[str, Any] = facts | {name: state[name] for name in Standing._fields}
    # Whose folders these were is nobody's business.
    packed["command"] = re.sub(r"(?<!\S)/\S*/", "", packed["command"])
    packed["pixels"] = step * data["batch"] * data["patch"] ** 2
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(out, {name: tensor.half() for name, tensor in weights.items()}, packed)
    return packed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="Output folder of `vsr train`.")
    parser.add_argument("out", type=Path, help="File to write.")
    given = parser.parse_args()
    packed = pack(given.run, given.out)
    hours = float(packed["seconds"]) / 3600
    size = given.out.stat().st_size / 1e6
    print(f"step {packed['step']}, {packed['pixels']:.3g} pixels, {hours:.2f} h on {packed['hardware']}")
    print(f"PSNR {packed['psnr']}; {size:.2f} MB")


if __name__ == "__main__":
    main()
