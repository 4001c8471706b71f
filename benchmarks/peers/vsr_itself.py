"""vsr, of whatever tree comes first in the path: the network by `vsr model import`, then `vsr.upscale_file`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmarks.peers.peer import Peer, Task


class VsrItself(Peer):
    name = "vsr"
    licence = "Apache-2.0"

    def prepare(self, task: Task) -> None:
        import vsr

        self.task = task
        tree = hashlib.sha256(str(Path(vsr.__file__).parent).encode()).hexdigest()[:8]
        self.package = task.folder / f"package-{tree}"
        if not self.package.exists():
            vsr.import_model(task.folder / "compact.safetensors", self.package)

    def run(self, clip: str, output: str) -> tuple[int, float]:
        import vsr

        report = vsr.upscale_file(
            clip, output, model=str(self.package), preset=self.task.preset, crf=self.task.crf
        )
        # The others have loaded their network before they begin, too.
        return report.frames_out, report.seconds - report.setup_s


PEER = VsrItself()
