"""Small clips for tests, made with ffmpeg once a run, by name: pictures of 64x48 to 320x240, about a second long."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.bitstream import BitStreamFilterContext

from tests.support.processes import PATIENCE_S

HARD = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "hard"
"""The folder of odd files; tests that need it are skipped where it isn't."""

needs_hard = pytest.mark.skipif(
    not HARD.is_dir(), reason=f"no {HARD.name} folder of odd files beside the checkout"
)

TEST_SOURCE = "testsrc2=size=160x120:rate=25:duration=1"


FOLDER_VARIABLE = "VSR_TEST_CLIPS"
"""The environment variable that names the folder of clips; tests/conftest.py makes the folder, one for all workers."""


def folder() -> Path:
    """The run's folder of clips. Write to it through `made` only: other workers use it, too."""
    return Path(os.environ[FOLDER_VARIABLE])


def made(name: str, recipe: object, write: Callable[[Path], object]) -> Path:
    """A file (or a numbered sequence) that `write` makes unless it is there; made once for all workers.

    `recipe` says how it is made: files of one name and other recipes lie in other folders.
    """
    path = folder() / hashlib.sha256(repr(recipe).encode()).hexdigest()[:12] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.made"), "a+") as noted:
        fcntl.flock(noted, fcntl.LOCK_EX)
        noted.seek(0)
        if not noted.read():
            write(path)
            noted.write("made")
    return path


def run(*args: str | Path) -> None:
    """Run ffmpeg; its errors are the test's."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")


@functools.cache
def make(name: str, *args: str, source: str = TEST_SOURCE, audio: bool = False) -> Path:
    """A clip of a lavfi source with these ffmpeg options; made once."""
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1", "-shortest"] if audio else []
    options = ["-f", "lavfi", "-i", source, *sound, *args]
    return made(name, options, lambda path: run(*options, path))


def h264(name: str = "plain.mp4", *args: str, audio: bool = False, source: str = TEST_SOURCE) -> Path:
    """H.264 with B-frames, a keyframe every 10."""
    return make(name, "-c:v", "libx264", "-preset", "fast", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p", *args,
                source=source, audio=audio)  # fmt: skip


@functools.cache
def derive(name: str, original: Path, *args: str, before: tuple[str, ...] = ()) -> Path:
    """A clip made from another with these ffmpeg options."""
    options = [*before, "-i", str(original), *args]
    return made(name, options, lambda path: run(*options, path))


def variable_rate(name: str = "vfr.mp4") -> Path:
    """Frames at uneven times: of 25 a second, those not divisible by 3, from 0.5 s with a gap of half a second later."""
    chosen = "select='mod(n,3)',setpts='PTS+0.5/TB+gte(N,8)*0.5/TB'"
    return make(
        name, "-vf", chosen, "-vsync", "passthrough", "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"
    )


def interlaced(name: str = "interlaced.ts", codec: str = "mpeg2video") -> Path:
    """25 frames of two fields each, flagged interlaced, top field first."""
    flags = {"mpeg2video": ("-flags", "+ildct+ilme"), "libx264": ("-x264opts", "tff=1")}[codec]
    return make(name, "-vf", "interlace=scan=tff,setfield=tff", "-c:v", codec, *flags, "-b:v", "2M",
                source="testsrc2=size=160x120:rate=50:duration=1")  # fmt: skip


def damaged(name: str, original: Path, *, start: float = 0.4, end: float = 0.6, seed: int = 7) -> Path:
    """The file with one byte in 64 changed between two fractions of its length."""
    data = bytearray(original.read_bytes())
    state = seed
    for place in range(int(len(data) * start), int(len(data) * end), 64):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        data[place + state % 64] ^= 0xFF
    return made(name, (str(original), start, end, seed), lambda path: path.write_bytes(data))


def cut(name: str, original: Path, fraction: float) -> Path:
    """The beginning of a file."""
    data = original.read_bytes()
    return made(
        name, (str(original), fraction), lambda path: path.write_bytes(data[: int(len(data) * fraction)])
    )


def joined(name: str, *originals: Path) -> Path:
    """Files one after the other, byte by byte (MPEG-TS stands that, and its clock restarts)."""
    data = b"".join(original.read_bytes() for original in originals)
    return made(name, [str(original) for original in originals], lambda path: path.write_bytes(data))


def hdr10(name: str = "hdr10.mkv") -> Path:
    """10-bit HEVC tagged HDR10 with mastering display and content light metadata; chroma top-left."""
    params = (
        "log-level=error:hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:chromaloc=2:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    )
    return make(name, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", params, "-frames:v", "5",
                "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")  # fmt: skip


def dolby_vision(profile: int, compatibility: int) -> Path:
    """HEVC in MP4 with a `dvcC` box saying so (the layer itself isn't there)."""
    original = make("hevc.mp4", "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=error",
                    "-frames:v", "5", "-tag:v", "hvc1")  # fmt: skip
    config = bytes([1, 0, profile << 1, (1 << 3) | 0b101, compatibility << 4]) + bytes(19)
    return boxed(f"dv{profile}_{compatibility}.mp4", original, b"hvcC", box(b"dvcC", config))


def box(kind: bytes, content: bytes) -> bytes:
    """A box of MP4."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def boxed(name: str, original: Path, before: bytes, extra: bytes) -> Path:
    """An MP4 file with boxes more in its first video's sample entry, before one that is there (avcC, hvcC)."""
    data = original.read_bytes()
    place = data.index(before) - 4
    entry = {b"avcC": b"avc1", b"hvcC": b"hvc1"}[before]
    data = data[:place] + extra + data[place:]
    # The boxes around it grow; moov lies behind mdat, so no offset moves.
    assert data.index(b"mdat") < place
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", entry):
        at = data.index(kind, data.index(b"moov")) - 4
        (size,) = struct.unpack_from(">I", data, at)
        data = data[:at] + struct.pack(">I", size + len(extra)) + data[at + 4 :]
    return made(name, (str(original), extra), lambda path: path.write_bytes(data))


def remuxed(name: str, original: Path) -> Path:
    """The video of a file in another container, with all that PyAV's FFmpeg knows of it: it is newer than `ffmpeg`."""

    def write(path: Path) -> None:
        with av.open(str(original)) as given, av.open(str(path), "w") as output:
            stream = given.streams.video[0]
            copy = output.add_mux_stream(stream.codec_context.name)
            BitStreamFilterContext("null", stream, copy)
            copy.time_base = stream.time_base or Fraction(1, 1000)
            for packet in given.demux(stream):
                if packet.size:
                    packet.stream = copy
                    output.mux_one(packet)

    return made(name, str(original), write)


def ffprobe(path: Path, entries: str, *args: str) -> dict[str, Any]:
    """ffprobe's JSON of these entries."""
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_entries", entries, *args, str(path)]
    result: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S).stdout
    )
    return result


def frame_times(path: Path, stream: str = "v:0") -> list[int]:
    """pts of every decoded frame, as ffprobe tells them."""
    found = ffprobe(path, "frame=best_effort_timestamp", "-select_streams", stream)
    return [int(frame["best_effort_timestamp"]) for frame in found["frames"]]


def packet_times(path: Path, stream: str) -> list[int]:
    """pts of every packet, as ffprobe tells them."""
    found = ffprobe(path, "packet=pts", "-select_streams", stream)
    return [int(packet["pts"]) for packet in found["packets"]]
