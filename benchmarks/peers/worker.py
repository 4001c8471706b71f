"""One peer, in its own environment; the last line is JSON.

python -m benchmarks.peers.worker MODULE TASK FIRST CLIP OUTPUT
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Peer, Task


def main(module: str, task: str, first: str, clip: str, output: str) -> None:
    peer: Peer = import_module(f"benchmarks.peers.{module}").PEER
    given: dict[str, Any] = json.loads(task)
    began = time.perf_counter()
    peer.prepare(Task(**given | {"folder": Path(given["folder"])}))
    peer.run(first, output)
    prepared_s = time.perf_counter() - began
    frames, seconds = peer.run(clip, output)
    found = {"frames": frames, "seconds": round(seconds, 3), "prepared_s": round(prepared_s, 3)}
    print(json.dumps(found | {"packages": [_package(line) for line in peer.requirements]}))


def _package(requirement: str) -> dict[str, str]:
    """What is installed of a requirement, and the licence it states."""
    told = metadata.metadata(requirement.partition("==")[0].partition("[")[0])
    licence = told.get("License-Expression") or (told.get("License") or "").partition("\n")[0] or "not stated"
    return {"name": told["Name"], "version": told["Version"], "licence": licence}


if __name__ == "__main__":
    main(*sys.argv[1:])
