"""`vsr model`"""

from __future__ import annotations

from pathlib import Path

import click

from vsr.cli import text


@click.group("model")
def command() -> None:
    """List the models, show one, or make one of trained weights."""


@command.command("list")
def list_models() -> None:
    """List the models that are shipped."""
    from vsr import api

    rows = [["name", "scale", "multiply-adds/pixel", "parameters", "what it is"]]
    rows += [
        [spec.id, f"x{spec.scale}", f"{spec.macs_per_pixel:,}", f"{spec.parameters:,}", spec.title]
        for spec in api.list_models()
    ]
    print("\n".join(text.table(rows)))


@command.command("show")
@click.argument("name")
def show_model(name: str) -> None:
    """Show the model NAME (or of a package's path): what it does, how good it is and where it comes from."""
    from vsr import api

    spec = api.show_model(name)
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
    print("\n".join(text.tree(facts)))
    if spec.card:
        print(f"\n{spec.card.rstrip()}")


@command.command("export")
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("package", type=click.Path(path_type=Path, file_okay=False))
@click.option("--title", default="", help="What it is for, in a few words.")
@click.option("--licence", default="", help="Of the weights.")
@click.option(
    "--sample", type=int, metavar="SEED", help="One of the results a variational network finds plausible."
)
@click.option("--overwrite", is_flag=True, help="Replace a package that exists.")
def export_model(
    weights: Path, package: Path, title: str, licence: str, sample: int | None, overwrite: bool
) -> None:
    """Make a model package of WEIGHTS that `vsr train` wrote: the folder PACKAGE, for --model.

    \b
    vsr model export runs/mine/weights.safetensors mine-x2
    vsr upscale in.mp4 --model ./mine-x2
    """
    from vsr import api

    spec = api.export_model(
        weights, package, title=title, licence=licence, sample=sample, overwrite=overwrite
    )
    size = text.size(sum(path.stat().st_size for path in spec.folder.iterdir()))
    print(
        f"wrote {spec.folder} ({size}): x{spec.scale}, {spec.macs_per_pixel:,} multiply-adds per input pixel"
    )
