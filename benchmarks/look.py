"""What `auto` takes for 60 labelled inputs, and what each family does there: look.json.

    python -m benchmarks.look ../shared/data

No network was trained on these: Set5, Set14 and the development set as pictures, the clips of eval/video as video. Each is
reduced to half, damaged as its label says, written to a file and looked at as `vsr probe` does. Noise is white, on R'G'B'; JPEG
is Pillow's, 4:2:0; H.264 is x264's, preset veryfast. PSNR and SSIM are of luma. Interlaced inputs, whose frames are of two
moments, are not reduced; they have no original.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.devset import LIST, named
from vsr import probe
from vsr.evaluation.metrics import psnr, ssim, y_from_rgb
from vsr.evaluation.resize import resize_bicubic
from vsr.models.auto import Use, auto_family, rule_for
from vsr.upscale.upscaler import Upscaler

HERE = Path(__file__).parent
SIDE, PICTURES, FRAMES, SCALE = 480, 44, 9, 2
CLEAN: dict[Use, str] = {"picture": "quality", "video": "balanced"}

# The labels, and the family that is the best for them.
OF_PICTURES = {
    "clean": "quality",
    "noise 6": "restore",
    "noise 12": "restore",
    "JPEG 75": "restore",
    "JPEG 50": "restore",
    "JPEG 30": "restore",
}
OF_VIDEO = {
    "H.264 crf 18": "balanced",
    "H.264 crf 28": "restore",
    "H.264 crf 35": "restore",
    "interlaced": "bicubic",
}

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Labelled:
    """path: of the damaged input. small: pictures of it, as decoded; large: luma of their originals, empty if there is none."""

    name: str
    label: str
    right: str
    use: Use
    path: Path
    small: list[Any] = field(repr=False)
    large: list[NDArray[np.uint8]] = field(repr=False)


def pictures(data: Path, folder: Path) -> Iterator[Labelled]:
    """Each picture with the next label in turn."""
    sets = named(LIST.read_text(encoding="utf-8"))
    paths = [data / "eval" / "image" / "Set14", data / "eval" / "image" / "Set5"]
    found = [file for path in paths for file in sorted(path.glob("*.png"))]
    found += [data / path for path, name in sets.items() if name != "-"]
    for number, (path, label) in enumerate(
        zip(islice(cycle(found), PICTURES), cycle(OF_PICTURES), strict=False)
    ):
        large = cropped(np.asarray(Image.open(path).convert("RGB")))
        small = np.stack([resize_bicubic(large[..., c], 1 / SCALE) for c in range(3)], axis=-1)
        kind, _, value = label.partition(" ")
        if kind == "noise":
            noise = np.random.default_rng(number).normal(0, float(value), small.shape)
            small = np.clip(np.rint(small + noise), 0, 255).astype(np.uint8)
        target = folder / f"{number}{'.jpg' if kind == 'JPEG' else '.png'}"
        Image.fromarray(small).save(target, **({"quality": int(value)} if kind == "JPEG" else {}))
        decoded = np.asarray(Image.open(target).convert("RGB"))
        yield Labelled(
            path.stem, label, OF_PICTURES[label], "picture", target, [decoded], [y_from_rgb(large)]
        )


def cropped(picture: Rgb) -> Rgb:
    """The middle of a picture, of sides that can be halved twice."""
    height, width = (min(side, SIDE) // 4 * 4 for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def videos(data: Path, folder: Path) -> Iterator[Labelled]:
    """Each clip with each label."""
    for path in sorted((data / "eval" / "video").iterdir()):
        with av.open(str(path)) as container:
            decoded = [
                frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), FRAMES)
            ]
        large = [
            av.VideoFrame.from_ndarray(cropped(rgb), "rgb24").reformat(format="yuv420p") for rgb in decoded
        ]
        width, height = large[0].width // SCALE // 2 * 2, large[0].height // SCALE // 2 * 2
        small = [frame.reformat(width, height, "yuv420p", interpolation="BICUBIC") for frame in large]
        for label, right in OF_VIDEO.items():
            target = folder / f"{path.stem} {label}.mkv"
            crf = int(label.split()[-1]) if label != "interlaced" else 10
            frames = small if label != "interlaced" else [woven(*two) for two in pairwise(large)]
            encode(frames, crf, target)
            with av.open(str(target)) as container:
                after = list(container.decode(video=0))
            pairs = [] if label == "interlaced" else [0, FRAMES - 1]
            originals = [large[at].to_ndarray(format="gray") for at in pairs]
            originals = [luma[: height * SCALE, : width * SCALE] for luma in originals]
            yield Labelled(path.stem, label, right, "video", target, [after[at] for at in pairs], originals)


def woven(first: av.VideoFrame, second: av.VideoFrame) -> av.VideoFrame:
    """The upper rows of one frame and the lower rows of another."""
    rows = first.to_ndarray(format="yuv444p").copy()
    rows[:, 1::2] = second.to_ndarray(format="yuv444p")[:, 1::2]
    return av.VideoFrame.from_ndarray(rows, "yuv444p")


def encode(frames: list[av.VideoFrame], crf: int, target: Path) -> None:
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for number, frame in enumerate(frames):
            shown = frame.reformat(format="yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(shown))
        container.mux(stream.encode())


def luma(picture: Any) -> NDArray[np.uint8]:
    """As its original has it: of BT.601 for pictures, as it lies for video."""
    return y_from_rgb(picture) if isinstance(picture, np.ndarray) else picture.to_ndarray(format="gray")


@cache
def upscaler(family: str, strength: float | None = None) -> Upscaler:
    return Upscaler(family, scale=SCALE, precision="fp32", strength=strength)


def measured(given: Labelled) -> dict[str, Any]:
    """The look at an input, and PSNR and SSIM of each family."""
    look = probe(str(given.path)).look
    rule = rule_for(look, given.use)
    family, why = auto_family(given.use, on_gpu=False, rule=rule)
    figures = {}
    for name in ("bicubic", CLEAN[given.use], "restore") if given.large else ():
        strength = rule.strength if rule and name == rule.family else None
        large = [luma(upscaler(name, strength).upscale(picture)) for picture in given.small]
        pairs = list(zip(large, given.large, strict=True))
        figures[name] = (
            round(float(np.mean([psnr(a, b, border=SCALE) for a, b in pairs])), 3),
            round(float(np.mean([ssim(a, b, border=SCALE) for a, b in pairs])), 4),
        )
    return {
        "name": given.name,
        "label": given.label,
        "right": given.right,
        "taken": family,
        "why": why,
        "look": {
            key: getattr(look, key)
            for key in ("noise", "quantizer", "blocking", "sharpness", "shading", "combing")
        },
        "psnr_ssim": figures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="Folder that holds eval/, train/ and train2/.")
    data = parser.parse_args().data
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for make in (pictures, videos):
            for given in make(data, Path(folder)):
                rows.append(measured(given))
                print(
                    *(rows[-1][key] for key in ("label", "name", "right", "taken", "psnr_ssim")), flush=True
                )
    (HERE / "look.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
