"""Targets by a trained network, its own included, instead of the originals.

Details of an original that its reduction does not determine are noise to a small network: it learns faster from the results of
a better network (Hinton et al., "Distilling the knowledge in a neural network", 2015). Better than any network is the mean of
its results for a picture turned and mirrored (Timofte et al., "Seven ways to improve example-based single image super
resolution", 2016), which costs eight times as much, and can be learnt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vsr.core.control import Cancelled, Control
from vsr.core.errors import ConfigError
from vsr.evaluation.datasets import LumaPair
from vsr.evaluation.evaluate import larger_luma
from vsr.upscale.upscaler import Upscaler

Luma = npt.NDArray[np.uint8]

REPORT_EVERY_S = 30.0


def taught(
    pairs: Sequence[LumaPair],
    model: str,
    scale: int,
    say: Callable[[str], None],
    control: Control,
) -> list[LumaPair]:
    """`pairs` with new ground truth: the result of `model`, the name or path of a package, for their low resolution.

    `say` gets the progress now and then. Raises Cancelled once `control` is stopped, for nothing is learnt yet that
    could be kept, ConfigError for a model of another scale, and what `Upscaler` raises.
    """
    found: dict[int, LumaPair] = {}
    with Upscaler(model) as upscaler:
        if upscaler.scale != scale:
            raise ConfigError(
                f"the teacher {upscaler.spec.id} is of scale {upscaler.scale}, and the recipe of {scale}",
                hint="name one of the same scale (`vsr model list`)",
            )
        said = time.monotonic()
        # One size after the other: for each a graph is compiled.
        for number, pair in sorted(enumerate(pairs), key=lambda item: item[1].lr.shape):
            if control.stopped:
                raise Cancelled
            found[number] = LumaPair(pair.name, pair.lr, _of_all_turns(upscaler, pair.lr))
            if time.monotonic() - said > REPORT_EVERY_S:
                said = time.monotonic()
                say(f"{upscaler.spec.id} has enlarged {len(found)} of {len(pairs)} pictures")
    return [found[number] for number in range(len(pairs))]


def _of_all_turns(upscaler: Upscaler, luma: Luma) -> Luma:
    """Mean over the eight flips and rotations, rounded."""
    turns: npt.NDArray[np.float32] = np.zeros((), np.float32)
    for quarters in range(4):
        turned = np.rot90(luma, quarters)
        plain = larger_luma(upscaler, np.ascontiguousarray(turned))
        mirrored = larger_luma(upscaler, np.ascontiguousarray(turned[:, ::-1]))[:, ::-1]
        turns = turns + np.rot90(plain.astype(np.float32) + mirrored, -quarters)
    return np.asarray(np.rint(turns / 8), np.uint8)
