"""What INPUT arguments mean, the names outputs get, and what probe tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import clips
from vsr.core.errors import ConfigError, SourceOpenError
from vsr.media.inputs import expand_inputs
from vsr.media.outputs import check_outputs, default_output
from vsr.media.read.probe import probe


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(items: list[str]) -> list[str]:
    return [Path(item).name for item in items]


def test_folder_gives_its_media_in_natural_order(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b10.mp4",
        "b2.mp4",
        "A.png",
        "notes.txt",
        ".hidden.mp4",
        "below/c.mp4",
        "b2_x2.mp4",
        "only_x2.mkv",
    )
    assert names(expand_inputs([str(tmp_path)])) == ["A.png", "b2.mp4", "b10.mp4", "only_x2.mkv"]


def test_globs_and_order_of_arguments(tmp_path: Path) -> None:
    touch(tmp_path, "f10.png", "f9.png", "f1.png", "z.mp4")
    given = [str(tmp_path / "z.mp4"), str(tmp_path / "f*.png"), str(tmp_path / "f1.png"), "rtsp://cam/1"]
    assert names(expand_inputs(given)) == ["z.mp4", "f1.png", "f9.png", "f10.png", "1"]


def test_name_with_magic_that_exists_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].mp4", "a1.mp4")
    assert names(expand_inputs([str(tmp_path / "a[1].mp4")])) == ["a[1].mp4"]


def test_sequence_stays_one_input(tmp_path: Path) -> None:
    touch(tmp_path, "f_001.png", "f_002.png")
    assert expand_inputs([str(tmp_path / "f_%03d.png")]) == [str(tmp_path / "f_%03d.png")]


@pytest.mark.parametrize("given", ["missing.mp4", "*.mkv", "%05d.png", "empty", ""])
def test_what_names_nothing_is_refused(tmp_path: Path, given: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceOpenError) as error:
        expand_inputs([str(tmp_path / given) if given else given])
    assert error.value.hint


def test_standard_input_comes_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    assert expand_inputs(["-"]) == ["-"]
    with pytest.raises(ConfigError):
        expand_inputs(["-", str(tmp_path / "a.mp4")])


@pytest.mark.parametrize(
    ("item", "output"),
    [
        ("a/film.mp4", "a/film_x2.mp4"),
        ("film.MOV", "film_x2.MOV"),
        ("film.wmv", "film_x2.mkv"),
        ("scan.tif", "scan_x2.tif"),
        ("photo.heic", "photo_x2.png"),
        ("noending", "noending_x2.mkv"),
        ("frames/%06d.png", "frames/%06d_x2.png"),
        ("https://user:key@host/dir/film.webm?token=1", "film_x2.webm"),
    ],
)
def test_default_output(item: str, output: str) -> None:
    assert default_output([item], 2) == [output]


def test_default_output_in_a_folder_and_with_a_size(tmp_path: Path) -> None:
    assert default_output(["a/film.mp4"], 2, "1920x1080", tmp_path) == [str(tmp_path / "film_1920x1080.mp4")]
    assert default_output(["film.mp4"], 1.5) == ["film_x1.5.mp4"]


def test_outputs_never_share_a_name(tmp_path: Path) -> None:
    items = ["a/film.mp4", "b/film.mp4", "c/film.mp4", "a/film.wmv", "a/film.rm"]
    outputs = default_output(items, 2, None, tmp_path)
    assert len(set(outputs)) == 5
    assert names(outputs)[0] == "film_x2.mp4"


def test_standard_input_needs_an_output() -> None:
    with pytest.raises(ConfigError):
        default_output(["-"], 2)


def test_output_over_its_input_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    for other in ("a.mp4", "link.mp4"):
        with pytest.raises(ConfigError, match="is the input"):
            check_outputs([str(tmp_path / "a.mp4")], [str(tmp_path / other)])
    check_outputs([str(tmp_path / "a.mp4")], [str(tmp_path / "b.mp4")])
    check_outputs(["-"], ["-"])


def test_probe_describes_a_video() -> None:
    path = clips.h264(
        "probed.mkv",
        "-c:a",
        "aac",
        "-metadata:s:a:0",
        "language=deu",
        "-metadata",
        "title=A test",
        audio=True,
    )
    found = probe(str(path))
    assert (found.container, found.video.codec, found.display_size) == ("matroska,webm", "h264", (160, 120))
    assert [(s.type, s.treatment) for s in found.streams] == [("video", "upscaled"), ("audio", "copied")]
    assert found.streams[1].language == "deu"
    assert found.metadata["title"] == "A test"
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["video"]["format"] == "yuv420p"
    assert plain["video"]["frame_rate"] == "25"


def test_probe_sees_fields_and_hdr() -> None:
    assert probe(str(clips.interlaced())).interlaced
    found = probe(str(clips.hdr10()))
    assert not found.interlaced
    assert found.content_light is not None
    assert json.loads(json.dumps(found.as_dict()))["mastering_display"]["max_luminance"] == "1000"


@clips.needs_hard
def test_probe_sees_chapters_and_captions() -> None:
    found = probe(str(clips.HARD / "androidx_media" / "mkv" / "sample_with_chapters.mkv"))
    assert [c.title for c in found.chapters] == ["Chapter 1", "Chapter 2"]
    assert probe(
        str(clips.HARD / "androidx_media" / "hls" / "cea608" / "sd-hls0000000000.ts")
    ).closed_captions
