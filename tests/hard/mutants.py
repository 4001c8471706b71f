"""Damage small media files in every way, and put each through probing, decoding and enlarging.

    python tests/hard/mutants.py [5000] [--first 0] [--jobs 2] [--limit 60] [--keep FOLDER]

Mutant number n is the same every time. A child takes many, one after another, with standard error in a file. Problems: the
child dies or takes too long over one, an internal error, words on standard error, or fewer frames than FFmpeg's own decoders
give with nothing said of it. Exits with 1 if there is one; `--keep` keeps the files that made them.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import faulthandler
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support import clips  # noqa: E402 - the checkout comes before anything installed

_SIZE, _FRAMES = "64x48", "10"
# Of a file, and of all its frames.
_MOST_BYTES, _MOST_PIXELS = 120_000, 6_000_000
_X26 = ("-g", "5", "-bf", "2", "-pix_fmt", "yuv420p")
_QUIET = ("-x265-params", "log-level=none")
# What ffmpeg makes of a test picture and, in containers that take it, a tone.
_MADE: dict[str, tuple[str, ...]] = {
    "h264.mp4": ("-c:v", "libx264", *_X26), "h264.mov": ("-c:v", "libx264", *_X26), "h264.mkv": ("-c:v", "libx264", *_X26),
    "h264.ts": ("-c:v", "libx264", *_X26), "h264.flv": ("-c:v", "libx264", "-ar", "44100", *_X26),
    "h264.avi": ("-c:v", "libx264", *_X26), "h264.264": ("-c:v", "libx264", *_X26),
    "fragmented.mp4": ("-c:v", "libx264", *_X26, "-movflags", "frag_keyframe+empty_moov"),
    "ten.mkv": ("-c:v", "libx264", "-pix_fmt", "yuv422p10le"), "mbaff.ts": ("-c:v", "libx264", "-x264opts", "tff=1", *_X26),
    "hevc.mp4": ("-c:v", "libx265", *_QUIET), "hevc.265": ("-c:v", "libx265", *_QUIET), "hevc.ts": ("-c:v", "libx265", *_QUIET),
    "av1.mp4": ("-c:v", "libaom-av1", "-cpu-used", "8"), "av1.ivf": ("-c:v", "libaom-av1", "-cpu-used", "8"),
    "vp8.webm": ("-c:v", "libvpx"), "vp9.webm": ("-c:v", "libvpx-vp9"), "vp9.mp4": ("-c:v", "libvpx-vp9"),
    "alpha.webm": ("-c:v", "libvpx-vp9", "-vf", "format=yuva420p", "-auto-alt-ref", "0"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-bf", "2"), "mpeg4.mp4": ("-c:v", "mpeg4"), "msmpeg4.avi": ("-c:v", "msmpeg4v2"),
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-bf", "2"), "mpeg2.ts": ("-c:v", "mpeg2video", "-flags", "+ilme+ildct"),
    "mpeg1.mpg": ("-c:v", "mpeg1video"), "mpeg2.mxf": ("-c:v", "mpeg2video", "-ar", "48000"), "wmv2.wmv": ("-c:v", "wmv2"),
    "flv1.flv": ("-c:v", "flv", "-ar", "44100"), "h263.3gp": ("-c:v", "h263", "-s", "128x96", "-an"),
    "theora.ogv": ("-c:v", "libtheora"), "mjpeg.avi": ("-c:v", "mjpeg"), "mjpeg.mov": ("-c:v", "mjpeg"),
    "prores.mov": ("-c:v", "prores_ks"), "png.mov": ("-c:v", "png"), "cinepak.avi": ("-c:v", "cinepak"),
    "ffv1.mkv": ("-c:v", "ffv1", "-level", "3"), "utvideo.avi": ("-c:v", "utvideo"), "huffyuv.avi": ("-c:v", "huffyuv"),
    "raw.nut": ("-c:v", "rawvideo"), "raw.y4m": (), "pal.dv": ("-s", "720x576", "-pix_fmt", "yuv420p", "-frames:v", "1"),
    "moving.gif": (), "moving.apng": ("-plays", "0"), "moving.webp": ("-c:v", "libwebp_anim"),
    **{f"still.{ending}": ("-frames:v", "1") for ending in ("png", "jpg", "bmp", "tiff", "webp", "ppm", "tga")},
}  # fmt: skip
_SILENT = (
    ".264",
    ".265",
    ".y4m",
    ".ivf",
    ".gif",
    ".apng",
    ".webp",
    ".png",
    ".jpg",
    ".bmp",
    ".tiff",
    ".ppm",
    ".tga",
    ".dv",
)


def _make(name: str) -> Path:
    source = f"testsrc2=size={_SIZE}:rate=25"
    audio = not name.endswith(_SILENT) and "-an" not in _MADE[name]
    return clips.make(name, "-frames:v", _FRAMES, *_MADE[name], source=source, audio=audio)


@functools.cache
def originals() -> list[str]:
    """Names of what `_MADE` makes, and paths of what is small in the folder of odd files, where it is there."""
    odd = []
    if clips.HARD.is_dir():
        with (clips.HARD / "probe.tsv").open(newline="") as table:
            for row in csv.DictReader(table, delimiter="\t"):
                width, _, height = (row["size"] or "0x0").partition("x")
                path, frames = clips.HARD / row["file"], int(row["frames_decoded(max400)"] or 0)
                if int(width) * int(height) * frames <= _MOST_PIXELS and path.stat().st_size <= _MOST_BYTES:
                    odd.append(str(path))
    return [*_MADE, *sorted(odd)]


def _read(name: str) -> bytes:
    return (_make(name) if name in _MADE else Path(name)).read_bytes()


def mutant(number: int) -> tuple[str, bytes]:
    """(a name that tells what it was, the file)."""
    rng = random.Random(number)
    known = originals()
    name = known[number % len(known)]
    data = bytearray(_read(name))
    did = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice(_CHANGES)
        did.append(change.__name__.strip("_"))
        if change is _splice:
            other = _read(known[rng.randrange(len(known))])
            data = _splice(data, rng, other)
        else:
            data = change(data, rng)
    path = Path(name)
    return f"{number}-{path.stem}-{'-'.join(did)}{path.suffix}", bytes(data)


def _span(data: bytearray, rng: random.Random, most: int = 4096) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, min(len(data), start + rng.randint(1, most)))


def _flip(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    for _number in range(rng.choice((1, 2, 8, max(1, len(data) // 200)))):
        if data:
            data[rng.randrange(len(data))] ^= rng.randint(1, 255)
    return data


def _header(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    """Flips where headers are: at the beginning, or the end."""
    reach = min(len(data), 1500)
    for _number in range(rng.choice((1, 1, 3))):
        if data:
            data[rng.randrange(reach) if rng.random() < 0.6 else -rng.randint(1, reach)] ^= rng.randint(
                1, 255
            )
    return data


def _numbers(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    """Extreme numbers in place of others."""
    for _number in range(rng.randint(1, 3)):
        place = rng.randrange(max(1, min(len(data), rng.choice((1500, len(data) or 1)))))
        size = rng.choice((1, 2, 4, 8))
        if place + size <= len(data):
            extreme = rng.choice((0, 1, (1 << 8 * size) - 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1))
            data[place : place + size] = extreme.to_bytes(size, rng.choice(("big", "little")))
    return data


def _cut(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    place = rng.randrange(len(data) + 1)
    return data[:place] if rng.random() < 0.7 else data[place:]


def _blank(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    span = _span(data, rng)
    data[span] = rng.choice((b"\0", b"\xff")) * (span.stop - span.start)
    return data


def _drop(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    del data[_span(data, rng, 1024)]
    return data


def _repeat(data: bytearray, rng: random.Random, _: bytes = b"") -> bytearray:
    block = bytes(data[_span(data, rng)])
    place = rng.randrange(len(data) + 1)
    data[place:place] = block * rng.choice((1, 1, 4))
    return data


def _splice(data: bytearray, rng: random.Random, other: bytes = b"") -> bytearray:
    """A piece of another file, between or over what is there."""
    block = other[_span(bytearray(other), rng)]
    place = rng.randrange(len(data) + 1)
    data[place : place + rng.choice((0, len(block)))] = block
    return data


_CHANGES = (_flip, _flip, _header, _numbers, _numbers, _cut, _blank, _drop, _repeat, _splice)


def _judge(file: Path) -> tuple[str, str]:
    """(ok, refused or PROBLEM, why)."""
    import vsr
    from vsr.core.errors import VsrError
    from vsr.media.read.open import open_source
    from vsr.media.types import SourceOptions

    try:
        with contextlib.suppress(VsrError):
            vsr.probe(str(file))
        with contextlib.suppress(VsrError), open_source(str(file), SourceOptions(strict=True)) as source:
            collections.deque(source, maxlen=0)
        report = vsr.upscale_file(str(file), "null:", model="bicubic")
    except VsrError as error:
        return ("PROBLEM" if error.exit_code == 70 else "refused"), error.message
    except Exception as error:
        return "PROBLEM", f"internal error: {error!r}"
    expected = _decodable(file)
    # That a raw stream has no times is said of whole ones, too.
    notes = [note for note in report.notes if not note.startswith("a raw stream")]
    said = (*notes, *report.warnings, *filter(None, [report.first_error]))
    if report.frames_out < expected and not said:
        return "PROBLEM", f"{expected} frames decode, {report.frames_out} come out, and nothing is said"
    return "ok", f"{report.frames_out} of {expected} frames {'; '.join(said)}"


def _decodable(file: Path) -> int:
    """How many frames of the main video FFmpeg decodes, up to the first error of reading."""
    import av

    # PyAV 19 takes text that is no UTF-8 by itself.
    options = {"metadata_errors": "replace"} if av.__version__.startswith("18.") else {}
    count = 0
    with (
        contextlib.suppress(av.FFmpegError, OSError, ValueError),
        av.open(str(file), **options) as container,
    ):
        stream = container.streams.best("video")
        for packet in container.demux(stream) if stream is not None else ():
            with contextlib.suppress(av.FFmpegError):
                count += len(packet.decode())
    return count


def _child(first: int, end: int, limit_s: float, scratch: Path) -> None:
    """Judge mutants, a line for the beginning and the end of each."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    for number in range(first, end):
        name, data = mutant(number)
        file = scratch / name
        file.write_bytes(data)
        print(f"begin\t{number}\t{name}", flush=True)
        faulthandler.dump_traceback_later(limit_s, exit=True)
        heard = len(_words())
        verdict, why = _judge(file)
        faulthandler.cancel_dump_traceback_later()
        if words := _words()[heard:]:
            verdict, why = "PROBLEM", f"{verdict}, {why}, and on standard error: {' '.join(words)}"
        text = " ".join(why.replace(str(file), name).split())
        print(f"{verdict}\t{number}\t{name}\t{text}", flush=True)
        if verdict != "PROBLEM":
            file.unlink()


