"""What all tests of streams want."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _time_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine what is under way takes longer to go out than a session waits for it."""
    monkeypatch.setattr("vsr.live.session._END_S", 60.0)
