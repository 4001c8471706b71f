"""framelift, a program for the same task, with its OpenVINO backend and nothing but the network's picture."""

from __future__ import annotations

import time

from benchmarks.peers.peer import Peer, Task


class Framelift(Peer):
    name = "framelift"
    requirements = ("framelift-video[intel]==2.1.0", "openvino==2026.4.1", "torch==2.14.1", "numpy==2.4.6")
    licence = "MIT"

    def prepare(self, task: Task) -> None:
        from framelift import EnhanceOptions, VideoEnhancer

        options = EnhanceOptions(
            model="realesr-animevideov3",
            scale=task.scale,
            ai_strength=1.0,
            device="cpu",
            backend="openvino",
            tile=0,
            weights_dir=task.folder / "framelift",
            x264_preset=task.preset,
            crf=task.crf,
        )
        self.enhancer = VideoEnhancer(options)

    def run(self, clip: str, output: str) -> tuple[int, float]:
        began = time.perf_counter()
        done = self.enhancer.enhance(clip, output, show_progress=False)
        return done.frames_written, time.perf_counter() - began


PEER = Framelift()
