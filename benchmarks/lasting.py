"""Whether a network with memory lasts: long stills and pans, a cut that nobody noticed, dropped frames, and several runtimes.

    python -m benchmarks.lasting PICTURE CLIP --out benchmarks/lasting.json

The picture is a photograph of at least 400 samples a side; the clip has 300 frames. PSNR of Y in dB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from benchmarks.interleave import write_result
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.datasets import luma8, read_luma
from vsr.evaluation.metrics import psnr
from vsr.evaluation.resize import resize_bicubic
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.models.archs import spec_from_dict
from vsr.models.archs.temporal import PlainTemporal, past_of
from vsr.models.registry import find_model
from vsr.models.spec import WEIGHTS_NAME
from vsr.upscale.upscaler import Upscaler

Luma = NDArray[np.uint8]
_SMALL, _LONG, _RUNTIMES = 64, 2000, ("openvino", "onnxruntime", "torch")


def made(upscaler: Upscaler, frames: Iterable[Luma]) -> list[Luma]:
    """Frames of low resolution enlarged, as one sequence."""
    sequence = upscaler.sequence()
    small = (Frame([luma], luma.shape[1], luma.shape[0], PixelFormat("gray")) for luma in frames)
    return [np.asarray(frame.planes[0]) for frame in sequence.stream(small)]


def reduced(frames: Iterable[Luma], scale: int) -> list[Luma]:
    return [resize_bicubic(np.ascontiguousarray(frame), 1 / scale) for frame in frames]


def enlarged_again(upscaler: Upscaler, originals: Sequence[Luma]) -> list[float]:
    """PSNR of each frame of a sequence that was reduced."""
    made_of = made(upscaler, reduced(originals, upscaler.scale))
    return [psnr(*pair, border=upscaler.scale) for pair in zip(made_of, originals, strict=True)]


def pan(photo: Luma, side: int, frames: int) -> list[Luma]:
    """To and fro by one sample a frame."""
    room = photo.shape[1] - side
    at = [min(number % (2 * room), 2 * room - number % (2 * room)) for number in range(frames)]
    return [photo[:side, left : left + side] for left in at]


def still_and_pan(upscaler: Upscaler, photo: Luma) -> dict[str, float]:
    side = _SMALL * upscaler.scale
    values = enlarged_again(upscaler, [photo[:side, :side]] * _LONG)
    moving = enlarged_again(upscaler, pan(photo, side, _LONG))
    # The pan shows the same place again and again: the first and the last round are compared.
    around = 2 * (photo.shape[1] - side)
    rounds = [
        float(np.mean(moving[start + 5 : start + around - 5])) for start in range(0, _LONG - around, around)
    ]
    return {
        "still_at_5": round(values[5], 3),
        "still_at_2000": round(values[-1], 3),
        "still_least": round(min(values[5:]), 3),
        "pan_first_round": round(rounds[0], 3),
        "pan_last_round": round(rounds[-1], 3),
    }


def interrupted(upscaler: Upscaler, clip: Sequence[Luma]) -> dict[str, float]:
    """What dropping every third frame costs those that are left."""
    whole = enlarged_again(upscaler, clip[:30])
    kept = [number for number in range(30) if number % 3 != 2]
    dropped = enlarged_again(upscaler, [clip[number] for number in kept])
    pairs = [(value, whole[number]) for value, number in zip(dropped, kept, strict=True) if number > 5]
    return {"every_third_dropped": round(float(np.mean([a - b for a, b in pairs])), 3)}


def unnoticed_cuts(model: str, photo: Luma, clip: Sequence[Luma]) -> dict[str, float]:
    """What the memory of another scene costs the first frame after a cut that nobody noticed."""
    spec = find_model(model)
    scale, side = spec.scale, _SMALL * spec.scale
    sizes = {name: size for name, size in spec.network.items() if name != "arch"}
    network = PlainTemporal(spec_from_dict("temporal", sizes | {"scale": scale}))
    network.load_state_dict(load_file(spec.folder / WEIGHTS_NAME))
    places = range(0, min(photo.shape) - side, 16)
    costs = []
    with torch.inference_mode():
        for number, at in enumerate(places):
            original = clip[number * 7]
            (now, before) = (
                torch.from_numpy(luma / np.float32(255))[None, None]
                for luma in reduced([original, photo[at : at + side, at : at + side]], scale)
            )
            fresh, after = network(now), network.step(now, past_of(now, before, network(before).clamp(0, 1)))
            values = [
                psnr((each[0, 0] * 255).round().clamp(0, 255).byte().numpy(), original, border=scale)
                for each in (after, fresh)
            ]
            costs.append(values[0] - values[1])
    return {"mean": round(float(np.mean(costs)), 3), "most": round(float(min(costs)), 3)}


def runtimes(model: str, clip: Sequence[Luma]) -> dict[str, dict[str, float]]:
    small, results = reduced(clip, find_model(model).scale), {}
    for backend in _RUNTIMES:
        with Upscaler(model, backend=backend, precision="fp32", temporal="on") as upscaler:
            results[backend] = np.stack(made(upscaler, small)).astype(int)
    first, found = results[_RUNTIMES[0]], {}
    for backend in _RUNTIMES[1:]:
        apart = np.abs(results[backend] - first)
        errors = [np.square(frames).mean() for frames in (apart, apart[10:61], apart[250:301])]
        found[backend] = {
            "within_one_code": round(float((apart <= 1).mean()), 6),
            "most": int(apart.max()),
            **{
                name: round(float(min(100.0, 10 * np.log10(255**2 / max(error, 1e-6)))), 2)
                for name, error in zip(("db", "db_10_to_60", "db_250_to_300"), errors, strict=True)
            },
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="temporal-x2")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    photo, side = read_luma(given.picture), _SMALL * find_model(given.model).scale
    with open_source(str(given.clip), SourceOptions()) as source:
        frames = [luma8(frame) for frame in islice(source, 300)]
    top, left = (min(64, size - side) for size in frames[0].shape)
    clip = [frame[top : top + side, left : left + side] for frame in frames]
    with Upscaler(given.model, precision="fp32", temporal="on") as upscaler:
        found: dict[str, dict[str, Any]] = {
            "long": still_and_pan(upscaler, photo),
            "interrupted": interrupted(upscaler, clip),
        }
    found["unnoticed_cuts"] = unnoticed_cuts(given.model, photo, clip)
    found["runtimes"] = runtimes(given.model, clip)
    write_result(given.out, model=Path(given.model).name, **found)


if __name__ == "__main__":
    main()
