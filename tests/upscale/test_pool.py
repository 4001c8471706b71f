"""A pool makes each Upscaler once, and keeps those used last."""

from __future__ import annotations

import numpy as np
import pytest

from vsr.core.errors import UnknownModelError
from vsr.upscale.options import NetworkOptions
from vsr.upscale.pool import UpscalerPool
from vsr.upscale.upscaler import Upscaler

PICTURE = np.zeros((8, 8), np.uint8)


def used(pool: UpscalerPool, options: NetworkOptions) -> Upscaler:
    """With an engine, which it loses when it is closed."""
    upscaler = pool.upscaler(options)
    upscaler.upscale(PICTURE)
    return upscaler


def test_each_use_has_its_own_and_auto_chooses_for_each() -> None:
    with UpscalerPool() as pool:
        named, auto = NetworkOptions("fast"), NetworkOptions(backend="openvino")
        assert pool.upscaler(named, "picture") is not pool.upscaler(named, "video")
        assert pool.upscaler(named, "picture") is pool.upscaler(named, "picture")
        for use, model in (("picture", "quality-x2"), ("video", "balanced-x2"), ("picture", "quality-x2")):
            assert pool.upscaler(auto, use).spec.id == model  # type: ignore[arg-type]
        assert pool.upscaler(NetworkOptions("fast", scale=4)).passes == 2


def test_beyond_four_the_one_used_longest_ago_is_closed() -> None:
    options = [NetworkOptions("bicubic", threads=threads) for threads in range(1, 6)]
    pool = UpscalerPool()
    made = [used(pool, each) for each in options[:4]]
    assert used(pool, options[0]) is made[0]
    made.append(used(pool, options[4]))
    assert [bool(upscaler.network.compiled) for upscaler in made] == [True, False, True, True, True]
    assert pool.upscaler(options[0]) is made[0]
    with pytest.raises(UnknownModelError):
        pool.upscaler(NetworkOptions("no such model"))
    assert sum(bool(upscaler.network.compiled) for upscaler in made) == 4, "what fails closes none"
    assert pool.upscaler(options[1]) is not made[1]
    pool.close()
    pool.close()
    assert not any(upscaler.network.compiled for upscaler in made)
