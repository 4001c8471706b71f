"""Make a model package of weights that `vsr train` wrote, with a card whose figures are measured here and now.

    python scripts/make_package.py runs/fast-x2/weights.safetensors fast-x2 "For live use without a GPU" \
        --eval ../shared/data/eval/image --data-words "203 crops of photographs"
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import safetensors

from vsr.bench.config import BenchConfig
from vsr.bench.run import bench
from vsr.convert.export import package_from_weights
from vsr.evaluation.evaluate import EvaluateConfig, evaluate
from vsr.models import Precision
from vsr.upscale.options import NetworkOptions

SPEED_FRAMES = 40
PACKAGES = Path(__file__).parent.parent / "vsr" / "models" / "packages"

LIMITS = {
    "bicubic": """\
What it does not do: it was trained on clean pictures reduced by bicubic, so compression artefacts and noise are
enlarged, not removed.""",
    "realistic": """\
It was trained on pictures that were blurred, reduced, made noisy and compressed (JPEG, H.264, HEVC, MPEG-2, MPEG-4), to undo
that: the two sets above are clean, and its PSNR there is lower than that of a network for clean pictures. How it does on noise
and compression is in `benchmarks/cells-x{scale}.json`. What it draws where compression took the detail away is likely, not what
was there: take `quality` where that matters, or a lower `--strength`.""",
    "drawn": """\
It was trained on drawings: comics, illustrations, figures and places of games, screens, text; clean, or in JPEG, H.264, HEVC,
MPEG-2 and MPEG-4. How it does on such pictures is in `benchmarks/drawn-x{scale}.json`. Photographs come out flatter than by
other networks.""",
    "light": """\
It was trained on pictures of which six in ten were clean and the others blurred, slightly noisy, compressed or combed, so that
it does not sharpen noise, blocks of JPEG, and the lines of interlaced video. It hardly removes them: `restore` does.""",
}

CARD = """\
# {id}

{title}. A chain of {convs} 3x3 convolutions on luma{resolution}, {channels} channels,
PReLU{skips}, sub-pixel output added to the repeated input{linear}{chroma}:
{macs:,} multiply-adds per input pixel, {parameters:,} parameters.
While training, each kernel was the sum of a 3x3 kernel, a 1x1 -> 3x3 product and the identity, folded into one.

| Y, border {scale} | bicubic | {id} |
|---|---|---|
{rows}

LR by MATLAB's bicubic (antialiased), rounded to 8 bits; run by OpenVINO in {precision} as `vsr upscale` runs it{exact}.
The two sets were watched while developing, and no step of training saw them.

![pieces of a frame: reduced, by bicubic, by the network, and the original](../../../../benchmarks/crops/{id}.png)

Speed: {fps:.3g} frames of 960x540 a second, the network alone in {precision} on {machine}.

## Training

```
{command}
```

- data: {data};
  {pictures} pictures of {megapixels} megapixels in all with their copies of other sizes; and rendered text, shapes
  and patterns of single pixels{places}{teacher}
- {steps:,} steps of {batch} patches of {patch}x{patch} input pixels, seed {seed}; {optimizer},
  falling along a cosine; gradients clipped to {clip:g}, {loss} loss, weights averaged (EMA {ema:g})
- {hardware}; {minutes:.0f} minutes
{adversary}{note}
{limits}

