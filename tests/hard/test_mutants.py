"""A sample of damaged media files; `mutants.py` alone makes and judges thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hard import mutants
from tests.support.processes import PATIENCE_S
from tests.support.tiers import slow


@slow
def test_nothing_crashes_hangs_or_is_lost_unsaid(tmp_path: Path) -> None:
    seen = list(mutants.judged(0, 30, PATIENCE_S, tmp_path))
    assert [(name, why) for verdict, name, why in seen if verdict == "PROBLEM"] == []
    assert len(seen) == 30
    assert {verdict for verdict, _, _ in seen} == {"ok", "refused"}


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        ("os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("time.sleep(60)", "no end within 2 s"),
        ("os.write(2, b'[h264 @ 0x5] oops\\n'), ('ok', '')", "oops"),
    ],
)
def test_what_goes_wrong_is_seen_and_the_rest_goes_on(
    judge: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, os, time; from tests.hard import mutants\n"
        "mutants.mutant = lambda number: (f'{number}.bin', b'')\n"
        f"mutants._judge = lambda file: ({judge})[-1] if file.stem == '1' else ('ok', '')\n"
        "sys.exit(mutants.main())\n"
    )
    program = tmp_path / "pretended.py"
    program.write_text(code)
    monkeypatch.setattr(mutants, "__file__", str(program))
    monkeypatch.setenv("PYTHONPATH", str(mutants.ROOT))
    seen = list(mutants.judged(0, 3, 2, tmp_path))
    assert [verdict for verdict, _, _ in seen] == ["ok", "PROBLEM", "ok"]
    assert words in seen[1][2]
