"""`vsr engine`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from vsr.cli import text
from vsr.cli.options import SizeType
from vsr.cli.terminal import escaped, note, say, say_json
from vsr.models import Precision

if TYPE_CHECKING:
    from vsr.backends.tensorrt.recipe import EngineRecipe
    from vsr.backends.tensorrt.store import Manifest

_in_store = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder of the engines.  [default: VSR_ENGINES; else engines/store of a checkout, or the user's folder for caches]",
)
_on_device = click.option(
    "--device",
    metavar="cuda[:N]",
    default="cuda",
    show_default=True,
    help="The GPU here, where there are several.",
)


@click.group("engine")
def command() -> None:
    """Build TensorRT engines ahead of time, and list, show, verify or remove those that are there."""


@command.command("build")
@click.argument("target", metavar="RECIPE|MODEL")
@click.option(
    "--size", type=SizeType(), help="Width and height of the frames that go in.  [default: 1280x720]"
)
@click.option("--batch", type=click.IntRange(1), help="Frames in a run of the network.  [default: 1]")
@click.option(
    "--layout",
    help="Of the frames: gray, rgb or yuv, 8 (bits a sample) or 16 (for 9 to 16), and where chroma lies: yuv8-left, "
    "yuv16-topleft, rgb8, ...  [default: yuv8-left, which is 8-bit 4:2:0 as most video has it]",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Of the network.  [default: fp16, or fp32 for models that need it]",
)
@click.option(
    "--for", "capabilities", multiple=True, metavar="X.Y",
    help="Compute capability to build for, as often as there are; this needs no GPU.  [default: the GPU here]",
)  # fmt: skip
@click.option(
    "--library",
    type=click.Choice(["tensorrt", "tensorrt_rtx"]),
    help="What builds it.  [default: tensorrt where it is installed]",
)
@_on_device
@_in_store
@click.option("--again", is_flag=True, help="Build it even if it is there.")
def build(
    target: str,
    size: tuple[int, int] | None,
    batch: int | None,
    layout: str | None,
    precision: str | None,
    capabilities: tuple[str, ...],
    library: str | None,
    device: str,
    store: Path | None,
    again: bool,
) -> None:
    """Build the engine of a RECIPE, a TOML file, or of a MODEL with the options.

    \b
    vsr engine build fast --size 1280x720 --for 8.6 --for 8.9 --for 12.0
    vsr engine build engines/recipes/fast-x2-720p.toml

    Entries of a recipe, all but the model optional: model, layout, chroma ("4:2:0"), width, height and batch (a number, or
    [min, opt, max]), precision, library, compute_capabilities (["8.9"]), keep_fp32 (results of the network, by name),
    min_psnr_db (against float32; below it the engine is refused), workspace_mb, optimization_level (0 to 5). Options override
    the recipe's entries. The log of the build lies beside the engine, in build.log.
    """
    from vsr import api

    settings: dict[str, Any] = {"batch": batch, "layout": layout, "precision": precision, "library": library}
    if size:
        settings |= {"width": size[0], "height": size[1]}
    if capabilities:
        settings["compute_capabilities"] = list(capabilities)
    given = {name: value for name, value in settings.items() if value is not None}
    recipe: EngineRecipe
    if target.lower().endswith(".toml"):
        whole = api.load_engine_recipe(Path(target)).as_dict()
        recipe = api.engine_recipe(whole | given, target)
    else:
        recipe = api.engine_recipe({"model": target} | given, "options")
    with _progress() as (on_doing, on_progress):
        built = api.build_engine(
            recipe,
            api.EngineStore(store),
            device=device,
            again=again,
            say=on_doing,
            on_progress=on_progress,
        )
    manifest = built.manifest
    what = "was there" if built.was_there else f"built in {text.duration(manifest.build_s)}"
    say(
        f"{manifest.identity.key} {what}: {manifest.identity.recipe['model']} for {manifest.identity.target} "
        f"({text.size(manifest.plan_bytes)})",
        str(built.folder),
    )


@command.command("list")
@_in_store
def list_engines(store: Path | None) -> None:
    """List the engines that are there."""
    from vsr import api

    rows = [
        [
            "key",
            "model",
            "layout",
            "size",
            "batch",
            "precision",
            "for",
            "library",
            "plan",
            "verified",
            "built (UTC)",
        ]
    ]
    engines = api.EngineStore(store)
    for manifest in engines.manifests():
        identity, recipe = manifest.identity, manifest.identity.recipe
        size = "x".join(_range(recipe[side]) for side in ("width", "height"))
        library = f"{identity.library} {identity.version}"
        rows.append(
            [identity.key, recipe["model"], recipe["layout"], size, _range(recipe["batch"]), recipe["precision"],
             identity.target, library, text.size(manifest.plan_bytes), _parity(manifest), manifest.created.partition(".")[0]]
        )  # fmt: skip
    if damaged := set(engines.keys()) - {row[0] for row in rows}:
        rows += [[key, "damaged", *[""] * (len(rows[0]) - 2)] for key in sorted(damaged)]
    say(*(text.table(rows, numbers=(3, 4, 8)) if len(rows) > 1 else [f"no engines in {engines.folder}"]))


@command.command("show")
@click.argument("key")
@_in_store
def show_engine(key: str, store: Path | None) -> None:
    """Show the manifest of the engine KEY (its first digits are enough), as JSON."""
    from vsr import api

    say_json(api.EngineStore(store).named(key).as_dict())


@command.command("verify")
@click.argument("key")
@click.option(
    "--input", type=click.Path(), help="A video to take frames from.  [default: the clip of `vsr demo`]"
)
@click.option("--frames", type=click.IntRange(1), default=8, show_default=True, help="How many to compare.")
@_on_device
@_in_store
def verify_engine(key: str, input: str | None, frames: int, device: str, store: Path | None) -> None:
    """Run frames through the engine KEY (its first digits are enough) and through float32, and keep how far apart they are in
    its manifest.

    An engine that makes another picture is removed.
    """
    from vsr import api

    given = {"input": input} if input else {}
    manifest = api.verify_engine(key, api.EngineStore(store), frames=frames, device=device, **given)
    assert manifest.parity is not None
    say(f"{manifest.identity.key} {_parity(manifest)}, over {manifest.parity.frames} frames")


@command.command("remove")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_in_store
def remove_engines(keys: tuple[str, ...], store: Path | None) -> None:
    """Delete the engines of these KEYs, of which the first digits are enough."""
    from vsr import api

    engines = api.EngineStore(store)
    for found in dict.fromkeys(engines.key(key) for key in keys):
        engines.remove(found)
        say(f"removed {found}")


def _parity(manifest: Manifest) -> str:
    found = manifest.parity
    return f"{found.psnr_db:.1f} dB from fp32, at most {found.largest_difference} codes" if found else "no"


def _range(value: int | list[int]) -> str:
    return f"{value[0]}-{value[-1]}" if isinstance(value, list) else str(value)


@contextmanager
def _progress() -> Generator[tuple[Callable[[str], None], Callable[[str, int, int], None]]]:
    """What is said, and the phases of building, as they come and go, in a terminal."""
    if not sys.stderr.isatty():
        yield (
            lambda doing: note(doing) if doing else None,
            lambda _phase, _done, _steps: None,
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=Console(file=sys.stderr, markup=False), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, steps: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(escaped(phase), total=steps)
            bars.update(tasks[phase], completed=done)

        yield lambda doing: bars.console.print(escaped(doing)) if doing else None, show
