"""`vsr engine`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from vsr.cli import text
from vsr.cli.options import SIZE
from vsr.cli.printer import Printer, printing
from vsr.cli.terminal import escaped, note
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
    help="The GPU, if this machine has several.",
)


@click.group("engine")
def command() -> None:
    """Build TensorRT engines ahead of time, and list, show, verify or remove them."""


@command.command("build")
@click.argument("target", metavar="RECIPE|MODEL")
@click.option("--size", type=SIZE, help="Width and height of the input frames.  [default: 1280x720]")
@click.option("--batch", type=click.IntRange(1), help="Frames in a run of the network.  [default: 1]")
@click.option(
    "--layout",
    help="Layout of the frames: gray, rgb or yuv, 8 bits or 16 (for 9 to 16), and the chroma location: yuv8-left, "
    "yuv16-topleft, rgb8, ...  [default: yuv8-left, 8-bit 4:2:0 as in most video]",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Precision of the network.  [default: fp16, or fp32 for models that need it]",
)
@click.option(
    "--for", "capabilities", multiple=True, metavar="X.Y",
    help="Compute capability to build for; may be repeated. This needs no GPU.  [default: this machine's GPU]",
)  # fmt: skip
@click.option(
    "--library",
    type=click.Choice(["tensorrt", "tensorrt_rtx"]),
    help="The library that builds the engine.  [default: tensorrt if it is installed]",
)
@_on_device
@_in_store
@click.option("--again", is_flag=True, help="Build the engine even if it exists.")
@printing
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
    printer: Printer,
) -> None:
    """Build an engine from a RECIPE, a TOML file, or from a MODEL and options.

    \b
    vsr engine build fast --size 1280x720 --for 8.6 --for 8.9 --for 12.0
    vsr engine build engines/recipes/fast-x2-720p.toml

    A recipe has these entries; only the model is required: model, layout, chroma ("4:2:0"), width, height and batch (a number,
    or [min, opt, max]), precision, library, compute_capabilities (["8.9"]), keep_fp32 (names of tensors that stay in fp32),
    min_psnr_db (least PSNR against float32; an engine below it is refused), workspace_mb, optimization_level (0 to 5). Options
    override the recipe's entries. The log of the build is in build.log, beside the engine.
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
    with _progress(quiet=printer.quiet) as (on_doing, on_progress):
        built = api.build_engine(
            recipe,
            api.EngineStore(store),
            device=device,
            again=again,
            say=on_doing,
            on_progress=on_progress,
        )
    manifest, identity = built.manifest, built.manifest.identity
    how = "was there" if built.was_there else f"built in {text.duration(manifest.build_s)}"
    length = text.size(manifest.plan_bytes)
    printer.show(
        {**manifest.as_dict(), "folder": built.folder, "was_there": built.was_there},
        lambda: [
            f"{identity.key} {how}: {identity.recipe['model']} for {identity.target} ({length})",
            str(built.folder),
        ],
    )


@command.command("list")
@_in_store
@printing
def list_engines(store: Path | None, printer: Printer) -> None:
    """List the engines of the store."""
    from vsr import api

    engines = api.EngineStore(store)
    manifests = list(engines.manifests())
    damaged = sorted(set(engines.keys()) - {manifest.identity.key for manifest in manifests})
    if not manifests and not damaged:
        printer.progress(f"no engines in {engines.folder}")
    printer.show(
        [*manifests, *({"key": key, "damaged": True} for key in damaged)],
        lambda: _table(manifests, damaged) if manifests or damaged else [],
    )


def _table(manifests: Sequence[Manifest], damaged: Sequence[str]) -> list[str]:
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
    for manifest in manifests:
        identity, recipe = manifest.identity, manifest.identity.recipe
        size = "x".join(_range(recipe[side]) for side in ("width", "height"))
        library = f"{identity.library} {identity.version}"
        rows.append(
            [identity.key, recipe["model"], recipe["layout"], size, _range(recipe["batch"]), recipe["precision"],
             identity.target, library, text.size(manifest.plan_bytes), _parity(manifest), manifest.created.partition(".")[0]]
        )  # fmt: skip
    rows += [[key, "damaged", *[""] * (len(rows[0]) - 2)] for key in damaged]
    return text.table(rows, numbers=(3, 4, 8))


@command.command("show")
@click.argument("key")
@_in_store
@printing
def show_engine(key: str, store: Path | None, printer: Printer) -> None:
    """Show the manifest of the engine KEY (its first digits are enough)."""
    from vsr import api

    manifest = api.EngineStore(store).named(key)
    printer.show(manifest, lambda: text.tree(manifest.as_dict()))


@command.command("verify")
@click.argument("key")
@click.option(
    "--input", type=click.Path(), help="A video to take frames from.  [default: the clip of `vsr demo`]"
)
@click.option(
    "--frames", type=click.IntRange(1), default=8, show_default=True, help="Number of frames to compare."
)
@_on_device
@_in_store
@printing
def verify_engine(
    key: str, input: str | None, frames: int, device: str, store: Path | None, printer: Printer
) -> None:
    """Compare the frames of the engine KEY (its first digits are enough) with float32, and keep the result in its manifest.

    An engine that makes another picture is removed.
    """
    from vsr import api

    given = {"input": input} if input else {}
    manifest = api.verify_engine(key, api.EngineStore(store), frames=frames, device=device, **given)
    parity = manifest.parity
    assert parity is not None
    printer.show(
        manifest, lambda: [f"{manifest.identity.key} {_parity(manifest)}, over {parity.frames} frames"]
    )


@command.command("remove")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@_in_store
@printing
def remove_engines(keys: tuple[str, ...], store: Path | None, printer: Printer) -> None:
    """Delete the engines with these KEYs; the first digits of a key are enough."""
    from vsr import api

    engines = api.EngineStore(store)
    removed = list(dict.fromkeys(engines.key(key) for key in keys))
    for found in removed:
        engines.remove(found)
    printer.show(removed, lambda: [f"removed {found}" for found in removed])


def _parity(manifest: Manifest) -> str:
    found = manifest.parity
    return f"{found.psnr_db:.1f} dB from fp32, at most {found.largest_difference} codes" if found else "no"


def _range(value: int | list[int]) -> str:
    return f"{value[0]}-{value[-1]}" if isinstance(value, list) else str(value)


@contextmanager
def _progress(*, quiet: bool) -> Generator[tuple[Callable[[str], None], Callable[[str, int, int], None]]]:
    """Functions that show messages and, in a terminal, the phases of building."""
    if quiet or not sys.stderr.isatty():
        yield (
            lambda doing: note(doing) if doing and not quiet else None,
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
