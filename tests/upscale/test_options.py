"""What is asked of a network is checked in one place."""

from __future__ import annotations

from typing import Any

import pytest

from vsr.core.errors import ConfigError
from vsr.models import find_model
from vsr.upscale.options import NetworkOptions


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": 0.5}, "scale 0.5 is out of range"),
        ({"scale": 40}, "scale 40 is out of range"),
        ({"scale": float("nan")}, "scale nan is out of range"),
        ({"tile": 15}, "tile 15 is out of range"),
        ({"tile": -1}, "tile -1 is out of range"),
        ({"tile": 10**11}, "tile 100000000000 is out of range"),
        ({"batch": 0}, "batch 0 is out of range"),
        ({"batch": 65}, "batch 65 is out of range"),
        ({"threads": -1}, "threads -1 is out of range"),
        ({"threads": 10**11}, "threads 100000000000 is out of range"),
        ({"precision": "fp9"}, "there is no precision 'fp9'"),
        ({"temporal": "yes"}, "temporal is 'yes'"),
    ],
)
def test_what_is_out_of_range_is_refused_with_a_hint(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        NetworkOptions(**options)
    assert refused.value.hint


def test_the_ends_of_each_range_are_in_it() -> None:
    NetworkOptions(scale=1, tile=0, batch=1, threads=0)
    NetworkOptions(scale=16, tile=32768, batch=64, threads=1024)
    NetworkOptions(tile=16)


def test_a_scale_that_a_model_does_not_come_to_is_refused_and_others_are_named() -> None:
    spec = find_model("fast-x2")
    NetworkOptions().check_reached(spec, 2)
    NetworkOptions(scale=4).check_reached(spec, 4)
    with pytest.raises(ConfigError, match="x3 cannot be reached by fast-x2, which enlarges by 4") as refused:
        NetworkOptions(scale=3).check_reached(spec, 4)
    assert refused.value.hint is not None
    assert "bicubic-x3" in refused.value.hint
