"""Pictures whose lines come by turns from two, as in interlaced video that is not tagged so: no network should sharpen that."""

from __future__ import annotations

import pytest

from vsr.evaluation.evaluate import larger_luma
from vsr.evaluation.metrics import psnr
from vsr.models.registry import SHIPPED, find_model
from vsr.training.degradations import combed
from vsr.training.render import moved_luma
from vsr.upscale.upscaler import Upscaler

# 2 to 6 dB below bicubic. All but tiny-x2 were trained before rendered pictures held combing; in its training one sample in
# eighty did, which was not enough. A network that no longer belongs here says so.
SHARPENS = (
    "anime-x2",
    "balanced-x2",
    "balanced-x4",
    "fast-x2",
    "quality-x2",
    "quality-x4",
    "restore-x2",
    "restore-x4",
    "temporal-x2",
    "temporal-x4",
    "tiny-x2",
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(strict=True, reason="needs a new training"))
        if name in SHARPENS
        else name
        for name in SHIPPED
    ],
)
def test_no_network_is_worse_than_bicubic_on_combing(name: str) -> None:
    scale = find_model(name).scale
    pair = combed("moved", *moved_luma(1, 64 * scale, 4 * scale), scale)
    found = {}
    for model in (name, f"bicubic-x{scale}"):
        with Upscaler(model, precision="fp32") as upscaler:
            found[model] = psnr(larger_luma(upscaler, pair.lr), pair.hr, border=scale)
    assert found[name] >= found[f"bicubic-x{scale}"]
