"""What a process holds that a test may have left: threads of vsr, child processes, open files in the temporary folder."""

from __future__ import annotations

import gc
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# They serve later pools, too, and end with the interpreter.
_MULTIPROCESSING = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
# It keeps a file for its telemetry open, in the folder for caches.
_ONNX_RUNTIME = "/.onnxruntime/"


@dataclass(frozen=True)
class Held:
    """Descriptions of all that is held at one time; each names its kind."""

    items: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        return cls(frozenset([*_threads(), *_children(), *_files()]))

    def left_behind(self, patience_s: float = 10) -> list[str]:
        """What is held now and was not then. What is about to end may take that long to do so."""
        deadline = time.monotonic() + patience_s
        while left := Held.now().items - self.items:
            gc.collect()  # what only cycles hold is closed with them
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return sorted(left)


def _threads() -> list[str]:
    return [
        f"thread {thread.name} ({thread.ident})"
        for thread in threading.enumerate()
        if thread.name.startswith("vsr-")
    ]


def _children() -> list[str]:
    found = []
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:  # the thread has ended, or the kernel does not list children
            continue
        for child in children:
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if not any(name in command for name in _MULTIPROCESSING):
                found.append(f"process {child}: {command}")
    return found


def _files() -> list[str]:
    folder, found = tempfile.gettempdir(), []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        ours = target.startswith(f"{folder}/") and _ONNX_RUNTIME not in target
        if ours and not target.endswith(" (deleted)"):
            found.append(f"file {target}")
    return found
