"""FFmpeg's lanczos with the same encoder: no network at all, so the most that the rest allows."""

from __future__ import annotations

import shutil
import subprocess
import time

from benchmarks.peers.peer import Peer, Task


class FfmpegLanczos(Peer):
    name = "FFmpeg's lanczos"
    licence = "GPL-2.0-or-later"

    def left_out(self) -> str | None:
        return None if shutil.which("ffmpeg") else "needs ffmpeg"

    def prepare(self, task: Task) -> None:
        self.task = task

    def run(self, clip: str, output: str) -> tuple[int, float]:
        task = self.task
        larger = f"scale=iw*{task.scale}:ih*{task.scale}:flags=lanczos"
        encoder = ["-c:v", "libx264", "-preset", task.preset, "-crf", str(task.crf)]
        command = ["ffmpeg", "-v", "error", "-i", clip, "-vf", larger, *encoder, "-y", output]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
        asked = ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-of", "csv=p=0"]
        asked += ["-show_entries", "stream=nb_read_packets", output]
        counted = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        return int(counted.split(",")[0]), seconds


PEER = FfmpegLanczos()