def _words() -> list[str]:
    """The lines on standard error, a file; not those of libtiff, which Pillow cannot silence."""
    with os.fdopen(os.dup(2), "r+", errors="replace") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        lines = file.read(size).splitlines()
    return [line for line in lines if not line.lstrip("_").startswith("TIFF")]


def judged(first: int, end: int, limit_s: float, scratch: Path) -> Iterator[tuple[str, str, str]]:
    """(verdict, name, why) of each mutant, by as many children as it takes."""
    while first < end:
        errors = scratch / f"{first}.stderr"
        command = [
            sys.executable,
            __file__,
            "--child",
            str(end),
            "--first",
            str(first),
            "--limit",
            str(limit_s),
        ]
        name = ""
        with (
            errors.open("w+b") as stderr,
            subprocess.Popen(
                [*command, "--keep", str(scratch)], stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as child,
        ):
            assert child.stdout is not None
            for line in child.stdout:
                kind, number, name, *why = line.rstrip("\n").split("\t")
                first = int(number) + 1
                if kind != "begin":
                    yield kind, name, why[0]
                    name = ""
        if name or child.returncode:
            told = errors.read_text(errors="replace")
            if child.returncode < 0:
                yield "PROBLEM", name, f"dies by {signal.Signals(-child.returncode).name}"
            elif "Timeout (" in told:
                yield "PROBLEM", name, f"no end within {limit_s:g} s: {errors}"
            else:
                raise RuntimeError(told)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int, nargs="?", default=5000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one")
    parser.add_argument("--keep", type=Path, help="folder for the files that make problems")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child is not None:
        _child(given.first, given.child, given.limit, given.keep)
        return 0
    began, verdicts = time.monotonic(), collections.Counter[str]()
    with tempfile.TemporaryDirectory(prefix="vsr-mutants-") as folder:
        os.environ.setdefault(clips.FOLDER_VARIABLE, folder)
        scratch = given.keep or Path(folder)
        scratch.mkdir(parents=True, exist_ok=True)
        end = given.first + given.count
        share = -(-given.count // given.jobs)
        parts = [(start, min(end, start + share)) for start in range(given.first, end, share)]

        def run(part: tuple[int, int]) -> None:
            for verdict, name, why in judged(*part, given.limit, scratch):
                verdicts[verdict] += 1
                if verdict == "PROBLEM":
                    print(f"PROBLEM {name}: {why}", flush=True)

        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(run, parts))
    seconds = time.monotonic() - began
    print(f"{verdicts.total()} mutants in {seconds:.0f} s: {verdicts['ok']} ok, {verdicts['refused']} refused, "
          f"{verdicts['PROBLEM']} with problems")  # fmt: skip
    return 1 if verdicts["PROBLEM"] else 0


if __name__ == "__main__":
    sys.exit(main())
