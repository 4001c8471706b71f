"""Probe, upscale and close damaged files on four threads: `python -m tests.support.damaged_threads SECONDS FOLDER FILE...`.

A process of its own, as one that stands still is past all help. Prints how often each thread came around.
"""

from __future__ import annotations

import faulthandler
import importlib
import sys
import threading
import time
from itertools import cycle, islice
from pathlib import Path

import vsr
from tests.support.processes import PATIENCE_S
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions


def work(number: int, files: list[str], folder: Path, until: float) -> int:
    """Take the files in turn until then; how many."""
    output = folder / f"{number}.mkv"
    done = 0
    for file in islice(cycle(files), number, None):
        if time.monotonic() > until:
            return done
        vsr.probe(file)
        vsr.upscale_file(file, output, model="bicubic", preset="ultrafast", overwrite=True)
        with open_source(file, SourceOptions(threads=4)) as source:
            list(islice(source, done % 7))
        done += 1
    return done


def main(seconds: float, folder: Path, files: list[str]) -> None:
    # Where two threads import it at once, CPython's import locks may write of an ignored KeyError.
    importlib.import_module("openvino")
    faulthandler.dump_traceback_later(seconds + PATIENCE_S / 2, exit=True)
    rounds = [0] * 4
    until = time.monotonic() + seconds

    def run(number: int) -> None:
        rounds[number] = work(number, files, folder, until)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*rounds)


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
