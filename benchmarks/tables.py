"""Write the tables of docs/ from the model packages and the JSON files of this folder, and architectures.md.

    python benchmarks/tables.py [--check]

Beside each result of `vsr bench` its picture is written. With --check nothing is written; the exit status is 1 where a page is
out of date.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

from vsr.bench.page import markdown, picture
from vsr.bench.result import read_result
from vsr.models.archs import ARCHITECTURES, spec_from_dict
from vsr.models.registry import shipped_models

HERE = Path(__file__).parent
ARCHITECTURES_PAGE = HERE / "architectures.md"
DOCS = HERE.parent / "docs"


def models() -> list[str]:
    """Every shipped package."""
    lines = [
        "| model | for | multiply-adds per input pixel | size | Set5 | Set14 |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for spec in shipped_models():
        size = sum(path.stat().st_size for path in spec.folder.iterdir()) / 1000
        figures = [
            f"{spec.quality[name + '_psnr']:.2f} dB" if name + "_psnr" in spec.quality else ""
            for name in ("set5", "set14")
        ]
        macs = f"{spec.macs_per_pixel:,}" if spec.macs_per_pixel else ""
        lines.append(f"| `{spec.id}` | {spec.title} | {macs} | {size:,.0f} kB | {' | '.join(figures)} |")
    return [
        *lines,
        "",
        "PSNR of luma, of `restore` at strength 1; written by `python benchmarks/tables.py` from the packages.",
    ]


def look() -> list[str]:
    """What `auto` takes for labelled inputs, and what the families gain there."""
    rows = json.loads((HERE / "look.json").read_text())
    labels = list(dict.fromkeys(row["label"] for row in rows))
    taken = sorted({row["taken"] for row in rows} | {row["right"] for row in rows})
    columns = [
        "input",
        "right",
        *(f"takes `{name}`" for name in taken),
        "PSNR",
        "SSIM",
        "PSNR, clean",
        "PSNR, `restore`",
    ]
    lines = [f"| {' | '.join(columns)} |", "|---|---|" + "--:|" * (len(columns) - 2)]
    for label in labels:
        those = [row for row in rows if row["label"] == label]
        counts = [str(sum(row["taken"] == name for row in those) or "") for name in taken]
        gains = _gains(those)
        lines.append(f"| {label} | `{those[0]['right']}` | {' | '.join([*counts, *gains])} |")
    right = sum(row["taken"] == row["right"] for row in rows)
    measured = [row for row in rows if row["psnr_ssim"]]
    worse = sum(row["psnr_ssim"][row["taken"]][0] < row["psnr_ssim"]["bicubic"][0] for row in measured)
    said = (
        f"{right} of {len(rows)} inputs get the right family; {worse} of {len(measured)} come out with less PSNR than by "
        "`bicubic`. PSNR (dB) and SSIM are means of luma at x2, over `bicubic`: of what `auto` takes, of the family for clean "
        "inputs, and of `restore`. Measured by `python -m benchmarks.look`: [look.json](../benchmarks/look.json)."
    )
    return [*lines, "", said]


def _gains(rows: list[dict[str, Any]]) -> list[str]:
    """PSNR and SSIM of what was taken, PSNR of the family for clean inputs and of `restore`, over bicubic."""
    if not rows[0]["psnr_ssim"]:
        return ["", "", "", ""]

    def gain(which: int, names: list[str]) -> float:
        both = [
            (row["psnr_ssim"][name][which], row["psnr_ssim"]["bicubic"][which])
            for row, name in zip(rows, names, strict=True)
        ]
        return sum(after - before for after, before in both) / len(both)

    taken = [row["taken"] for row in rows]
    clean = next(name for name in rows[0]["psnr_ssim"] if name in ("quality", "balanced"))
    return [
        f"{gain(0, taken):+.2f}",
        f"{gain(1, taken):+.4f}",
        f"{gain(0, [clean] * len(rows)):+.2f}",
        f"{gain(0, ['restore'] * len(rows)):+.2f}",
    ]


def gallery() -> list[str]:
    """The crops that may be published, and PSNR and SSIM of all by kind."""
    rows = json.loads((HERE / "gallery.json").read_text())
    columns = list(rows[0]["psnr_ssim"])
    lines = [
        "![crops as bicubic, vsr, animevideov3, x4plus, waifu2x and the original have them](../benchmarks/gallery.png)",
        "",
        f"| crops | {' | '.join(columns)} |",
        "|---|" + "--:|" * len(columns),
    ]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        those = [row["psnr_ssim"] for row in rows if row["kind"] == kind]
        means = [
            [sum(each[name][which] for each in those) / len(those) for which in (0, 1)] for name in columns
        ]
        lines.append(
            f"| {kind}, {len(those)} | {' | '.join(f'{psnr:.2f} / {ssim:.3f}' for psnr, ssim in means)} |"
        )
    said = (
        f"PSNR (dB) and SSIM of luma of {len(rows)} crops at x2, which no network of vsr was trained on; vsr is what `auto` "
        "takes. x4plus is reduced from x4. Networks that draw detail anew have less of both, and may look better. Measured by "
        "`python -m benchmarks.gallery`: [gallery.json](../benchmarks/gallery.json). The picture shows crops of two clips."
    )
    return [*lines, "", said]


def _damages(stem: str, family: str) -> list[str]:
    """A table for each scale of networks by damage; chroma by bicubic and by a family."""
    lines: list[str] = []
    for path in sorted(HERE.glob(f"{stem}-x*.json")):
        found = json.loads(path.read_text())
        names = list(next(iter(found["cells"].values())))
        head = [f"x{found['scale']}", *names, "chroma, `bicubic`", f"chroma, `{family}`"]
        lines += [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
        for damage, of in found["cells"].items():
            second, digits = ("vmaf_neg", 1) if "vmaf_neg" in of["bicubic"] else ("ssim", 3)
            figures = [f"{of[name]['psnr']:.2f} / {of[name][second]:.{digits}f}" for name in names]
            chroma = [f"{of[name].get('chroma_psnr') or 0:.2f}" for name in ("bicubic", family)]
            lines.append(f"| {' | '.join([damage, *figures, *(chroma if second == 'ssim' else ['', ''])])} |")
        lines.append("")
    return lines


def drawn() -> list[str]:
    """How networks do on drawn content."""
    said = (
        "PSNR (dB) and SSIM of luma, PSNR of chroma. Means of 24 crops of 12 drawings, for H.264 the last of five frames of a "
        "picture that moves. `quality` and `balanced` were not trained on them; `restore`, which `anime` began as, had seen "
        "eight of the twelve. Measured by `python -m benchmarks.drawn`: "
        "[drawn-x2.json](../benchmarks/drawn-x2.json)."
    )
    return [*_damages("drawn", "anime"), said]


def cells() -> list[str]:
    """How networks do on noise and compression."""
    said = (
        "PSNR (dB) and SSIM of luma, for H.264 PSNR and VMAF NEG; PSNR of chroma. Means of Set14 and 16 crops of the "
        "development set, for H.264 of three clips of eval/video. No network of vsr was trained on them. Measured by `python "
        "-m benchmarks.cells`: [cells-x2.json](../benchmarks/cells-x2.json), [cells-x4.json](../benchmarks/cells-x4.json)."
    )
    return [*_damages("cells", "restore"), said]


def results() -> list[Path]:
    return sorted((HERE / "results").glob("*.json"))


def speeds() -> list[str]:
    """Every result of `vsr bench` in `results/`, a picture and a table each."""
    lines: list[str] = []
    for path in results():
        result = read_result(path)
        lines += [
            f"![frames a second of {path.stem}](../benchmarks/results/{path.stem}.png)",
            "",
            *markdown(result).splitlines(),
            f"- `{result.command}`: [{path.name}](../benchmarks/results/{path.name})",
            "",
        ]
    if not lines:
        return [
            "No result is kept yet; [benchmarks/results](../benchmarks/results/README.md) says how to add one."
        ]
    return [
        *lines,
        "Written by `python benchmarks/tables.py` from [benchmarks/results](../benchmarks/results/README.md).",
    ]


def gpu() -> list[str]:
    """What `gpu.json` holds of every package and size."""
    report = json.loads((HERE / "gpu.json").read_text())
    figures = ["network alone", "and copies, in memory", "infer stage of vsr", "vsr into null", "torch loop"]
    lines = [
        f"| model | frames of | {' | '.join(figures)} | share of matrix rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for found in report["results"]:
        # Steps alone are measured of torch's engines, and the plain loop of chains; last come batches as in `vsr upscale`.
        alone, plain = found["fps"].get("compute"), found["fps_plain_torch"]
        rates = [alone, list(found["fps_overlapped"].values())[-1], *_of_vsr(found.get("bench")), plain]
        cells = " | ".join("" if rate is None else f"{rate:,.0f}" for rate in rates)
        size, share = "x".join(map(str, found["size"])), f"{found['of_matrix_rate']:.0%}"
        lines.append(f"| `{found['model']}` in {found['precision']} | {size} | {cells} | {share} |")
    machine = report["environment"]
    where = f"{machine['gpu']}, driver {machine['driver']}, torch {machine['versions']['torch']}"
    measured = "Frames a second, and of the rate at which large matrices are multiplied in half precision"
    return [*lines, "", f"{measured}, {where}.", f"Made by `{report['command']}`."]


def _of_vsr(bench: Any) -> list[float | None]:
    """Frames a second of the infer stage alone, and of the whole job into nothing, of what `gpu.py` had `vsr bench` measure."""
    if isinstance(bench, list):
        cell = next(cell for cell in bench if cell["case"]["encoder"] == "null")
        return [cell["alone"]["infer"]["fps"]["median"], cell["together"]["fps"]["median"]]
    # Before `vsr bench` repeated what it measures.
    return [bench["alone"]["infer"]["fps"], bench["together"]["null"]["fps"]] if bench else [None, None]


def peers() -> list[str]:
    """`side-by-side/peers-x4.json`."""
    report = json.loads((HERE / "side-by-side" / "peers-x4.json").read_text())
    lines = ["| program | version | frames a second | vsr is so many times as fast |", "|---|---|--:|--:|"]
    left_out = []
    for peer in report["peers"].values():
        if "left_out" in peer:
            left_out.append(f"{peer['name']} ({peer['left_out']})")
            continue
        own = report["environment"]["versions"].get(peer["name"], "")
        version = peer["packages"][0]["version"] if peer["packages"] else own
        figures = " | ".join(_with_quartiles(peer[key]) for key in ("fps", "vsr_is_times_as_fast"))
        lines.append(f"| {peer['name']} | {version} | {figures} |")
    sizes = " to ".join(
        "x".join(str(side * scale) for side in report["size"]) for scale in (1, report["scale"])
    )
    machine = report["environment"]
    runs = [run for line in report["rounds"] for run in line.values()]
    others = max(run.get("others", 0) for run in runs)
    return [
        *lines,
        "",
        f"{report['network']}, {sizes}, {report['encoder']}: median of {len(report['rounds'])} rounds in turn, and quartiles.",
        f"{machine['cpu']} ({', '.join(machine['flags'])}), {machine['cores']} cores, of which others took up to {others:.1f}.",
        f"Left out: {'; '.join(left_out)}.",
        f"Made by `{report['command']}`.",
    ]


def _with_quartiles(figure: dict[str, float]) -> str:
    return f"{figure['median']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


# Sizes for the table where an architecture has no usual ones.
_SIZES = {name: {"channels": 32, "depth": 6} for name in ("chain", "colour", "temporal")}


def architectures() -> str:
    """Every architecture at its usual size, x2."""
    lines = [
        "# Architectures",
        "",
        "All work on luma, `colour` also on chroma, at scales 2, 3 and 4. `[arch]` of a recipe names them. At x2:",
        "",
        "| name | from | sizes | parameters | multiply-adds per input pixel | halo |",
        "|---|---|---|--:|--:|--:|",
    ]
    for name, architecture in ARCHITECTURES.items():
        spec = spec_from_dict(name, {"scale": 2, **_SIZES.get(name, {})})
        said = " ".join((sys.modules[architecture.module].__doc__ or "").split())
        sizes = ", ".join(f"{key} {value}" for key, value in vars(spec).items() if _is_size(spec, key))
        halo = "whole picture" if getattr(spec, "whole", False) else str(spec.halo)
        lines.append(
            f"| `{name}` | {said} | {sizes} | {spec.parameters:,} | {round(spec.macs_per_pixel):,} | {halo} |"
        )
    return "\n".join([*lines, "", "Written by `python benchmarks/tables.py` from the code."]) + "\n"


def _is_size(spec: Any, key: str) -> bool:
    return key != "scale" and key in {field.name for field in dataclasses.fields(spec)}


# Which tables each page has.
PAGES = {
    "models.md": {"models": models, "look": look, "cells": cells, "drawn": drawn, "gallery": gallery},
    "benchmarks.md": {"benchmarks": speeds, "peers": peers},
    "gpu.md": {"gpu": gpu},
}


def written(page: str) -> str:
    """A page of docs/ with its tables as they should be."""
    text = (DOCS / page).read_text()
    for name, table in PAGES[page].items():
        block = "\n".join([f"<!-- {name}:begin -->", *table(), f"<!-- {name}:end -->"])
        pattern = f"<!-- {name}:begin -->.*?<!-- {name}:end -->"
        text, found = re.subn(pattern, lambda _, b=block: b, text, flags=re.S)
        if found != 1:
            raise SystemExit(f"docs/{page} has no place for the table {name}")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = {ARCHITECTURES_PAGE: architectures(), **{DOCS / page: written(page) for page in PAGES}}
    for path, text in wanted.items():
        if check and (not path.exists() or path.read_text() != text):
            print(f"{path.name} is out of date", file=sys.stderr)
            return 1
        if not check:
            path.write_text(text)
    if not check:
        for path in results():
            path.with_suffix(".png").write_bytes(picture(read_result(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
