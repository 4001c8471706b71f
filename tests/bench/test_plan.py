"""Which cases a configuration and a suite come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsr.bench.config import BenchConfig
from vsr.bench.plan import least_seconds, plan
from vsr.bench.suite import load_suite, shipped_suites
from vsr.core.errors import ConfigError, EncoderUnavailableError
from vsr.upscale.upscaler import Upscaler


def cases(config: BenchConfig) -> list[str]:
    return [f"{network} > {output}" for network in plan(config).networks for output in network.outputs]


def test_every_combination_is_a_case_once() -> None:
    config = BenchConfig(
        models=("fast", "bicubic", "fast"),
        sizes=((64, 48), (96, 64)),
        precisions=("fp32", "bf16"),
        encoders=("null", "libx264", "hevc", "libsvtav1", "ffv1"),
        presets=("superfast", "fast", "9"),
    )
    found = cases(config)
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 7
    assert found[:7] == [
        f"fast, fp32, 64x48 > {sink}"
        for sink in (
            "null",
            "libx264 superfast",
            "libx264 fast",
            "libx265 superfast",
            "libx265 fast",
            "libsvtav1 9",
            "ffv1",
        )
    ]


def test_frames_in_flight_are_an_axis_and_what_the_network_runs_with() -> None:
    planned = plan(
        BenchConfig(models=("bicubic",), sizes=((64, 48),), encoders=("null",), in_flights=(1, 5, 1))
    )
    assert [str(network) for network in planned.networks] == [
        "bicubic, 64x48, 1 in flight",
        "bicubic, 64x48, 5 in flight",
    ]
    for network, count in zip(planned.networks, (1, 5), strict=True):
        with network.as_asked(), Upscaler(network.options) as upscaler:
            assert upscaler.in_flight == count
    with pytest.raises(ConfigError, match="in_flights must be from 1 to 64, got 0"):
        BenchConfig(in_flights=(0,))


def test_what_is_not_given_is_vsrs_own_choice() -> None:
    planned = plan(BenchConfig(models=("fast",)))
    assert cases(BenchConfig(models=("fast",))) == [
        "fast, 960x540 > null",
        "fast, 960x540 > libx264 veryfast",
    ]
    assert (planned.suite, planned.budget_s, planned.limited, planned.frames) == ("", 40.0, False, 300)
    assert cases(BenchConfig(input="in.mp4", encoders=("null",))) == ["auto > null"]


def test_nothing_given_is_the_default_suite() -> None:
    planned = plan(BenchConfig())
    assert planned.suite == "default"
    assert planned.limited
    assert planned.budget_s <= 180
    assert planned == plan(BenchConfig(suite="default"))
    assert plan(BenchConfig(budget_s=9.0)).budget_s == 9.0


def test_what_is_given_beside_a_suite_takes_the_place_of_its_own() -> None:
    found = cases(BenchConfig(suite="default", models=("bicubic",), sizes=((64, 48),), encoders=("null",)))
    assert found == ["bicubic, 64x48 > null"]
    clips = plan(BenchConfig(suite="default", input="in.mp4"))
    assert {network.size for network in clips.networks} == {None}


@pytest.mark.parametrize("name", shipped_suites())
def test_suites_that_come_with_vsr_are_whole(name: str) -> None:
    assert load_suite(name).title
    assert plan(BenchConfig(suite=name)).networks


def test_a_suite_leaves_out_encoders_that_are_not_here(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "mine"\nminutes = 1\n[[grid]]\nmodels = ["bicubic"]\nencoders = ["null", "nosuch"]\n'
        'presets = ["of-nosuch"]\n'
    )
    planned = plan(BenchConfig(suite=str(path)))
    assert [str(output) for output in planned.networks[0].outputs] == ["null"]
    (left_out,) = planned.left_out
    assert left_out.what == "nosuch"
    assert "no video encoder 'nosuch'" in left_out.reason
    with pytest.raises(EncoderUnavailableError):
        plan(BenchConfig(encoders=("nosuch",)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("title = ", "is not TOML"),
        ('title = "t"\n', "grid is missing"),
        ('title = "t"\ngrid = []\n', "grid is empty"),
        ('title = "t"\n[[grid]]\nmodel = ["fast"]\n', "grid: each: model is unknown"),
        ('title = "t"\n[[grid]]\nsizes = ["64x48"]\n', "sizes: each must be a list, got '64x48'"),
        ('title = "t"\n[[grid]]\nsizes = [[64]]\n', "sizes: each must be a list of 2, got [64]"),
        ('title = "t"\n[[grid]]\nprecisions = ["fp31"]\n', "precisions: each must be fp32, "),
        ('title = "t"\n[[grid]]\nin_flights = [65]\n', "in_flights must be from 1 to 64, got 65"),
        ('title = "t"\nminutes = 0\n[[grid]]\n', "minutes must be from 0.1 to 1440, got 0"),
    ],
)
def test_a_suite_that_is_not_whole_says_where(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        plan(BenchConfig(suite=str(path)))
    assert str(path) in caught.value.message
    assert words in caught.value.message


def test_an_unknown_suite_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there is no suite 'nosuch'") as caught:
        plan(BenchConfig(suite="nosuch"))
    assert caught.value.hint == "give default, encoders, models, or the path of a .toml file"


def test_the_least_a_network_takes() -> None:
    # Two frames of warm-up and three that count, alone and into each of two outputs; three for what inferring comes to.
    assert least_seconds(2.0, 1, 2) == 2.0 * (5 * 3 + 3)
