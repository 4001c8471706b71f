"""What a result says of where it was measured."""

from __future__ import annotations

from vsr import __version__
from vsr.machine.environment import environment


def test_versions_that_matter_are_named() -> None:
    versions = environment().versions
    assert versions["vsr"] == __version__
    assert versions["av"]
    assert versions["numpy"]
    assert "openvino" in versions
