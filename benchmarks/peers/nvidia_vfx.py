"""NVIDIA's video effects on a GPU. Not written further than this: no machine that could try it has had both it and a GPU."""

from __future__ import annotations

from benchmarks.peers.peer import Peer, Task, no_gpu


class NvidiaVfx(Peer):
    name = "nvidia-vfx"
    licence = "proprietary"

    def left_out(self) -> str | None:
        return no_gpu() or "nothing that runs it is written yet"

    def prepare(self, task: Task) -> None:
        raise NotImplementedError

    def run(self, clip: str, output: str) -> tuple[int, float]:
        raise NotImplementedError


PEER = NvidiaVfx()
