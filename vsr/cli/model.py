"""`vsr model`"""

from __future__ import annotations

import click

from vsr.cli import text


@click.group("model")
def command() -> None:
    """List the models, or show one."""


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
