"""Make the packages of cubic convolution, with figures measured here and now.

python scripts/make_bicubic.py ../shared/data/eval/image
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from make_package import PACKAGES, measure, rounded

from vsr.models.graphs.networks import Cubic
from vsr.models.graphs.package import PackageFacts, write_package

CARD = """\
# {id}

Cubic convolution (Keys 1981, a = -0.5) as a frame graph. Nothing trained: the floor of every comparison.
"""


def main() -> None:
    folder = Path(sys.argv[1])
    for scale in (2, 3, 4):
        name = f"bicubic-x{scale}"
        title = f"Cubic convolution, x{scale}"
        facts = PackageFacts(name, title, precision="fp32", card=CARD.format(id=name))
        with tempfile.TemporaryDirectory() as temporary:
            draft = write_package(Cubic(scale), facts, Path(temporary) / name)
            figures, _ = measure(str(draft.folder), folder)
        spec = write_package(Cubic(scale), replace(facts, quality=rounded(figures)), PACKAGES / name)
        print(spec.folder, dict(spec.quality))


if __name__ == "__main__":
    main()
