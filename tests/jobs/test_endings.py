"""How a whole job ends: whole, stopped, cancelled, by an error in any stage, or killed. Nothing that looks whole is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vsr
from tests.support import clips
from tests.support.enlarged import QUICK, descriptors, enlarge, own_threads, pictures
from vsr.core.control import Cancelled
from vsr.core.errors import DecodeError, FileError, PipelineError, VsrError
from vsr.media.read.source import FileSource
from vsr.media.write.sink import VideoSink
from vsr.upscale.sequence import Sequence
from vsr.upscale.upscaler import Upscaler

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 25
AT = 7


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One job, so that libraries have opened what they keep for the life of the process."""
    enlarge(clips.h264(), tmp_path_factory.mktemp("loaded") / "out.mp4", **QUICK)


@pytest.fixture(autouse=True)
def nothing_left_behind(loaded: None) -> Iterator[None]:
    threads, files = own_threads(), descriptors()
    yield
    assert own_threads() == threads
    assert descriptors() <= files


def failing(function: Callable[..., Any], fault: Callable[[], None], at: int) -> Callable[..., Any]:
    """`function`, with `fault` called before its call number `at`."""
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            fault()
        return function(*args, **kwargs)

    return call


def failing_items(function: Callable[..., Any], fault: Callable[[], None], at: int) -> Callable[..., Any]:
    """`function`, which returns an iterator, with `fault` called before its item number `at`."""

    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, item in enumerate(function(*args, **kwargs), 1):
            if number == at:
                fault()
            yield item

    return call


def inject(monkeypatch: pytest.MonkeyPatch, place: str, fault: Callable[[], None]) -> None:
    """Let `fault` be called on the thread of one stage, in the middle of the clip."""
    owner, name, wrap, at = {
        "decode": (FileSource, "__iter__", failing_items, AT),
        "push": (Sequence, "push", failing, AT),
        "infer": (Upscaler, "upscale_batch", failing, AT),
        "encode": (VideoSink, "write", failing, AT),
        "flush": (VideoSink, "finish", failing, 1),
    }[place]
    monkeypatch.setattr(owner, name, wrap(getattr(owner, name), fault, at))


STAGES = ["decode", "push", "infer", "encode", "flush"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [DecodeError, ValueError])
def test_an_error_in_any_stage_is_told_and_leaves_nothing(
    stage: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault() -> None:
        raise error("injected")

    inject(monkeypatch, stage, fault)
    # What nobody foresaw comes as one error of the pipeline, with its cause.
    expected = error if issubclass(error, VsrError) else PipelineError
    with pytest.raises(expected, match="injected") as caught:
        enlarge(clips.h264(), tmp_path / "out.mp4", **QUICK)
    assert isinstance(caught.value if expected is error else caught.value.__cause__, error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", STAGES[:-1])  # once it is being finished, an output is
def test_cancelled_in_any_stage_leaves_nothing(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = vsr.JobControl()
    inject(monkeypatch, stage, control.cancel)
    before = tmp_path / "out.mp4"
    before.write_bytes(b"what was there before")
    with pytest.raises(Cancelled):
        enlarge(clips.h264(), before, overwrite=True, control=control, **QUICK)
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_bytes() == b"what was there before"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_stopped_leaves_a_part_that_plays(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = vsr.JobControl()
    inject(monkeypatch, "decode", control.stop)
    report = enlarge(
        clips.h264("sounding.mp4", audio=True), tmp_path / f"out{suffix}", control=control, **QUICK
    )
    (part,) = tmp_path.iterdir()
    assert part.name == f"out{suffix}.1.part"
    assert report.stopped_early
    assert report.output == str(part)
    assert 0 < len(pictures(part)) == report.frames_out < FRAMES


def test_stopped_before_the_first_frame_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = vsr.JobControl()
    monkeypatch.setattr(FileSource, "__iter__", failing_items(FileSource.__iter__, control.stop, 1))
    monkeypatch.setattr(Sequence, "push", lambda _self, _frame: [])
    report = enlarge(clips.h264(), tmp_path / "out.mp4", control=control, **QUICK)
    assert report.stopped_early
    assert report.output is None
    assert list(tmp_path.iterdir()) == []


def test_the_next_input_follows_one_that_failed(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clips.h264().read_bytes()[:300])
    failures: list[str] = []
    config = vsr.UpscaleConfig(
        inputs=(str(broken), str(clips.h264())),
        output=f"{tmp_path}/larger/",
        network=vsr.NetworkOptions("bicubic"),
    )
    reports = vsr.upscale_many(config, on_failure=lambda url, error: failures.append(url))
    assert failures == [str(broken)]
    assert [report.frames_out for report in reports] == [FRAMES]
    assert sorted(p.suffix for p in (tmp_path / "larger").iterdir()) == [".mp4", ".vsr"]


def test_control_from_another_thread(tmp_path: Path) -> None:
    """A timer that fires whenever it likes: cancelled with nothing left, or done and whole."""
    for delay in (0.0, 0.02, 0.1, 0.3):
        control = vsr.JobControl()
        out = tmp_path / "out.mp4"
        timer = threading.Timer(delay, control.cancel)
        timer.start()
        try:
            enlarge(clips.h264(), out, control=control, **QUICK)
            assert len(pictures(out)) == FRAMES
            out.unlink()
        except Cancelled:
            assert list(tmp_path.iterdir()) == []
        timer.join()


KILLED = """
    import os, signal, sys, threading
    from vsr.files import whole as commit
    from vsr.cli import main

    place, at = sys.argv.pop(1).split(":")
    calls, lock = 0, threading.Lock()

    def dying(function):
        def call(*args, **kwargs):
            global calls
            with lock:
                calls += 1
                if calls == int(at):
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return call

    owner, name = {"write": (commit.OutputFile, "write"), "fsync": (os, "fsync"), "replace": (os, "replace"),
                   "after": (commit, "sync_folder")}[place]
    setattr(owner, name, dying(getattr(owner, name)))
    main()
"""


@pytest.mark.parametrize(
    "moment", ["write:1", "write:2", "write:3", "write:5", "write:9", "fsync:1", "replace:1", "after:1"]
)
def test_killed_at_any_moment_no_name_is_on_a_part(moment: str, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), moment, "upscale", str(clips.h264()), str(out)]
    done = subprocess.run(
        [*command, "--model", "bicubic", "--preset", "ultrafast", "--crf", "1", "-q"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if moment != "write:9":  # there may be fewer of them
        assert done.returncode == -signal.SIGKILL, done.stderr
    if moment == "after:1" or done.returncode == 0:
        assert len(pictures(out)) == FRAMES
    else:
        assert not out.exists()
    # What is left does not stand in the way of the next run.
    enlarge(clips.h264(), out, overwrite=out.exists(), **QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_full_disk(tmp_path: Path) -> None:
    command = f"ulimit -f 20; exec {sys.executable} -m vsr upscale {clips.h264()} {tmp_path}/out.mp4 --crf 1 --model bicubic"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == FileError.exit_code
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: cannot write {tmp_path}/out.mp4.part: File too large")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_output_that_takes_nothing() -> None:
    command = (
        f"exec {sys.executable} -m vsr upscale {clips.h264()} - --format nut --model bicubic > /dev/full"
    )
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [f"error: cannot write stdout: {os.strerror(28)}"]
    assert done.returncode == FileError.exit_code
