"""How different pictures look, by the features of networks that were trained for recognition.

LPIPS with AlexNet (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018) and DISTS
(Ding et al., "Image quality assessment: unifying structure and texture similarity", 2020), both by torchmetrics. Neither that
package nor vsr has the weights of the networks: they are where torchvision keeps them, or nowhere. Nothing is downloaded.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vsr.core.errors import MissingDependencyError, WeightsError, reason
from vsr.core.extras import install
from vsr.evaluation.figures import Figures

Picture = npt.NDArray[np.uint8]

SIDE = 32
"""The least side of a picture, in pixels: AlexNet has nothing left of smaller ones."""


class Perceptual:
    """Measures pictures by LPIPS, DISTS, both or none."""

    def __init__(self, *, lpips: bool = False, dists: bool = False) -> None:
        """Raises MissingDependencyError where torchmetrics or weights are missing, WeightsError for damaged weights."""
        asked = {"lpips": lpips, "dists": dists}
        self._metrics = {name: _metric(name) for name in asked if asked[name]}

    def figures(self, result: Picture, original: Picture, border: int) -> Figures:
        """0 for equal pictures; of uint8 [H, W, 3]. None where less than 32 pixels a side are left after the border."""
        import torch

        inside = slice(border, -border or None)
        if min(result.shape[:2]) - 2 * border < SIDE:
            return {}
        planes = [
            torch.from_numpy(picture[inside, inside].astype(np.float32) / 255).permute(2, 0, 1)[None]
            for picture in (result, original)
        ]
        with torch.inference_mode():
            return {name: float(metric(*planes)) for name, metric in self._metrics.items()}


def _metric(name: str) -> Any:
    for package in ("torchmetrics", "torchvision"):
        if find_spec(package) is None:
            raise MissingDependencyError(
                f"{name.upper()} needs {package}, which is not installed", hint=install("perceptual")
            )
    from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
    from torchmetrics.image.dists import DeepImageStructureAndTextureSimilarity
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    weights = AlexNet_Weights.DEFAULT if name == "lpips" else VGG16_Weights.DEFAULT
    path = weights_file(weights.url)
    if not path.is_file():
        raise MissingDependencyError(
            f"{name.upper()} needs weights that do not come with it: there is no {path}",
            hint=f"download {weights.url} to there",
        )
    try:
        if name == "lpips":
            return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
        return DeepImageStructureAndTextureSimilarity()
    except Exception as error:  # torch, pickle and zipfile each have their own exceptions for damaged files.
        raise WeightsError(
            f"cannot read {path}: {reason(error)}", hint=f"download {weights.url} again"
        ) from error


def weights_file(url: str) -> Path:
    """Where torchvision keeps a file that it downloads."""
    import torch

    return Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
