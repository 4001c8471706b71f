"""`vsr train`"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli import text
from vsr.cli.interrupt import interrupts
from vsr.cli.printer import Printer, printing
from vsr.cli.terminal import escaped, note
from vsr.core.control import Control
from vsr.core.errors import MissingDependencyError
from vsr.core.extras import install

if TYPE_CHECKING:
    from vsr.training.config import TrainResult
    from vsr.training.trainer import Progress

LINE_INTERVAL_S = 30.0


class _NamedPath(click.Path):
    """A path for an option; an empty string is refused, because Path would take it for the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("the name is empty; . is the current folder", param, ctx)
        return super().convert(value, param, ctx)


PATH = _NamedPath(path_type=Path)


@click.command("train")
@click.argument("recipe")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=PATH,
    help="Folder of pictures and videos; may be repeated.",
)
@click.option("--out", required=True, type=PATH, help="Folder for the weights, the checkpoint and the log.")
@click.option("--val", multiple=True, type=PATH, help="Folder of pictures (or of sets) to measure PSNR on.")
@click.option(
    "--device", metavar="auto|cpu|cuda[:N]", default="auto", show_default=True, help="Device of the training."
)
@click.option(
    "--init",
    type=PATH,
    metavar="WEIGHTS|MODEL",
    help="Start from these weights, or from the weights of this model. A chain also starts from a smaller chain, and "
    "`finetune` from a checkpoint.",
)
@click.option(
    "--vgg", type=PATH, metavar="FILE", help="Weights of VGG-19, for a recipe with a discriminator."
)
@click.option(
    "--continue",
    "continued",
    is_flag=True,
    help="Continue the stopped training that scripts/pack_training.py packed into --init.",
)
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in --out.")
@click.option("--time-limit", type=float, metavar="SECONDS", help="End the whole schedule after this time.")
@click.option(
    "--stop-after", type=float, metavar="SECONDS", help="Stop after this time; --resume continues from there."
)
@click.option("--checkpoints", type=PATH, help="Folder for the checkpoint, instead of --out.")
@click.option("--steps", type=int, help="Number of steps, instead of the recipe's.")
@click.option("--seed", type=int, help="Seed of random numbers, instead of the recipe's.")
@click.option(
    "--lr", type=float, help="Learning rate, instead of the recipe's; Muon's changes in proportion."
)
@click.option(
    "--teacher", metavar="MODEL", help="Network that gives the targets, instead of the recipe's; '' for none."
)
@printing
def command(
    recipe: str,
    data: tuple[Path, ...],
    out: Path,
    val: tuple[Path, ...],
    device: str,
    init: Path | None,
    vgg: Path | None,
    continued: bool,
    resume: bool,
    time_limit: float | None,
    stop_after: float | None,
    checkpoints: Path | None,
    steps: int | None,
    seed: int | None,
    lr: float | None,
    teacher: str | None,
    printer: Printer,
) -> int:
    """Train a network by RECIPE, a TOML file or the name of a recipe that comes with vsr.

    \b
    vsr train fast-x2 --data photos --val Set5 --out runs/fast
    vsr train my.toml --data photos --out runs/mine --time-limit 1800
    torchrun --nproc-per-node 2 -m vsr train fast-x2 --data photos --out runs/fast

    Ctrl-C leaves a checkpoint for --resume, and exits with 130.
    """
    try:
        from vsr.training.recipe import load_recipe
        from vsr.training.trainer import TrainConfig, train
        from vsr.training.workers import speaks
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors", "matplotlib"):
            raise
        raise MissingDependencyError(
            f"training needs {error.name}, which is not installed",
            hint=install("torch"),
        ) from error
    chosen = load_recipe(recipe).changed(steps=steps, seed=seed, lr=lr, teacher=teacher)
    control = Control()
    with progress_bar(quiet=printer.quiet or not speaks()) as (on_progress, on_message), interrupts(control):
        result = train(
            TrainConfig(
                recipe=chosen,
                data=data,
                out=out,
                val=val,
                device=device,
                resume=resume,
                init=init,
                continued=continued,
                vgg=vgg,
                time_limit_s=time_limit,
                stop_after_s=stop_after,
                checkpoints=checkpoints,
                command=shlex.join(["vsr", *sys.argv[1:]]),
                on_progress=on_progress,
                on_message=on_message,
                on_warning=_complain if printer.quiet else None,
                control=control,
            )
        )
    if not speaks():
        return 0  # Even if stopped: otherwise torchrun would end the process that still writes.
    printer.show(result, lambda: lines(result))
    return 0 if result.finished else 130


def lines(result: TrainResult) -> list[str]:
    """How far the training came, and where its weights are."""
    psnr = "".join(f", {name} {value:.2f} dB" for name, value in result.psnr.items())
    state = "trained" if result.finished else "stopped; --resume continues"
    return [
        f"{state}: {result.steps:,} steps in {text.duration(result.seconds)}{psnr}",
        str(result.weights),
    ]


def _complain(warning: str) -> None:
    """Print a warning, with --quiet too."""
    note(f"warning: {warning}")


Callbacks = tuple["Callable[[Progress], None]", Callable[[str], None]]


@contextmanager
def progress_bar(*, quiet: bool) -> Generator[Callbacks]:
    """Functions that show progress and messages on stderr: a bar in a terminal, a line now and then elsewhere."""
    if quiet:
        yield (lambda progress: None), (lambda message: None)
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        figures_column = TextColumn("{task.fields[figures]}", markup=False)
        with Progress(BarColumn(bar_width=24), figures_column, console=console, transient=True) as bars:
            bar = bars.add_task("", total=1.0, figures="preparing")
            yield (
                lambda progress: bars.update(bar, completed=progress.fraction, figures=figures(progress)),
                lambda message: console.print(escaped(message), markup=False, highlight=False),
            )
    else:
        yield _lines(), note


def figures(progress: Progress) -> str:
    """Steps, speed, time left, loss and PSNR, as far as they are known."""
    parts = [
        f"{progress.step:,}/{progress.steps:,} steps",
        f"{text.rate(progress.steps_per_s)} it/s",
        f"{text.duration(progress.seconds_left)} left",
        f"loss {progress.loss:.5f}",
        *([f"discriminator {progress.loss_d:.3f}"] if progress.loss_d is not None else []),
        *(f"{name} {value:.2f} dB" for name, value in progress.psnr.items()),
    ]
    return ", ".join(parts)


def _lines() -> Callable[[Progress], None]:
    last_s = time.monotonic() - LINE_INTERVAL_S

    def show(progress: Progress) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= LINE_INTERVAL_S:
            last_s = time.monotonic()
            note(f"{progress.fraction:.0%}, {figures(progress)}")

    return show
