"""Several inputs, and the names of their outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import vsr
from tests.jobs.media import QUICK, enlarge
from tests.media import clips
from vsr.core.errors import ConfigError, SourceOpenError


def run_many(
    *inputs: Path | str, output: Path | str | None = None, failures: list[str] | None = None
) -> list[vsr.Report]:
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, inputs)),
        output=None if output is None else str(output),
        model="bicubic",
        sink=vsr.SinkOptions(preset="ultrafast"),
    )
    told = None if failures is None else lambda url, error: failures.append(f"{Path(url).name}: {error}")
    return vsr.upscale_many(config, on_failure=told)


def small(path: Path) -> Path:
    """A copy of a short clip at that place."""
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    path.write_bytes(clip.read_bytes())
    return path


def test_a_name_beside_the_input_is_the_default(tmp_path: Path) -> None:
    report = enlarge(small(tmp_path / "clip.mp4"), None, **QUICK)
    assert report.output == str(tmp_path / "clip_x2.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "clip_x2.mp4"]


def test_a_folder_goes_to_a_folder(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    small(source / "b.mp4")
    small(source / "a.mp4")
    Image.new("RGB", (16, 16)).save(source / "c.png")
    (source / "notes.txt").write_text("no picture")
    reports = run_many(source, output=f"{target}/")
    assert [Path(r.input).name for r in reports] == ["a.mp4", "b.mp4", "c.png"]
    assert sorted(p.name for p in target.iterdir()) == ["a_x2.mp4", "b_x2.mp4", "c_x2.png"]


def test_auto_takes_another_model_for_pictures_than_for_video_and_says_so(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    names = (str(small(tmp_path / "a.mp4")), str(tmp_path / "b.png"))
    config = vsr.UpscaleConfig(inputs=names, output=f"{tmp_path}/out/", backend="openvino")
    video, picture = vsr.upscale_many(config)
    assert (video.model, picture.model) == ("balanced-x2", "quality-x2")
    assert "model balanced-x2, for video without a GPU" in video.notes
    assert "model quality-x2, for pictures" in picture.notes
    assert vsr.upscale_file(names[0], model="fast", backend="openvino").notes == ()


def test_inputs_of_one_name_get_outputs_of_two(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        small(tmp_path / folder / "clip.mp4")
    reports = run_many(tmp_path / "one/clip.mp4", tmp_path / "two/clip.mp4", output=f"{tmp_path}/out/")
    assert len({r.output for r in reports}) == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_one_bad_input_does_not_keep_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    failures: list[str] = []
    names = [small(tmp_path / "a.mp4"), tmp_path / "bad.mp4", small(tmp_path / "z.mp4")]
    reports = run_many(*names, output=f"{tmp_path}/out/", failures=failures)
    assert [Path(r.input).name for r in reports] == ["a.mp4", "z.mp4"]
    assert len(failures) == 1
    assert failures[0].startswith("bad.mp4: ")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_x2.mp4", "z_x2.mp4"]


def test_without_a_listener_the_first_failure_is_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(SourceOpenError):
        run_many(tmp_path / "bad.mp4", small(tmp_path / "z.mp4"), output=f"{tmp_path}/out/")


def test_several_inputs_into_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one output"):
        run_many(small(tmp_path / "a.mp4"), small(tmp_path / "b.mp4"), output=tmp_path / "out.mp4")
