"""Videos made in segments, by way of the API: the same as in one pass, whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import vsr
from tests.support import clips
from tests.support.enlarged import packets, pictures, seconds
from vsr.core.control import Cancelled
from vsr.core.errors import ConfigError, FileError, InferenceError, VsrError
from vsr.files.whole import OutputFile
from vsr.jobs import in_segments
from vsr.jobs.folder import RUNNING, JobFolder, job_folder
from vsr.jobs.upscale import UpscaleJob
from vsr.models import Precision
from vsr.upscale import upscaler

FRAMES = 40
QUICK: dict[str, Any] = {"model": "bicubic", "preset": "ultrafast", "segment": 0.5}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Of 1.6 seconds, with keyframes every 10 frames, and with sound."""
    video, sound = "testsrc2=size=64x48:rate=25:duration=1.6", "sine=frequency=440:duration=1.6"
    encoding = ("-c:v", "libx264", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p")
    made = clips.made(
        "segments.mp4",
        (video, sound, encoding),
        lambda path: clips.run("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound, *encoding, path),
    )
    return Path(shutil.copy2(made, tmp_path / "in.mp4"))


def failing_at(patch: pytest.MonkeyPatch, number: int, error: BaseException) -> list[int]:
    """Let the work on a segment fail; the list gets the numbers of those that are begun."""
    begun: list[int] = []
    real = UpscaleJob.run_part

    def run_part(self: UpscaleJob, url: str, output: str, path: Path, **options: Any) -> vsr.Report:
        begun.append(int(path.name.partition(".")[0]))
        report = real(self, url, output, path, **options)
        if begun[-1] == number:
            raise error
        return report

    patch.setattr(UpscaleJob, "run_part", run_part)
    return begun


@pytest.mark.parametrize(
    ("name", "encoder"), [("out.mkv", "ffv1"), ("out.mp4", "libx264"), ("out.mxf", "mpeg2video")]
)
def test_segments_hold_what_one_pass_holds(name: str, encoder: str, clip: Path, tmp_path: Path) -> None:
    options = {**QUICK, "encoder": encoder, "preset": None}
    expected = tmp_path / "whole" / name
    expected.parent.mkdir()
    whole = vsr.upscale_file(str(clip), str(expected), **{**options, "segment": 0})
    parts = vsr.upscale_file(str(clip), str(tmp_path / name), **options)
    assert parts.frames_out == whole.frames_out == FRAMES
    assert parts.output == str(tmp_path / name)
    assert (parts.notes, parts.warnings) == (whole.notes, whole.warnings)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", name, "whole"])
    made = tmp_path / name
    if whole.warnings:
        assert "out.mxf" in whole.warnings[0]  # It holds no AAC.
    else:
        assert packets(made, "a:0") == packets(expected, "a:0")
    assert seconds(made) == seconds(expected)
    if encoder == "ffv1":
        assert all(
            (one == other).all() for one, other in zip(pictures(made), pictures(expected), strict=True)
        )


def test_a_job_that_fails_goes_on_to_the_same_packets(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, other = tmp_path / "out.mp4", tmp_path / "undisturbed.mp4"
    vsr.upscale_file(str(clip), str(other), **QUICK)
    with monkeypatch.context() as patch:
        begun = failing_at(patch, 1, InferenceError("the network failed", hint="mend it"))
        with pytest.raises(InferenceError) as caught:
            vsr.upscale_file(str(clip), str(output), **QUICK)
    assert begun == [0, 1]
    assert caught.value.hint == "mend it; the same command continues: 0.4 of 1.6 s are done"
    (job,) = vsr.list_jobs([tmp_path])
    assert (job.output, job.input, job.segments_done) == (str(output), str(clip), 1)
    begun = failing_at(monkeypatch, -1, AssertionError())
    report = vsr.upscale_file(str(clip), str(output), **{**QUICK, "segment": None})
    assert 0 not in begun
    assert report.frames_out == FRAMES
    assert all(packets(output, stream) == packets(other, stream) for stream in ("v:0", "a:0"))
    assert not vsr.list_jobs([tmp_path])


def test_a_job_keeps_the_precision_it_began_with(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring may find another by then."""
    found: list[Precision] = ["int8", "fp32"]
    monkeypatch.setattr(upscaler, "precision_for", lambda _spec, _backend: (found[0], None))
    options = {**QUICK, "model": "fast-x2", "backend": "openvino"}
    with monkeypatch.context() as patch:
        failing_at(patch, 1, InferenceError("the network failed"))
        with pytest.raises(InferenceError):
            vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), **options)
    del found[0]
    assert vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), **options).precision == "int8"
    assert vsr.upscale_file(str(clip), str(tmp_path / "anew.mp4"), **options).precision == "fp32"


def test_a_stop_finishes_the_segment_and_the_progress_is_that_of_the_whole(
    clip: Path, tmp_path: Path
) -> None:
    output, control = tmp_path / "out.mp4", vsr.JobControl()
    seen: list[vsr.Progress] = []

    def watch(progress: vsr.Progress) -> None:
        seen.append(progress)
        control.stop()

    report = vsr.upscale_file(str(clip), str(output), progress=watch, control=control, **QUICK)
    assert (report.stopped_early, report.output, report.kept) == (True, None, f"{output}.vsr")
    assert report.frames_out < FRAMES
    said: list[str] = []
    config = vsr.UpscaleConfig(
        (str(clip),), str(output), vsr.NetworkOptions("bicubic"), sink=vsr.SinkOptions(preset="ultrafast")
    )
    seen.clear()
    (whole,) = vsr.upscale_many(config, progress=seen.append, on_said=said.append)
    assert whole.frames_out == FRAMES
    assert said[0].startswith("going on: ")
    assert all(report.frames_out <= progress.frames_done for progress in seen)
    assert {progress.frames_total for progress in seen} == {FRAMES}
    # The sound is copied at the end.
    video = Path(whole.output or "").stat().st_size * 0.8
    assert all(progress.bytes_expected > 0.5 * video for progress in seen if progress.bytes_expected)
    assert seen[-1].bytes_expected


@pytest.fixture
def begun(clip: Path, tmp_path: Path) -> Path:
    """The output of a job that has finished a segment."""
    with pytest.MonkeyPatch.context() as patch:
        failing_at(patch, 1, InferenceError("enough"))
        with pytest.raises(InferenceError):
            vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), **QUICK)
    return tmp_path / "out.mp4"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"crf": 30.0}, "--crf was not given, is 30.0"),
        ({"segment": 1}, "--segment was 0.5, is 1"),
        ({"start_s": 0.5}, "--start was not given, is 0.5"),
        ({"encoder_options": {"bf": "0"}}, "--encoder-option was not given, is bf=0"),
        ({"size": (64, 64)}, "--size was not given, is 64x64"),
    ],
)
def test_an_option_that_has_changed_is_named(
    changed: dict[str, Any], said: str, clip: Path, begun: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        vsr.upscale_file(str(clip), str(begun), **{**QUICK, **changed})
    assert "--restart" in str(caught.value.hint)
    assert vsr.find_job(begun).segments_done == 1


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("time", "time of the input's last change"),
        ("length", "bytes of the input"),
        ("content", "beginning and end"),
    ],
)
def test_an_input_that_has_changed_is_named(what: str, said: str, clip: Path, begun: Path) -> None:
    found, data = clip.stat(), clip.read_bytes()
    if what == "length":
        clip.write_bytes(data + b"\0\0\0\x08free")
    elif what == "content":
        clip.write_bytes(data.replace(b"isomiso2", b"isomisox"))
    os.utime(clip, ns=(found.st_atime_ns, found.st_mtime_ns + (what == "time")))
    with pytest.raises(ConfigError, match=said) as caught:
        vsr.upscale_file(str(clip), str(begun), **QUICK)
    assert "--restart" in str(caught.value.hint)
    assert vsr.find_job(begun).segments_done == 1


def test_a_cancel_ends_the_look_through_a_long_input(clip: Path, tmp_path: Path) -> None:
    config = vsr.UpscaleConfig((str(clip),), network=vsr.NetworkOptions("bicubic"))
    control = vsr.JobControl()
    control.cancel()
    with UpscaleJob(config, control) as job, pytest.raises(Cancelled):
        job.index(str(clip), str(tmp_path / "out.mp4"))


def test_an_input_that_changes_meanwhile_is_named_and_nothing_is_joined(clip: Path, tmp_path: Path) -> None:
    def grow(_progress: vsr.Progress) -> None:
        clip.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")

    with pytest.raises(
        ConfigError, match="has changed while it was worked on: bytes of the input was"
    ) as caught:
        vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), progress=grow, **QUICK)
    assert caught.value.hint == "--restart discards it and begins again"
    assert not (tmp_path / "out.mp4").exists()
    assert vsr.find_job(tmp_path / "out.mp4").segments_done > 1


def test_what_is_finished_can_be_exported_and_the_job_goes_on(
    clip: Path, begun: Path, tmp_path: Path
) -> None:
    made = vsr.export_job(begun, tmp_path / "first.mp4")
    assert made.frames == 10
    assert len(pictures(tmp_path / "first.mp4")) == 10
    sound = seconds(tmp_path / "first.mp4", "a:0")
    assert 0.35 < float(sound[-1]) < 0.4
    with pytest.raises(ConfigError, match=r"ends in '\.mp4'"):
        vsr.export_job(begun, tmp_path / "first.mkv")
    with pytest.raises(ConfigError, match="exists"):
        vsr.export_job(begun, tmp_path / "first.mp4")
    assert vsr.find_job(begun).segments_done == 1


def preview(clip: Path, output: Path, **options: Any) -> vsr.Preview:
    given = {**QUICK, **options}
    network, sink = vsr.NetworkOptions("bicubic"), vsr.SinkOptions(preset="ultrafast")
    config = vsr.UpscaleConfig((str(clip),), str(output), network, sink=sink, segment=given["segment"])
    (found,) = vsr.preview_many(replace(config, source=vsr.SourceOptions(start_s=given.get("start_s"))))
    return found


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"start_s": 0.5}, "--start was not given"), ({"segment": 0}, "holds the finished segments")],
)
def test_a_dry_run_of_what_another_job_lies_beside_fails_as_the_run(
    changed: dict[str, Any], said: str, clip: Path, begun: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        preview(clip, begun, **changed)
    assert preview(clip, begun).frames == FRAMES


def test_a_dry_run_beside_a_running_one_fails_as_the_run(clip: Path, begun: Path) -> None:
    with JobFolder(job_folder(begun)), pytest.raises(ConfigError, match="another vsr works on"):
        preview(clip, begun)
    other = OutputFile(begun.with_name("other.mp4"))
    with pytest.raises(ConfigError, match="another vsr is writing"):
        preview(clip, other.path, segment=0)
    other.drop()
    assert preview(clip, other.path, segment=0).frames == FRAMES


def is_no_lock(folder: Path) -> None:
    (folder / RUNNING).mkdir(parents=True)


def leads_nowhere(folder: Path) -> None:
    folder.symlink_to("nowhere")


@pytest.mark.parametrize("spoil", [is_no_lock, leads_nowhere])
def test_a_dry_run_beside_a_folder_that_cannot_be_used_fails_as_the_run(
    spoil: Callable[[Path], None], clip: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    spoil(job_folder(output))
    with pytest.raises(VsrError) as dry:
        preview(clip, output)
    with pytest.raises(VsrError) as run:
        vsr.upscale_file(str(clip), str(output), **QUICK)
    assert (type(dry.value), dry.value.message) == (type(run.value), run.value.message)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder's permissions are of Unix")
def test_a_dry_run_beside_a_folder_without_permission_fails_as_the_run(clip: Path, tmp_path: Path) -> None:
    job_folder(tmp_path / "out.mp4").mkdir(mode=0o500)
    # Root may write anywhere, unless it gives that up.
    as_others = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override"]
    command = [*as_others, sys.executable, "-m", "vsr", "upscale", clip, tmp_path / "out.mp4"]
    ran = [
        subprocess.run(
            [*command, "--model", "bicubic", "--segment", "0.5", *more],
            capture_output=True,
            text=True,
            check=False,
        )
        for more in (["--dry-run"], [])
    ]
    assert [run.returncode for run in ran] == [7, 7]
    said = [[line for line in run.stderr.splitlines() if line.startswith("error")] for run in ran]
    assert said[0] == said[1] == [f"error: cannot write {tmp_path / 'out.mp4.vsr'}: Permission denied"]


def test_the_plan_of_a_cluster_with_gpus_names_them_and_not_the_head(clip: Path, tmp_path: Path) -> None:
    config = vsr.UpscaleConfig(
        (str(clip),), str(tmp_path / "out.mp4"), vsr.NetworkOptions("bicubic"), segment=0.5, cluster="auto"
    )
    cluster: Any = SimpleNamespace(device="cuda")
    with UpscaleJob(config) as job:
        upscaling = in_segments.Upscaling(config, job, vsr.JobControl(), lambda _: None, cluster)
        found = upscaling.preview(str(clip), str(tmp_path / "out.mp4"))
    assert (found.device, found.seconds) == ("cuda of a cluster", None)


def test_speed_may_change(clip: Path, begun: Path) -> None:
    assert vsr.upscale_file(str(clip), str(begun), **QUICK, threads=1, batch=1).frames_out == FRAMES


def test_one_pass_beside_a_job_is_refused_unless_it_begins_anew(clip: Path, begun: Path) -> None:
    options = {**QUICK, "segment": 0}
    with pytest.raises(ConfigError, match="holds the finished segments"):
        vsr.upscale_file(str(clip), str(begun), **options)
    assert vsr.find_job(begun).segments_done == 1
    vsr.upscale_file(str(clip), str(begun), restart=True, **options)
    assert sorted(path.name for path in begun.parent.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize(
    ("source", "output", "why"),
    [
        ("in.h264", "out.mp4", "a raw stream has no timestamps"),
        ("in.mp4", "out.gif", "made as a whole"),
        ("in.mp4", "out.y4m", "the packets of wrapped_avframe"),
        ("in.mp4", "null:", "the output is not a file"),
    ],
)
def test_what_cannot_be_cut_is_made_in_one_pass_and_says_why(
    source: str, output: str, why: str, clip: Path, tmp_path: Path
) -> None:
    clips.run("-i", clip, "-c", "copy", "-an", "-bsf:v", "h264_mp4toannexb", tmp_path / "in.h264")
    output = output if output == "null:" else str(tmp_path / output)
    given = {"model": "bicubic", "duration_s": 0.5}
    report = vsr.upscale_file(str(tmp_path / source), output, segment=1, **given)
    assert [note for note in report.notes if "made in one pass" in note and why in note]
    again = vsr.upscale_file(str(tmp_path / source), output, overwrite=True, **given)
    assert not [note for note in again.notes if "one pass" in note]


def test_where_nobody_says_it_long_work_is_cut_and_short_is_not(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[float] = []
    real = in_segments.plan_segments
    monkeypatch.setattr(
        in_segments,
        "plan_segments",
        lambda index, length, **given: real(index, cut.append(length) or length, **given),
    )
    options = {"model": "bicubic", "preset": "ultrafast", "overwrite": True}
    vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), **options)
    assert not cut
    monkeypatch.setattr("vsr.jobs.outlook.cores", lambda: 1e-6)  # a machine that would need days
    vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), **options)
    assert cut == [2 * 12800]


def test_a_bitrate_is_that_of_each_segment_which_is_said(clip: Path, tmp_path: Path) -> None:
    report = vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), bitrate=200_000, **QUICK)
    assert [note for note in report.notes if "bitrate" in note]


def test_room_for_a_bitrate_is_checked_before(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 1000))  # type: ignore[attr-defined]
    with pytest.raises(FileError, match="are needed to the end, 1 kB are free"):
        vsr.upscale_file(str(clip), str(tmp_path / "out.mp4"), bitrate=8_000_000, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
