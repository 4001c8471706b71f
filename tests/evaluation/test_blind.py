"""Choosing between two pictures without their names, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from tests.support.browser import browser, needs_chromium
from vsr.cli import main

CHOICES = 3  # the picture and its crops


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Two versions of a picture, and the original."""
    original = np.random.default_rng(0).integers(0, 256, (200, 240, 3)).astype(np.uint8)
    for name, less in (("</script>a.png", 1), ("b.png", 60), ("original.png", 0)):
        Image.fromarray(original - np.minimum(original, less)).save(tmp_path / name.replace("/", "_"))
    return [str(tmp_path / name) for name in ("<_script>a.png", "b.png", "original.png")]


@needs_chromium
@pytest.mark.parametrize("referenced", [False, True])
def test_keys_choose_and_the_tally_names_the_chosen(
    referenced: bool, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", *pictures[: 2 + referenced], "-o", str(page), "--blind"]) == 0
    assert "wrote" in capsys.readouterr().out
    with browser(tmp_path / "profile") as tab:
        tab.open(page.as_uri())
        seen = []
        for _ in range(CHOICES):
            text = tab.run("return document.body.innerText")
            assert "a.png" not in text
            assert "b.png" not in text
            assert ("original" in text) == referenced
            first_is_a = tab.run(
                "const given = JSON.parse(document.getElementById('given').textContent);"
                "return given.trials.some(trial => trial.pictures[0] === document.getElementById('one').src)"
            )
            seen.append(first_is_a)
            tab.press("3")  # does nothing
            tab.press("1" if first_is_a else "2")
        tab.press("1")  # comes too late
        tally = json.loads(tab.run("return document.getElementById('tally').textContent"))
        assert tally["chosen"] == {"<_script>a.png": CHOICES, "b.png": 0}
        assert [answer["name"] for answer in tally["answers"]] == [
            "frame 0",
            "frame 0, crop 1",
            "frame 0, crop 2",
        ]
        assert sum(answer["left"] == "<_script>a.png" for answer in tally["answers"]) == sum(seen)
        saved = tab.run("return document.getElementById('save').href")
        assert json.loads(unquote(saved.partition(",")[2])) == tally
        assert not tab.run("return document.getElementById('one').offsetParent")


@needs_chromium
def test_a_click_chooses_too(pictures: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", *pictures[:2], "-o", str(page), "--blind", "--quiet"]) == 0
    with browser(tmp_path / "profile") as tab:
        tab.open(page.as_uri())
        for place in range(CHOICES):
            assert (
                tab.run("return document.getElementById('count').textContent") == f"{place + 1} of {CHOICES}"
            )
            tab.run("document.getElementById('two').click()")
        assert (
            sum(json.loads(tab.run("return document.getElementById('tally').textContent"))["chosen"].values())
            == 3
        )
