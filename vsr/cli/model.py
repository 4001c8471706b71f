"""`vsr model`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vsr.cli import text
from vsr.cli.printer import Printer, printing
from vsr.core.errors import MissingDependencyError, WeightsError
from vsr.core.extras import install

if TYPE_CHECKING:
    from vsr.models.spec import ModelSpec


@click.group("model")
def command() -> None:
    """List the models, show one, or make one from trained weights or from another program's network."""


@command.command("list")
@printing
def list_models(printer: Printer) -> None:
    """List the models that come with vsr, and your own models."""
    from vsr import api

    models = list(api.list_models())
    rows = [["name", "scale", "multiply-adds/pixel", "parameters", "title"]]
    rows += [
        [spec.id, f"x{spec.scale}", f"{spec.macs_per_pixel:,}", f"{spec.parameters:,}", spec.title]
        for spec in models
    ]
    printer.show(models, lambda: text.table(rows, numbers=(1, 2, 3)))


@command.command("show")
@click.argument("name")
@printing
def show_model(name: str, printer: Printer) -> None:
    """Show a model by NAME, or by the path of its package: its purpose, quality and origin."""
    from vsr import api

    spec = api.find_model(name)
    printer.show(spec, lambda: _facts(spec))


def _facts(spec: ModelSpec) -> list[str]:
    facts = {
        "name": spec.id,
        "title": spec.title,
        "scale": spec.scale,
        "works on": spec.domain,
        "multiply-adds per input pixel": spec.macs_per_pixel,
        "parameters": spec.parameters,
        "input pixels that an output pixel depends on, to each side": spec.halo,
        "precision": spec.precision,
        **({"memory, of the last frame": ", ".join(spec.states)} if spec.states else {}),
        **({"network without memory": spec.single} if spec.single else {}),
        "licence": spec.licence,
        "quality": dict(spec.quality),
        "network": dict(spec.network),
        "training": dict(spec.training),
        "folder": str(spec.folder),
    }
    card = ["", *spec.card.rstrip().splitlines()] if spec.card else []
    return [*text.tree(facts), *card]


@command.command("export")
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("target")
@click.option("--title", default="", help="The purpose of the model, in a few words.")
@click.option("--licence", default="", help="Licence of the weights.")
@click.option(
    "--sample", type=int, metavar="SEED", help="Seed of one of the results of a variational network."
)
@click.option(
    "--calibrate",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PICTURES",
    help="Also make int8 graphs, which run faster, calibrated on the pictures of this folder.",
)
@click.option(
    "--precision", type=click.Choice(["fp32", "fp16"]), help="Precision of an .onnx file.  [default: fp32]"
)
@click.option("--overwrite", is_flag=True, help="Replace a package that exists.")
@printing
def export_model(
    weights: Path,
    target: str,
    title: str,
    licence: str,
    sample: int | None,
    calibrate: tuple[Path, ...],
    precision: Literal["fp32", "fp16"] | None,
    overwrite: bool,
    printer: Printer,
) -> None:
    """Make a model package, or an .onnx file for other programs, from WEIGHTS.

    WEIGHTS is a file that `vsr train` wrote, or a package with such a file. TARGET is the name of the new package, for --model,
    or the path of its folder. If TARGET ends in .onnx, the command writes the network alone into this file.

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
        size = text.size(file.path.stat().st_size)
        apart = (
            f", at most {file.largest_difference:.2f} code values from fp32" if precision == "fp16" else ""
        )
        printer.show(file, lambda: [f"wrote {file.path} ({size}): x{file.scale}, {file.precision}{apart}"])
        return
    if precision:
        raise click.UsageError(
            "--precision is for .onnx files; the backend chooses the precision of a package"
        )
    spec = api.export_model(
        weights,
        target,
        title=title,
        licence=licence,
        sample=sample,
        calibrate=calibrate,
        overwrite=overwrite,
    )
    _show_written(printer, spec)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("package")
@click.option("--title", default="", help="The purpose of the model, in a few words.")
@click.option("--licence", default="", help="Licence of the network.")
@click.option("--overwrite", is_flag=True, help="Replace a package that exists.")
@printing
def import_model(
    file: Path, package: str, title: str, licence: str, overwrite: bool, printer: Printer
) -> None:
    """Make a model package from another program's network. PACKAGE is its name, for --model, or the path of its folder.

    FILE is a checkpoint (.pth, .safetensors) of an architecture that spandrel knows, an ncnn .param file with its .bin file
    beside it, or an .onnx file. The network takes a picture (one channel for luma or three for RGB, float32, NCHW). It enlarges
    the picture or keeps its size, as denoisers do. The command runs the network to find its scale and its other properties.
    Code in the file is never executed.

    \b
    vsr model import 2x-something.pth something-x2
    vsr model import 2x-something.param something-x2
    vsr upscale in.mp4 --model something-x2
    """
    from vsr import api

    try:
        spec = api.import_model(file, package, title=title, licence=licence, overwrite=overwrite)
    except MissingDependencyError as error:
        if not file.exists():
            raise WeightsError(f"cannot read {file}: no such file") from error
        from vsr.models.registry import CHECKPOINT_SUFFIXES

        if file.suffix.lower() in CHECKPOINT_SUFFIXES:
            # It needs more packages than the first missing one.
            raise MissingDependencyError(error.message, hint=install("torch")) from error
        raise
    _show_written(printer, spec)


def _show_written(printer: Printer, spec: ModelSpec) -> None:
    size = text.size(sum(path.stat().st_size for path in spec.folder.iterdir()))
    made = f"x{spec.scale} on {spec.domain}, {spec.macs_per_pixel:,} multiply-adds per input pixel"
    printer.show(spec, lambda: [f"wrote {spec.folder} ({size}): {made}"])
