"""`vsr evaluate`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli import options, text
from vsr.cli.printer import Printer, printing
from vsr.cli.show import check_report_path, write_json
from vsr.files.checks import check_writable

if TYPE_CHECKING:
    from vsr.evaluation.evaluate import Evaluation

_TITLES = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "mse": "MSE",
    "mae": "MAE",
    "vmaf": "VMAF",
    "lpips": "LPIPS",
    "dists": "DISTS",
}


@click.command("evaluate")
@options.model
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of original pictures or videos, or a folder of such folders; may be repeated.",
)
@options.own_scale
@options.backend
@click.option(
    "--frames", type=click.IntRange(1), default=60, show_default=True, help="Most frames of each video."
)
@click.option(
    "--vmaf", is_flag=True, help="Measure VMAF and VMAF-NEG too, by an FFmpeg that has libvmaf (extra: vmaf)."
)
@click.option(
    "--lpips",
    is_flag=True,
    help="Measure LPIPS of pictures too, with AlexNet's weights of yours (extra: perceptual).",
)
@click.option(
    "--dists",
    is_flag=True,
    help="Measure DISTS of pictures too, with VGG-16's weights of yours (extra: perceptual).",
)
@options.batch
@options.running
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON to this file."
)
@printing
def command(
    *,
    data: tuple[Path, ...],
    frames: int,
    vmaf: bool,
    lpips: bool,
    dists: bool,
    report: Path | None,
    printer: Printer,
    **values: Any,
) -> None:
    """Measure how close a model's results are to originals. The originals are reduced, then enlarged by the model.

    \b
    vsr evaluate --model fast --data Set5
    vsr evaluate --model bicubic-x4 --data Set5 --data clips

    PSNR is at most 100 dB, the value for equal pictures.
    """
    from vsr import api

    check_report_path(report)
    if report is not None:
        check_writable(report, overwrite=True)
    found = api.evaluate(
        api.EvaluateConfig(data, options.network(values), frames, report, vmaf, lpips, dists),
        printer.progress,
    )
    printer.progress(*(f"note: {line}" for line in found.notes))
    if report is not None:
        write_json(report, found.as_dict())
    printer.show(found, lambda: lines(found))


def lines(found: Evaluation) -> list[str]:
    """A table for each set, with its mean at the end."""
    shown = [
        f"{found.model} on {found.backend}, {found.device} in {found.precision}, x{found.scale}",
        f"reduced by {found.degradation}; {found.border} pixels left out at each border",
    ]
    for name, rows in found.sets.items():
        mean = found.means[name]
        title = name if found.models[name] == found.model else f"{name}, {found.models[name]}"
        table = [[title, *(_title(figure) for figure in mean)]]
        table += [
            [item, *(_number(figure, row.get(figure)) for figure in mean)]
            for item, row in (*rows.items(), ("mean", mean))
        ]
        shown += ["", *text.table(table, numbers=range(1, len(mean) + 1))]
    return shown


def _title(figure: str) -> str:
    if figure == "vmaf_neg":
        return "VMAF-NEG"
    words = [_TITLES.get(word, word.upper() if word in ("y", "rgb") else word) for word in figure.split("_")]
    return " ".join(words)


def _number(figure: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if figure.startswith(("ssim", "lpips", "dists")) else f"{value:.2f}"
