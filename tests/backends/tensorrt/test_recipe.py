"""Recipes of engines: what they may say, and how what they may not say is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.recipes import recipe
from vsr.backends.tensorrt.build import build_engine
from vsr.backends.tensorrt.recipe import Extent, load_recipe, recipe_for, recipe_from_dict
from vsr.backends.tensorrt.store import EngineStore
from vsr.core.errors import (
    ConfigError,
)
from vsr.models.registry import find_model
from vsr.models.spec import GraphLayout, load_spec

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", sorted((ROOT / "engines" / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_the_recipes_that_come_along_are_whole(path: Path) -> None:
    found = load_recipe(path)
    assert recipe_from_dict(found.as_dict()) == found
    assert find_model(found.model).id == found.model


def test_a_package_of_ones_own_is_not_mistaken_for_one_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(find_model("bicubic").folder, tmp_path / "fast")
    monkeypatch.chdir(tmp_path)
    spec, layout = load_spec(Path("fast")), GraphLayout("gray", 1)
    found = recipe_for(spec, layout, {"y": (1, 1, 48, 64)}, "fp32")
    assert find_model(found.model).id == "bicubic-x2"
    assert (found.width, found.height, found.precision) == (Extent(64, 64, 64), Extent(48, 48, 48), "fp32")


def test_shapes_of_planes() -> None:
    found = recipe(width=[64, 128, 130], height=48, batch=[1, 2, 4], layout="yuv16-left")
    assert found.width == Extent(64, 128, 130)
    shapes = found.plane_shapes()
    assert shapes["y"] == ((1, 1, 48, 128), (2, 1, 48, 256), (4, 1, 48, 260))
    assert shapes["u"] == ((1, 1, 24, 64), (2, 1, 24, 128), (4, 1, 24, 130))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"widht": 3}, "widht"),
        ({"width": [3, 2, 1]}, "min, opt, max"),
        ({"width": 0}, "from 1 to 16384"),
        ({"height": 2**63}, "from 1 to 16384"),
        ({"batch": 65}, "from 1 to 64"),
        ({"width": 16384, "height": 16384, "batch": 2}, "too much for one engine"),
        ({"workspace_mb": 10**17}, "workspace_mb"),
        ({"compute_capabilities": ["8.²"]}, "not a compute capability"),
        ({"model": "x" * 300}, "too long"),
        ({"width": "64"}, "width"),
        ({"precision": "int4"}, "precision"),
        ({"layout": "nv12"}, "layout"),
        ({"compute_capabilities": ["Ada"]}, "Ada"),
        ({"compute_capabilities": ["9.0"]}, "9.0"),
        ({"optimization_level": 9}, "optimization_level"),
        ({"workspace_mb": "much"}, "workspace_mb"),
        ({"keep_fp32": ["net/conv99"]}, "does not make"),
        ({"min_psnr_db": 100}, "min_psnr_db"),
    ],
)
def test_what_cannot_be_is_refused_in_words(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        build_engine(recipe(**settings), EngineStore(tmp_path))
    assert not [p for p in tmp_path.iterdir() if p.name != ".lock"]


def test_a_gpu_without_fp8_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"8\.6 does not compute in fp8") as raised:
        build_engine(recipe(precision="fp8", compute_capabilities=["12.0", "8.6"]), EngineStore(tmp_path))
    assert raised.value.hint == "--precision int8"
