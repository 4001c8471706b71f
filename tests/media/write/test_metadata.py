"""What telephones, cameras and tape say of a video stays with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import clips
from tests.support.sinks import packets, through

APPLE = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.location.ISO6709": "+51.5334-000.1255+026.756/",
    "com.apple.quicktime.creationdate": "2023-05-09T12:41:46+0100",
}


def telephone(ending: str) -> Path:
    tags = [word for key, value in APPLE.items() for word in ("-metadata", f"{key}={value}")]
    flags = ["-movflags", "use_metadata_tags"] if ending != "mkv" else []
    return clips.h264(f"telephone.{ending}", *tags, *flags)


@pytest.mark.parametrize("given", ["mov", "mp4", "mkv"])
@pytest.mark.parametrize("ending", ["mov", "mp4", "m4v"])
def test_keys_of_quicktime_are_kept(given: str, ending: str, tmp_path: Path) -> None:
    """Also those that came through Matroska, which writes all keys in capitals."""
    sink = through(telephone(given), tmp_path / f"out.{ending}")
    assert sink.warnings == []
    found = clips.ffprobe(tmp_path / f"out.{ending}", "format_tags")["format"]["tags"]
    assert APPLE.items() <= found.items()
    data = (tmp_path / f"out.{ending}").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_keys_of_other_files_go_where_players_look_for_them(tmp_path: Path) -> None:
    given = clips.h264("titled.mkv", "-metadata", "title=Film", "-metadata", "special=no")
    sink = through(given, tmp_path / "out.mp4")
    assert sink.warnings == ["metadata SPECIAL is left out: mp4 has no place for it"]
    assert b"\xa9nam" in (tmp_path / "out.mp4").read_bytes()


def measured() -> Path:
    """An MP4 file with a track of measurements, as GoPro's cameras write it: text whose track says that it is `gpmd`."""
    line = "1\n00:00:00,100 --> 00:00:00,500\nDEVC\n"
    lines = clips.made("measured.srt", line, lambda path: path.write_text(line))
    text = clips.made(
        "text.mp4",
        "measured",
        lambda path: clips.run("-i", clips.h264(), "-i", lines, "-c", "copy", "-c:s", "mov_text", path),
    )
    data = text.read_bytes()
    at = data.index(b"sbtl")
    data = data[:at] + b"meta" + data[at + 4 :]
    at = data.index(b"tx3g")
    return clips.made(
        "measured.mp4", "gpmd", lambda path: path.write_bytes(data[:at] + b"gpmd" + data[at + 4 :])
    )


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_measurements_of_a_gopro_are_copied(ending: str, tmp_path: Path) -> None:
    output = tmp_path / f"out.{ending}"
    assert through(measured(), output).warnings == []
    assert packets(output, "data") == packets(measured(), "data") != []
    (data,) = clips.ffprobe(output, "stream=codec_tag_string", "-select_streams", "d")["streams"]
    assert data["codec_tag_string"] == "gpmd"


def test_measurements_of_a_gopro_are_named_where_they_are_lost(tmp_path: Path) -> None:
    (warning,) = through(measured(), tmp_path / "out.mkv").warnings
    assert warning.startswith("data stream #1 (bin_data")


TIMECODED = {
    "mkv": ("-c:v", "libx264", "-metadata", "timecode=01:02:03:04"),
    "mxf": ("-c:v", "mpeg2video", "-timecode", "01:02:03:04"),
    "mov": ("-c:v", "libx264", "-timecode", "01:02:03:04"),
    "avi": ("-c:v", "mpeg4", "-metadata", "timecode=01:02:03:04"),
}


@pytest.mark.parametrize("given", TIMECODED)
@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv", "mxf"])
def test_a_timecode_is_kept_wherever_it_comes_from(given: str, ending: str, tmp_path: Path) -> None:
    clip = clips.make(f"timecode.{given}", *TIMECODED[given])
    output = tmp_path / f"out.{ending}"
    assert through(clip, output).warnings == []
    found = clips.ffprobe(output, "format_tags=timecode:stream=codec_tag_string:stream_tags=timecode")
    tags = [*(stream.get("tags", {}) for stream in found["streams"]), found["format"].get("tags", {})]
    codes = {value for each in tags for key, value in each.items() if key.lower() == "timecode"}
    assert codes == {"01:02:03:04"}
    made = [stream for stream in found["streams"] if stream.get("codec_tag_string") == "tmcd"]
    assert len(made) == (ending in ("mov", "mp4"))


def test_the_timecode_of_dv_is_kept(tmp_path: Path) -> None:
    size = "testsrc2=size=720x576:rate=25:duration=0.2"
    clip = clips.make("tape.dv", "-c:v", "dvvideo", "-pix_fmt", "yuv420p", source=size)
    assert through(clip, tmp_path / "out.mov").warnings == []
    (data,) = clips.ffprobe(tmp_path / "out.mov", "stream_tags=timecode", "-select_streams", "d")["streams"]
    assert data["tags"]["timecode"] == "00:00:00:00"


@pytest.mark.parametrize("ending", ["mxf", "mp4"])
def test_a_timecode_that_is_none_is_named(ending: str, tmp_path: Path) -> None:
    """MXF's muxer would refuse the file for it."""
    (warning,) = through(
        clips.h264("soon.mkv", "-metadata", "timecode=soon"), tmp_path / f"out.{ending}"
    ).warnings
    assert warning == f"metadata TIMECODE is left out: {ending} has no place for it"
