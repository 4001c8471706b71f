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
from PIL import Image, ImageDraw, ImageFont

from vsr.evaluation.demo import CLIP
from vsr.evaluation.pictures import busiest
from vsr.models.registry import find_model, shipped_models
from vsr.upscale import Upscaler

FOLDER = Path(__file__).parent / "crops"
FRAME, PIECES = 40, 3
SIDE, ZOOM, GAP, LABEL = 96, 3, 8, 28


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
    step = SIDE * ZOOM + GAP
    sheet = Image.new("RGB", (len(columns) * step - GAP, LABEL + len(places) * step - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for column, (name, picture) in enumerate(columns.items()):
        pen.text((column * step + 2, 2), name, fill="black", font=font)
        for row, (top, left) in enumerate(places):
            piece = Image.fromarray(picture[top : top + SIDE, left : left + SIDE])
            zoomed = piece.resize((SIDE * ZOOM, SIDE * ZOOM), Image.Resampling.NEAREST)
            sheet.paste(zoomed, (column * step, LABEL + row * step))
    path = FOLDER / f"{model}.png"
    FOLDER.mkdir(exist_ok=True)
    sheet.save(path, optimize=True)
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
