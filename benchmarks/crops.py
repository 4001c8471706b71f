"""Draw crops/MODEL.png for each network: the reduced picture, bicubic, the network and the original, side by side.

    python benchmarks/crops.py [MODEL...]

The original is a frame of the clip that comes with vsr (Big Buck Bunny, (c) 2008 Blender Foundation, CC-BY 3.0), which no
network was trained on.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vsr.evaluation.pictures import busiest, pieces
from vsr.media.samples import CLIP
from vsr.models.registry import find_model, shipped_models
from vsr.upscale.upscaler import Upscaler

FOLDER = Path(__file__).parent / "crops"
FRAME, PIECES, SIDE = 40, 3, 96


def original() -> NDArray[np.uint8]:
    """An RGB picture (height, width, 3) whose sides all scales divide."""
    with av.open(str(CLIP)) as container:
        frame = next(islice(container.decode(video=0), FRAME, None))
    picture = frame.to_ndarray(format="rgb24")
    return np.asarray(picture[: picture.shape[0] // 12 * 12, : picture.shape[1] // 12 * 12], np.uint8)


def versions(model: str, scale: int, whole: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """The same picture in every column, by what stands above it."""
    height, width = whole.shape[:2]
    picture = Image.fromarray(whole)
    small = np.asarray(picture.resize((width // scale, height // scale), Image.Resampling.BICUBIC))
    found = {f"reduced {scale} times": small.repeat(scale, 0).repeat(scale, 1)}
    for name in ("bicubic", model):
        with Upscaler(name, scale=scale) as upscaler:
            found[name] = upscaler.upscale(small)
    return found | {"original": whole}


def draw(model: str) -> Path:
    """Write the picture of one model."""
    scale = find_model(model).scale
    columns = versions(model, scale, original())
    places = busiest(columns["bicubic"], columns[model], SIDE, PIECES)
    path = FOLDER / f"{model}.png"
    FOLDER.mkdir(exist_ok=True)
    pieces(columns, places, SIDE, path)
    return path


def main() -> None:
    networks = [spec.id for spec in shipped_models() if spec.training]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=networks, metavar="MODEL")
    for model in parser.parse_args().models:
        path = draw(model)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
