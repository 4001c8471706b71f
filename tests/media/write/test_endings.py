"""Outputs appear whole or not at all, and every refusal of the system is told."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import textwrap
import threading
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import av
import pytest
from PIL import Image

from tests.support import clips
from tests.support.processes import PATIENCE_S, Processes
from tests.support.sinks import doubled, through
from vsr.core.errors import ConfigError, EncodeError, FileError
from vsr.files import ordinary, whole
from vsr.files.whole import OutputFile, write_whole
from vsr.media.outputs import check_outputs
from vsr.media.read.open import open_source
from vsr.media.types import SinkOptions
from vsr.media.write.sink import open_sink

ROOT = Path(__file__).resolve().parents[3]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def frames_in(path: Path) -> int:
    with av.open(str(path), format="mp4") as container:
        return sum(1 for _ in container.decode(video=0))


def some(output: Path, frames: int, ending: str, **options: object) -> object:
    with open_source(str(clips.h264("cfr_sound.mp4", audio=True))) as source:
        sink = open_sink(str(output), SinkOptions(**options), source.carried, source.info)  # type: ignore[arg-type]
        for _, frame in zip(range(frames), source, strict=False):
            sink.write(frame)
        assert not output.exists()
        result = getattr(sink, ending)()
        assert sink.finish() is None  # ends once
        sink.abandon()
        return result


def test_three_endings(tmp_path: Path) -> None:
    output, kept = tmp_path / "out.mp4", [tmp_path / f"out.mp4.{number}.part" for number in (1, 2)]
    before = open_files()
    assert some(output, 7, "abandon") is None
    assert list(tmp_path.iterdir()) == []
    assert some(output, 7, "keep_part") == kept[0]
    assert list(tmp_path.iterdir()) == [kept[0]]
    (tmp_path / "out.mp4.part").write_bytes(b"left by a run that was killed")
    assert some(output, 9, "finish") == output
    assert sorted(tmp_path.iterdir()) == [output, kept[0]]
    assert frames_in(output) == 9
    # Later runs never touch a file that somebody was told to keep.
    output.unlink()
    assert some(output, 8, "keep_part") == kept[1]
    assert sorted(tmp_path.iterdir()) == kept
    assert [frames_in(part) for part in kept] == [7, 8]
    assert open_files() == before


def test_existing_output_is_refused_unless_allowed(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="exists"):
        some(output, 3, "finish")
    assert output.read_bytes() == b"precious"
    with open_source(str(clips.h264("cfr.mp4"))) as source:
        sink = open_sink(str(output), SinkOptions(overwrite=True), source.carried, source.info)
        for frame in source:
            sink.write(frame)
        assert output.read_bytes() == b"precious"
        sink.finish()
    assert frames_in(output) == 25


def test_two_at_once_do_not_write_one_file(tmp_path: Path) -> None:
    output, given = tmp_path / "out.mp4", str(clips.h264("cfr.mp4"))
    before = open_files()
    with open_source(given) as source:
        sink = open_sink(str(output), SinkOptions(), source.carried, source.info)
        with pytest.raises(ConfigError, match="another vsr is writing") as caught:
            through(given, output)
        assert caught.value.hint
        for frame in source:
            sink.write(frame)
        sink.finish()
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert frames_in(output) == 25
    through(given, output, overwrite=True)  # nothing stays locked
    assert open_files() == before


@pytest.mark.parametrize("name", ["out.png", "%d.png"])
def test_two_at_once_do_not_write_one_picture(name: str, tmp_path: Path) -> None:
    target = tmp_path / name.replace("%d", "1")
    with Image.new("RGB", (8, 8), "red") as image:
        image.save(tmp_path / "in.png")
    held = OutputFile(target)
    with pytest.raises(ConfigError, match="another vsr is writing"):
        through(tmp_path / "in.png", tmp_path / name)
    assert held.part.exists()
    held.drop()
    before = open_files()
    through(tmp_path / "in.png", tmp_path / name)
    assert open_files() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.png", target.name])


@pytest.mark.parametrize("other", ["finish", "abandon"])
def test_a_part_that_goes_before_it_is_locked_is_another_run_s(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, part = tmp_path / "out.bin", tmp_path / "out.bin.part"
    part.write_bytes(b"whole")
    lock = ordinary.fcntl.flock
    tries = 0

    def late(*args: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            part.rename(output) if other == "finish" else part.unlink()
        lock(*args)

    monkeypatch.setattr(ordinary.fcntl, "flock", late)
    file = OutputFile(output)
    file.write(b"mine")
    if other == "finish":
        assert output.read_bytes() == b"whole"
    file.commit()
    assert output.read_bytes() == b"mine"
    assert tries == 2


def test_what_ended_leaves_the_next_part_alone(tmp_path: Path) -> None:
    first = OutputFile(tmp_path / "out.bin")
    first.commit()
    second = OutputFile(tmp_path / "out.bin")
    second.write(b"second")
    first.drop()
    second.commit()
    assert (tmp_path / "out.bin").read_bytes() == b"second"


def test_small_files_are_written_one_after_another(tmp_path: Path) -> None:
    """Several processes keep one cache of engines: none of them may fail for that."""
    path = tmp_path / "cache"
    held = OutputFile(path)
    held.write(b"first")
    writing = threading.Thread(target=write_whole, args=(path, b"second"))
    writing.start()
    writing.join(0.2)
    assert writing.is_alive()
    held.commit()
    writing.join(PATIENCE_S)
    assert not writing.is_alive()
    assert path.read_bytes() == b"second"
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("name", ["out.mkv", "out.png", "%d.png"])
def test_a_part_that_is_a_link_is_not_written_through(name: str, tmp_path: Path) -> None:
    precious, part = tmp_path / "precious", tmp_path / f"{name.replace('%d', '1')}.part"
    precious.write_bytes(b"precious")
    part.symlink_to(precious)
    with Image.new("RGB", (8, 8), "red") as image:
        image.save(tmp_path / "in.png")
    with pytest.raises(FileError, match="symbolic link") as caught:
        through(tmp_path / "in.png", tmp_path / name, overwrite=True)
    assert ".part" in str(caught.value.hint)
    assert precious.read_bytes() == b"precious"
    assert part.is_symlink()


@pytest.mark.parametrize("name", ["out.mkv", "out.png"])
@pytest.mark.parametrize("there", [True, False], ids=["over-a-file", "to-nothing"])
def test_a_link_is_written_through(name: str, there: bool, tmp_path: Path) -> None:
    """Beside what it leads to, so that it appears there whole; the link stays."""
    disk, link = tmp_path / "disk", tmp_path / name
    disk.mkdir()
    if there:
        (disk / f"real-{name}").write_bytes(b"old")
    link.symlink_to(Path("disk") / f"real-{name}")
    with Image.new("RGB", (8, 8), "red") as image:
        image.save(tmp_path / "in.png")
    with open_source(str(tmp_path / "in.png")) as source:
        sink = open_sink(str(link), SinkOptions(overwrite=there), source.carried, source.info)
        for frame in source:
            sink.write(frame)
            assert not there or link.read_bytes() == b"old"
        assert sink.finish() == link
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["disk", "in.png", name])
    assert [p.name for p in disk.iterdir()] == [f"real-{name}"]
    with open_source(str(link)) as source:
        assert (source.info.width, source.info.height) == (8, 8)


def test_a_link_to_an_input_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "in.mkv").write_bytes(clips.h264("cfr.mkv").read_bytes())
    (tmp_path / "out.mkv").symlink_to("in.mkv")
    with pytest.raises(ConfigError, match="is the input"):
        check_outputs([str(tmp_path / "in.mkv")], [str(tmp_path / "out.mkv")])


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.mkv").symlink_to(tmp_path / "gone" / "out.mkv")
    with pytest.raises(ConfigError, match="gone' of the output does not exist"):
        through(clips.h264("cfr.mp4"), tmp_path / "out.mkv")
    (tmp_path / "round.mkv").symlink_to("round.mkv")
    with pytest.raises(ConfigError, match=r"round\.mkv"):
        through(clips.h264("cfr.mp4"), tmp_path / "round.mkv")


def test_a_named_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "out.mkv"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="not a regular file") as caught:
        through(clips.h264("cfr.mp4"), pipe, overwrite=True)
    assert "null:" in str(caught.value.hint)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.parametrize("name", ["hls", "dash", "segment", "image2", "fifo"])
def test_formats_that_open_files_of_their_own_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="opens files") as caught:
        through(clips.h264("cfr.mp4"), tmp_path / "out.mkv", container_format=name)
    assert "vsr stream" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/out.mp4", "out", "out.odd", "folder", "n" * 300 + ".mp4"])
def test_impossible_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError) as caught:
        through(clips.h264("cfr.mp4"), tmp_path / name)
    assert caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_names_that_look_like_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    through(clips.h264("cfr.mp4"), "a:b %d.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["a:b %d.mp4"]


def test_refusals_leave_nothing_open(tmp_path: Path) -> None:
    before = open_files()
    for options in ({"encoder": "nothing"}, {"encoder_options": {"odd": "1"}}, {"encoder": "libvpx"}):
        with pytest.raises(Exception, match=r"encoder|libvpx|vp8"):
            through(clips.h264("cfr.mp4"), tmp_path / "out.mp4", **options)
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


class Child(Protocol):
    def __call__(self, code: str, *args: str, stdout: int | None = None) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def child(processes: Processes) -> Child:
    """Runs code in a Python of its own."""

    def start(code: str, *args: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        head = "import sys; from tests.support.sinks import *; from vsr.core.errors import *\n"
        command = (sys.executable, "-c", head + textwrap.dedent(code), *args)
        return processes.start(*command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE)

    return start


def test_full_disk_is_told_and_leaves_nothing(child: Child, tmp_path: Path) -> None:
    code = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        try:
            through(sys.argv[1], sys.argv[2], scale=2, crf=1)
        except FileError as error:
            sys.exit(f"told: {error.message}")
    """
    process = child(code, str(clips.h264("cfr.mp4")), str(tmp_path / "out.mp4"))
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert b"told: cannot write" in errors, errors
    assert b"File too large" in errors
    assert list(tmp_path.iterdir()) == []


