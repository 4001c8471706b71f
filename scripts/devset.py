"""Make a folder of links to the training pictures, and the development set that is kept out of them.

    python scripts/devset.py ../shared/data runs/data

Below runs/data, train/ has every picture of train/ and train2/ that training/devset.txt does not name, and dev/ has the named
ones, a folder for each set, and pictures drawn by `vsr.training.render`. Videos are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from vsr.training.render import rendered_luma

LIST = Path(__file__).parent.parent / "training" / "devset.txt"
FOLDERS = ("train/photos", "train2/photos", "train2/drawn")
# A training draws its own pictures from small seeds.
RENDERED_SEEDS = range(900_001, 900_004)
RENDERED_SIDE = 512


def named(text: str) -> dict[str, str]:
    """Sets by path, as training/devset.txt lists them."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return {path: name for name, path in lines}


def make(data: Path, out: Path, sets: dict[str, str]) -> None:
    """Fill `out`, which must not exist, from `data`."""
    if missing := [path for path in sets if not (data / path).is_file()]:
        raise SystemExit(f"not in {data}: {', '.join(missing)}")
    out.mkdir(parents=True)
    for folder in FOLDERS:
        for picture in sorted((data / folder).rglob("*.avif")):
            path = picture.relative_to(data).as_posix()
            name = sets.get(path)
            if name != "-":
                link = out / "dev" / name / path.replace("/", "-") if name else out / "train" / path
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(picture.resolve())
    rendered = out / "dev" / "rendered"
    rendered.mkdir()
    for seed in RENDERED_SEEDS:
        Image.fromarray(rendered_luma(seed, RENDERED_SIDE)).save(rendered / f"{seed}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="Folder that holds train/ and train2/.")
    parser.add_argument("out", type=Path, help="New folder.")
    given = parser.parse_args()
    make(given.data, given.out, named(LIST.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