Licence: Apache-2.0 (the pictures' licences allow it: CC0, CC-BY, Unsplash, Pexels and public domain).
"""


def measure(
    model: str, folder: Path, precision: Precision | None = None
) -> tuple[dict[str, dict[str, float]], str]:
    """PSNR and SSIM of Y by set, and the precision it ran in."""
    found = evaluate(EvaluateConfig((folder,), NetworkOptions(model, precision=precision)))
    figures = {
        name: {metric: mean[f"{metric}_y"] for metric in ("psnr", "ssim")}
        for name, mean in sorted(found.means.items())
    }
    return figures, found.precision


def rounded(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """What `[quality]` of a package says."""
    return {
        f"{name.lower()}_{metric}": round(mean[metric], 4)
        for name, mean in figures.items()
        for metric in ("psnr", "ssim")
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("id")
    parser.add_argument("title")
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--data-words", required=True)
    parser.add_argument("--calibrate", type=Path, action="append", help="pictures: the package runs in int8")
    parser.add_argument(
        "--note", help="a sentence on how the training went, where the command does not tell all"
    )
    parser.add_argument("--strength", type=float, default=1.0, help="of a network in colour")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with safetensors.safe_open(args.weights, framework="numpy") as file:
        facts = file.metadata()
    recipe, network = json.loads(facts["recipe"]), json.loads(facts["hyperparameters"])
    command = facts["command"].replace(" --resume", "")
    training = {
        "data": args.data_words,
        "command": command,
        "seed": int(facts["seed"]),
        "steps": int(facts["steps"]),
        "seconds": float(facts["seconds"]),
        "hardware": facts["hardware"],
    }
    with tempfile.TemporaryDirectory() as temporary:
        # Made twice: the figures in the card are those of the package itself.
        words = {
            "id": args.id,
            "title": args.title,
            "training": training,
            "calibrate": args.calibrate or (),
            "strength": args.strength,
        }
        draft = package_from_weights(args.weights, Path(temporary) / args.id, **words, quality={}, card="")
        figures, precision = measure(str(draft.folder), args.eval)
        exact, _ = measure(str(draft.folder), args.eval, "fp32")
        bicubic, _ = measure(f"bicubic-x{draft.scale}", args.eval)
        speed = bench(
            BenchConfig(
                models=(str(draft.folder),), sizes=((960, 540),), encoders=("null",), frames=SPEED_FRAMES
            )
        )
    quality = rounded(figures)
    rows = [
        f"| {name} | {bicubic[name]['psnr']:.2f} dB / {bicubic[name]['ssim']:.4f} "
        f"| {quality[f'{name.lower()}_psnr']:.2f} dB / {quality[f'{name.lower()}_ssim']:.4f} |"
        for name in figures
    ]
    in_full = ", ".join(f"{name} {mean['psnr']:.2f} dB" for name, mean in exact.items())
    train = recipe["train"]
    card = CARD.format(
        id=args.id,
        title=args.title,
        convs=network["depth"] + 2,
        resolution=" at half resolution (pixel unshuffle first)" if network["unshuffle"] == 2 else "",
        channels=network["channels"],
        linear=f" and a learned {network.get('linear')}x{network.get('linear')} filter of it"
        if network.get("linear")
        else "",
        skips=f", the input of every {network['skip_every']} added to their output"
        if network["skip_every"]
        else "",
        chroma=f", and for chroma\na chain of {network['chroma_depth'] + 2} on luma and chroma at half resolution, "
        f"{network['chroma_channels']} channels, whose output is added to cubic enlargement"
        if "chroma_channels" in network
        else "",
        macs=draft.macs_per_pixel,
        parameters=draft.parameters,
        scale=draft.scale,
        rows="\n".join(rows),
        precision=precision,
        exact=f" (in fp32: {in_full})" if args.calibrate else "",
        fps=speed.cells[0].alone["infer"].fps.median,
        machine=f"{speed.environment.cpu}, {speed.environment.cores} cores",
        command=command,
        data=args.data_words,
        pictures=facts["pictures"],
        megapixels=facts["megapixels"],
        places=f";\n  places in them drawn by their error under bicubic to the power {power:g}"
        if (power := recipe["data"].get("error_power"))
        else "",
        teacher=f";\n  for ground truth what {Path(teacher).name} makes of the photographs, mean over eight flips and rotations"
        if (teacher := recipe["data"].get("teacher"))
        else "",
        steps=int(facts["steps"]),
        batch=recipe["data"]["batch"],
        patch=recipe["data"]["patch"],
        seed=facts["seed"],
        optimizer=f"Adam at {train['lr']:g}"
        + (f", hidden kernels by Muon at {train['muon_lr']:g}" if train["optimizer"] == "muon" else "")
        + (f" with weight decay {train['weight_decay']:g}" if train["weight_decay"] else ""),
        clip=train["clip_norm"],
        loss=train["loss"].upper()
        + (f", and MSE for the last {train['mse_share']:.0%}" if train["mse_share"] else ""),
        ema=train["ema_decay"],
        hardware=facts["hardware"],
        minutes=float(facts["seconds"]) / 60,
        adversary=f"- against a U-Net discriminator of {gan['channels']} channels at {gan['lr']:g}: adversarial loss at "
        f"{gan['weight']:g}, its features' at {gan['features']:g}\n"
        if (gan := recipe.get("gan"))
        else "",
        limits=LIMITS[recipe["data"]["degradation"]].format(scale=draft.scale),
        note=f"- {args.note}\n" if args.note else "",
    )
    folder = args.out or PACKAGES / args.id
    spec = package_from_weights(args.weights, folder, **words, quality=quality, card=card)
    size = sum(path.stat().st_size for path in spec.folder.iterdir())
    print(f"{spec.folder}: {size:,} bytes, {quality}")


if __name__ == "__main__":
    main()
