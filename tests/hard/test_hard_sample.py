"""A fair sample of odd, broken and rare files through `vsr upscale`; `sweep.py` runs all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hard.check import check
from tests.hard.sweep import files_of
from tests.support import clips

EVERY = 8  # of the table, which is in order of kinds


def sample() -> list[tuple[str, tuple[str, ...]]]:
    return list(files_of(clips.HARD))[::EVERY] if clips.HARD.exists() else []


@pytest.mark.slow
@clips.needs_hard
@pytest.mark.parametrize(("name", "options"), sample(), ids=[name for name, _ in sample()])
def test_a_correct_output_or_one_clear_error(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    outcome = check(clips.HARD / name, tmp_path / "out", name=name, options=options)
    assert outcome.verdict in ("ok", "refused"), outcome.told
