"""vsr: the network by `vsr model import`, then the job of `vsr upscale`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.peer import Peer, Task


class VsrItself(Peer):
    name = "vsr"
    licence = "Apache-2.0"

    def prepare(self, task: Task) -> None:
        import vsr
        from vsr.jobs.upscale import UpscaleJob
        from vsr.media.types import SinkOptions

        package = Path("package").absolute()  # In the driver's folder for this run.
        if not package.exists():
            vsr.import_model(task.folder / "compact.safetensors", package)
        sink = SinkOptions(encoder="libx264", preset=task.preset, crf=task.crf, overwrite=True)
        network = vsr.NetworkOptions(str(package))
        # A job keeps the compiled network for the next input.
        self.job = UpscaleJob(vsr.UpscaleConfig(("in.mp4",), "out.mp4", network, sink=sink))

    def run(self, clip: str, output: str) -> tuple[int, float]:
        report = self.job.run(clip, output)
        return report.frames_out, report.seconds


PEER = VsrItself()
