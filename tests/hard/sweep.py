"""Upscale every file of a folder, however odd, and write a table of what became of each.

    python tests/hard/sweep.py ../shared/data/hard [--jobs 1] [--only WORD]

Exits with 1 if any file makes a problem; see `check.py` for what counts as one.
"""

from __future__ import annotations

import argparse
import collections
import csv
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.hard.check import Outcome, check  # noqa: E402 - the checkout comes before anything installed

TABLE = ROOT / "benchmarks" / "hard-files.md"
# Clips with more pixels than this in all are cut to the first two seconds, or half a second where frames are large.
_MANY_PIXELS = 30_000_000
_SHORT_S, _SHORTER_S = "2", "0.5"
_LARGE = 500_000


def files_of(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(path in the folder, options) of every file `probe.tsv` names."""
    with (folder / "probe.tsv").open(newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            width, _, height = (row["size"] or "0x0").partition("x")
            area = int(width) * int(height)
            frames = int(row["frames_decoded(max400)"] or 0)
            cut: tuple[str, ...] = ()
            if frames > 1 and frames * area > _MANY_PIXELS:
                cut = ("--duration", _SHORTER_S if area > _LARGE else _SHORT_S)
            yield row["file"], cut


def table_of(outcomes: list[tuple[Outcome, tuple[str, ...]]]) -> str:
    """The outcomes as markdown."""
    counts = collections.Counter(outcome.verdict for outcome, _ in outcomes)
    lines = [
        "# Odd, broken and rare files",
        "",
        "`python tests/hard/sweep.py ../shared/data/hard` put each through `vsr upscale FILE FOLDER/ --model bicubic -q`",
        "(and `--preset ultrafast` where the encoder has it), with 60 s to end in. *ok*: as many frames as decode, each",
        "at its own time to half a tick of the output's clock, and the packets of all sound as they were. *refused*: one",
        "`error:` line, and no file.",
        "",
        f"{counts['ok']} ok, {counts['refused']} refused, {counts['PROBLEM']} with problems.",
        "",
        "| file | outcome | seconds | frames in | out | only | said |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for o, options in outcomes:
        told = o.told.replace("|", "\\|")
        cut = f"{options[1]} s" if options else ""
        frames = ("" if n is None else n for n in (o.frames_in, o.frames_out))
        lines.append(
            f"| {o.file} | {o.verdict} | {o.seconds:.1f} | {' | '.join(map(str, frames))} | {cut} | {told} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--only", default="", help="files whose path holds this; the table is then not written"
    )
    given = parser.parse_args()
    chosen = [(name, options) for name, options in files_of(given.folder) if given.only in name]
    if not chosen:
        parser.error(f"no file of {given.folder} holds {given.only!r} in its path")
    outcomes: list[tuple[Outcome, tuple[str, ...]]] = []
    with tempfile.TemporaryDirectory(prefix="vsr-hard-") as scratch, ThreadPoolExecutor(given.jobs) as pool:

        def one(number: int, name: str, options: tuple[str, ...]) -> Outcome:
            place = Path(scratch) / str(number)
            outcome = check(given.folder.resolve() / name, place, name=name, options=options)
            for path in place.glob("*"):
                path.unlink()
            return outcome

        running = [pool.submit(one, n, name, options) for n, (name, options) in enumerate(chosen)]
        for (_, options), future in zip(chosen, running, strict=True):
            o = future.result()
            outcomes.append((o, options))
            frames = f"{o.frames_in or ''}>{o.frames_out or ''}"
            print(f"{o.verdict:8} {o.seconds:5.1f} s {frames:>9} {o.file}  {o.told}", flush=True)
    if not given.only:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(table_of(outcomes))
    problems = sum(outcome.verdict == "PROBLEM" for outcome, _ in outcomes)
    print(f"{len(outcomes)} files, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
