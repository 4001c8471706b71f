"""ncnn on the processor with its own defaults, as the ncnn programs of Real-ESRGAN without a GPU."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import Loop, Task


class NcnnLoop(Loop):
    name = "ncnn"
    requirements = ("ncnn==1.0.20261020", "av==18.1.0", "numpy==2.4.6")
    licence = "BSD-3-Clause"

    def prepare(self, task: Task) -> None:
        import ncnn

        self.task, self.ncnn = task, ncnn
        self.net = ncnn.Net()
        self.net.load_param(str(task.folder / "compact.param"))
        self.net.load_model(str(task.folder / "compact.bin"))

    def enlarge(self, rgb: Any) -> Any:
        import numpy as np

        height, width = rgb.shape[:2]
        kind = self.ncnn.Mat.PixelType.PIXEL_RGB
        picture = self.ncnn.Mat.from_pixels(rgb, kind, width, height)
        picture.substract_mean_normalize([], [1 / 255] * 3)
        extractor = self.net.create_extractor()
        extractor.input("data", picture)
        large = np.array(extractor.extract("output")[1])
        return np.ascontiguousarray((large.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


PEER = NcnnLoop()
