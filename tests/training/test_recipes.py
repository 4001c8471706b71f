"""Recipes: the shipped ones keep their budgets, and a wrong one says what is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsr.core.errors import ConfigError
from vsr.training.recipe import TrainRecipe, load_recipe, recipe_from_dict, shipped_recipes
from vsr.training.schedule import chunk_rates, fraction_done, learning_rate

BUDGETS = {
    "fast-x2": 16_000,
    "balanced-x2": 60_000,
    "anime": 700_000,
    "balanced-x4": 80_000,
    "quality-x2-light": 700_000,
    "quality-x2": 420_000,
    "quality-x4": 700_000,
    "restore": 700_000,
    "temporal-x2": 65_000,
    "temporal-x4": 105_000,
    "tiny-x2": 3_000,
}


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipe_keeps_within_its_multiply_adds(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    if recipe.rgb:
        return  # It takes what network it is given.
    budget = next(limit for prefix, limit in BUDGETS.items() if name.startswith(prefix))
    assert recipe.spec.macs_per_pixel <= budget


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_does_without_a_teacher(name: str) -> None:
    """What is beyond the photographs themselves only a teacher knows."""
    before, alone = load_recipe(name), load_recipe(name).changed(teacher="")
    assert not alone.data.teacher
    assert list(alone.data.hr_scales) == [scale for scale in before.data.hr_scales if scale <= 1]


def test_a_recipe_survives_being_written_down() -> None:
    recipe = load_recipe("fast-x2")
    table = recipe.as_dict()
    assert recipe_from_dict(table.pop("name"), table) == recipe


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "steps", 0),
        ("train", "steps", 1.5),
        ("train", "lr", "fast"),
        ("train", "loss", "l3"),
        ("train", "precision", "fp8"),
        ("train", "mse_share", 1.5),
        ("train", "speed", 1),
        ("data", "patch", 47),
        ("data", "hr_scales", [0.0]),
        ("data", "hr_scales", ["a"]),
        ("data", "hr_scales", 0.5),
        ("train", "seed", 99999999999999999999),
        ("data", "rendered_share", -0.1),
        ("data", "error_power", -1.0),
        ("arch", "depth", 0),
        ("train", "lr", float("inf")),
        pytest.param("train", "lr", 10**400, id="train-lr-endless"),
        ("train", "lr", 1e300),
        ("train", "muon_lr", float("inf")),
        ("train", "weight_decay", float("nan")),
        ("gan", "weight", float("inf")),
    ],
)
def test_a_wrong_value_is_named(section: str, key: str, value: Any) -> None:
    table = load_recipe("fast-x2").as_dict()
    del table["name"]
    table.setdefault(section, {})[key] = value
    where = "" if section == "arch" else f"[{section}] "
    with pytest.raises(ConfigError, match=re.escape(f"recipe mine: {where}") + f".*{key}") as error:
        recipe_from_dict("mine", table)
    assert len(error.value.message) < 120


@pytest.mark.parametrize(("key", "value"), [("arch", "chain"), ("data", 3), ("train", 3), ("gan", True)])
def test_what_should_be_a_table_is_named(key: str, value: Any) -> None:
    table = {"scale": 2, "arch": {"name": "chain", "channels": 8, "depth": 2}, key: value}
    with pytest.raises(ConfigError, match=f"{key} must be a table, got {value!r}"):
        recipe_from_dict("mine", table)


def test_a_patch_is_of_whole_blocks_of_the_network() -> None:
    table = {"scale": 2, "arch": {"name": "encdec"}, "data": {"patch": 10}}
    with pytest.raises(ConfigError, match=r"\[data\] patch must be a multiple of 4 for encdec, got 10"):
        recipe_from_dict("mine", table)
    assert recipe_from_dict("mine", table | {"data": {"patch": 12}}).data.patch == 12


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("scale = = 2")
    (tmp_path / "deep.toml").write_text("scale = " + "[" * 50_000)
    (tmp_path / "long.toml").write_text("scale = " + "1" * 5_000)
    for name, word in (
        (tmp_path / "a.toml", "not TOML"),
        (tmp_path / "deep.toml", "not TOML"),
        (tmp_path / "long.toml", "not TOML"),
        (tmp_path / "b.toml", "cannot read"),
        ("nosuch", "no recipe"),
    ):
        with pytest.raises(ConfigError, match=word):
            load_recipe(name)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('scale = 2\n[arch]\nname = "espcn"\n', encoding="utf-8-sig")
    assert load_recipe(tmp_path / "a.toml").arch == "espcn"


def test_rate_rises_then_falls_to_zero() -> None:
    recipe = TrainRecipe(steps=1000, lr=1e-3, warmup=100)
    rates = [learning_rate(recipe, step, fraction_done(step, 1000, 0, None)) for step in range(1001)]
    assert rates[0] == pytest.approx(1e-5, rel=0.01)
    assert max(rates) == pytest.approx(1e-3, rel=0.05)
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)


def test_the_clock_ends_the_schedule_where_the_steps_would_not() -> None:
    assert fraction_done(10, 1000, 30.0, 60.0) == 0.5
    assert fraction_done(900, 1000, 30.0, 60.0) == 0.9
    assert fraction_done(10, 1000, 90.0, 60.0) == 1.0
    recipe = TrainRecipe(steps=1000, warmup=0, mse_share=0.2)
    rates = chunk_rates(recipe, first=10, count=10, seconds=45.0, step_s=1.0, limit_s=60.0)
    np.testing.assert_array_equal(rates[:, 1], [0, 0, 0, 1, 1, 1, 1, 1, 1, 1])  # From 48 of 60 seconds on.
    assert np.all(np.diff(rates[:, 0]) < 0)


def test_a_rate_in_steps_is_halved_as_often_as_told() -> None:
    recipe = TrainRecipe(steps=1000, lr=1e-3, warmup=0, schedule="step", halvings=3)
    rates = [learning_rate(recipe, step, fraction_done(step, 1000, 0, None)) for step in range(1001)]
    assert sorted(set(rates), reverse=True) == [1e-3, 5e-4, 2.5e-4, 1.25e-4]
    assert [rates.count(rate) for rate in sorted(set(rates), reverse=True)] == pytest.approx([250] * 4, abs=1)


@pytest.mark.parametrize(
    "setting",
    [
        {"loss": "l2"},
        {"schedule": "linear"},
        {"optimizer": "sgd"},
        {"precision": "int8"},
        {"weight_decay": -1.0},
    ],
)
def test_settings_that_are_not_there(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        TrainRecipe(**setting)
