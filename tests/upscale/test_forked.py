"""An Upscaler in a child that was forked: an error, where it waited for threads that are not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import PATIENCE_S
from tests.support.usable import backends

PROGRAM = """
import os, sys
import numpy as np
import vsr
from vsr.core.errors import InferenceError
picture = np.zeros((16, 16), np.uint8)
backend, anew = sys.argv[1:]
upscaler = vsr.Upscaler("bicubic", backend=backend)
upscaler.upscale(picture)
child = os.fork()
if not child:
    try:
        if anew == "anew":
            upscaler = vsr.Upscaler("bicubic", backend=backend)
        print(upscaler.upscale(picture).shape, flush=True)
    except InferenceError as error:
        print(f"{error.message}; {error.hint}", flush=True)
    upscaler.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", upscaler.upscale(picture).shape)
"""


def test_a_forked_child_is_told_to_open_its_own() -> None:
    check("openvino", "inherited")


@pytest.mark.slow
@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("anew", ["inherited", "anew"])
def test_so_it_is_with_every_backend(backend: str, anew: str) -> None:
    check(backend, anew)


def check(backend: str, anew: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, backend, anew],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    child, parent = done.stdout.splitlines()
    assert parent == "parent (32, 32)"
    assert "forked" in child
    assert "multiprocessing.get_context('spawn')" in child
