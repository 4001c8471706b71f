"""`vsr model`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vsr.cli import text
from vsr.cli.terminal import say

if TYPE_CHECKING:
    from vsr.models.spec import ModelSpec


@click.group("model")
def command() -> None:
    """List the models, show one, or make one of trained weights or of a network from elsewhere."""


@command.command("list")
def list_models() -> None:
    """List the models: those that come with vsr, and your own."""
    from vsr import api

    rows = [["name", "scale", "multiply-adds/pixel", "parameters", "what it is"]]
    rows += [
        [spec.id, f"x{spec.scale}", f"{spec.macs_per_pixel:,}", f"{spec.parameters:,}", spec.title]
        for spec in api.list_models()
    ]
    say(*text.table(rows, numbers=(1, 2, 3)))


@command.command("show")
@click.argument("name")
def show_model(name: str) -> None:
    """Show a model by NAME, or by the path of its package: what it does, how good it is and where it comes from."""
    from vsr import api

    spec = api.find_model(name)
    facts = {
        "name": spec.id,
        "title": spec.title,
        "scale": spec.scale,
        "works on": spec.domain,
        "multiply-adds per input pixel": spec.macs_per_pixel,
        "parameters": spec.parameters,
        "depends on input pixels around it": spec.halo,
        "precision": spec.precision,
        "licence": spec.licence,
        "quality": dict(spec.quality),
        "network": dict(spec.network),
        "training": dict(spec.training),
        "folder": str(spec.folder),
    }
    say(*text.tree(facts))
    if spec.card:
        say("", *spec.card.rstrip().splitlines())


@command.command("export")
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("target")
@click.option("--title", default="", help="What it is for, in a few words.")
@click.option("--licence", default="", help="Of the weights.")
@click.option(
    "--sample", type=int, metavar="SEED", help="One of the results a variational network finds plausible."
)
@click.option(
    "--calibrate",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PICTURES",
    help="Make int8 graphs too, which run faster, for pictures like those of this folder.",
)
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), help="Of an .onnx file.  [default: fp32]")
@click.option("--overwrite", is_flag=True, help="Replace a package that exists.")
def export_model(
    weights: Path,
    target: str,
    title: str,
    licence: str,
    sample: int | None,
    calibrate: tuple[Path, ...],
    precision: Literal["fp32", "fp16"] | None,
    overwrite: bool,
) -> None:
    """Make a model package of WEIGHTS, a file that `vsr train` wrote or a package with one: TARGET is its name, for --model, or
    the path of its folder. Or the network alone, for other programs: the file TARGET, which ends in .onnx.

    \b
    vsr model export runs/mine/weights.safetensors mine-x2
    vsr upscale in.mp4 --model mine-x2
    vsr model export runs/mine/weights.safetensors mine.onnx --precision fp16
    """
    from vsr import api

    if target.lower().endswith(".onnx"):
        if title or licence or calibrate or overwrite:
            raise click.UsageError(
                "--title, --licence, --calibrate and --overwrite are for packages, not for .onnx files"
            )
        file = api.export_onnx(weights, Path(target), precision=precision or "fp32", sample=sample)
        apart = (
            f", at most {file.largest_difference:.2f} code values from fp32" if precision == "fp16" else ""
        )
        say(
            f"wrote {file.path} ({text.size(file.path.stat().st_size)}): x{file.scale}, {file.precision}{apart}"
        )
        return
    if precision:
        raise click.UsageError("--precision is for .onnx files; packages run in what the backend chooses")
    spec = api.export_model(
        weights,
        target,
        title=title,
        licence=licence,
        sample=sample,
        calibrate=calibrate,
        overwrite=overwrite,
    )
    _say_written(spec)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("package")
@click.option("--title", default="", help="What it is for, in a few words.")
@click.option("--licence", default="", help="Of the network.")
@click.option("--overwrite", is_flag=True, help="Replace a package that exists.")
def import_model(file: Path, package: str, title: str, licence: str, overwrite: bool) -> None:
    """Make a model package of somebody's network: PACKAGE is its name, for --model, or the path of its folder.

    FILE is a checkpoint (.pth, .safetensors) of one of the many architectures that spandrel knows, or an .onnx that takes a
    picture (one channel for luma or three for RGB, float32, NCHW) and gives it larger. Its scale and what else matters is
    found by running it. Code in a file is never executed.

    \b
    vsr model import 2x-something.pth something-x2
    vsr upscale in.mp4 --model something-x2
    """
    from vsr import api

    spec = api.import_model(file, package, title=title, licence=licence, overwrite=overwrite)
    _say_written(spec)


def _say_written(spec: ModelSpec) -> None:
    size = text.size(sum(path.stat().st_size for path in spec.folder.iterdir()))
    say(
        f"wrote {spec.folder} ({size}): x{spec.scale} on {spec.domain}, "
        f"{spec.macs_per_pixel:,} multiply-adds per input pixel"
    )