def test_broken_pipe_is_told_at_once(child: Child) -> None:
    code = """
        try:
            through(sys.argv[1], "-", scale=2)
        except FileError as error:
            sys.exit(f"told: {error.message} / {error.hint}")
    """
    process = child(code, str(clips.h264("cfr.mp4")), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(1000)
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(PATIENCE_S)
    assert b"told: cannot write standard output" in errors or b"Broken pipe" in errors, errors


@pytest.mark.parametrize(
    ("format", "magic"), [(None, b"nut/multimedia container"), ("yuv4mpegpipe", b"YUV4MPEG2")]
)
def test_standard_output(format: str | None, magic: bytes, child: Child, tmp_path: Path) -> None:
    code = "through(sys.argv[1], '-', container_format=sys.argv[2] or None)"
    process = child(code, str(clips.h264("cfr.mp4")), format or "", stdout=subprocess.PIPE)
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert out.startswith(magic)
    (tmp_path / "piped").write_bytes(out)
    with av.open(str(tmp_path / "piped")) as container, av.open(str(clips.h264("cfr.mp4"))) as original:
        pairs = zip(container.decode(video=0), original.decode(video=0), strict=True)
        assert all((a.to_ndarray() == b.to_ndarray()).all() for a, b in pairs)


@pytest.mark.parametrize("name", ["mp4", "mov"])
def test_formats_that_go_back_are_refused_on_standard_output(name: str, child: Child) -> None:
    code = """
        try:
            through(sys.argv[1], "-", container_format=sys.argv[2])
        except ConfigError as error:
            sys.exit(f"told: {error.message} / {error.hint}")
    """
    process = child(code, str(clips.h264("cfr.mp4")), name, stdout=subprocess.PIPE)
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert f"told: {name} cannot be written to standard output".encode() in errors, errors
    assert b"nut or matroska" in errors
    assert out == b""


def test_kill_leaves_no_output(child: Child, tmp_path: Path) -> None:
    code = """
        import signal
        left = int(sys.argv[3])
        def some(frame):
            global left
            if not left:
                print("here", flush=True)
                signal.pause()
            left -= 1
            return frame
        through(sys.argv[1], sys.argv[2], scale=2, change=some, overwrite=True)
    """
    output = tmp_path / "out.mp4"
    given = str(clips.h264("cfr_sound.mp4", audio=True))
    for frames in (0, 10, 24):
        process = child(code, given, str(output), str(frames), stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.kill()
        process.wait(PATIENCE_S)
        assert not output.exists()
    through(given, output)  # the part left over is no obstacle
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_null_counts(tmp_path: Path) -> None:
    sink = through(clips.h264("cfr.mp4"), "null:")
    assert sink.counters.frames == 25
    sink = through(clips.h264("cfr.mp4"), "null:", encoder="libx264", preset="ultrafast")
    assert sink.counters.frames == 25
    assert sink.counters.video_bytes > 1000


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts"])
@pytest.mark.parametrize("at", [1, 2])
def test_ctrl_c_while_ffmpeg_writes_is_not_lost(
    at: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg may write through what Python does not interrupt: it comes out of the sink all the same."""
    written, locked = itertools.count(1), whole.locked_part

    class Interrupted(FileIO):
        def write(self, data: Any) -> int:
            if next(written) == at:
                raise KeyboardInterrupt
            return super().write(data)

    def interrupted_part(part: Path, *, wait: bool = False) -> FileIO:
        with locked(part, wait=wait) as file:
            return Interrupted(os.dup(file.fileno()), "r+")

    monkeypatch.setattr(whole, "locked_part", interrupted_part)
    with pytest.raises(KeyboardInterrupt):
        through(clips.h264("cfr.mp4"), tmp_path / name, scale=2, preset="ultrafast")
    assert not list(tmp_path.iterdir())


def test_many_sinks_keep_no_file_open(tmp_path: Path) -> None:
    before = open_files()
    for number in range(3):
        with open_source(str(clips.h264("cfr.mp4"))) as source:
            sink = open_sink(str(tmp_path / f"{number}.mkv"), SinkOptions(), source.carried, source.info)
            frame = next(iter(source))
            sink.write(frame)
            with pytest.raises(EncodeError):
                sink.write(doubled(doubled(frame)) if number else _spoilt(frame))
            sink.abandon()
    assert open_files() == before
    assert list(tmp_path.iterdir()) == []


def _spoilt(frame: object) -> object:
    frame.planes = frame.planes[:1]  # type: ignore[attr-defined]
    return frame
