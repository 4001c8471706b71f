"""What lies beside the video comes out as it went in, or is named."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.support import clips
from tests.support.sinks import assert_same_times, packets, streams, through, times
from vsr.core.errors import EncodeError
from vsr.media.types import SourceOptions


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Matroska file with two sounds, subtitles, an attached file, chapters and tags."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "facts.txt").write_text(
        ";FFMETADATA1\ntitle=Film\nartist=Me\nspecial=hello\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n"
    )
    (folder / "lines.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,500\nHi\n\n2\n00:00:00,600 --> 00:00:00,900\nHo\n"
    )
    (folder / "font.ttf").write_bytes(b"not quite a font")
    sound = ["-f", "lavfi", "-i", "sine=duration=1"]
    clips.run(
        "-f", "lavfi", "-i", clips.TEST_SOURCE, *sound, *sound, "-i", folder / "lines.srt", "-i", folder / "facts.txt",
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4",
        "-attach", folder / "font.ttf", "-metadata:s:t", "mimetype=font/ttf", "-c:v", "libx264", "-vf", "setsar=4/3",
        "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s", "srt", "-metadata:s:v", "title=Main", "-metadata:s:a:0", "language=deu",
        "-metadata:s:a:1", "title=Commentary", "-disposition:a:1", "comment", folder / "rich.mkv",
    )  # fmt: skip
    return folder / "rich.mkv"


@pytest.fixture(scope="module")
def covered(rich: Path) -> Path:
    """An MP4 file with the same sounds, subtitles of its own kind, chapters and a cover."""
    cover, path = rich.with_name("cover.jpg"), rich.with_name("covered.mp4")
    clips.run("-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", cover)
    clips.run(
        "-i", rich, "-i", cover, "-map", "0:v", "-map", "0:a", "-map", "0:s", "-map", "1", "-c", "copy",
        "-c:s", "mov_text", "-disposition:v:1", "attached_pic", path,
    )  # fmt: skip
    return path


def test_matroska_keeps_everything(rich: Path, tmp_path: Path) -> None:
    sink = through(rich, tmp_path / "out.mkv", scale=2)
    assert sink.warnings == []
    assert streams(tmp_path / "out.mkv") == streams(rich)
    for number in (0, 1):
        assert packets(tmp_path / "out.mkv", "audio", number) == packets(rich, "audio", number)
    assert packets(tmp_path / "out.mkv", "subtitles") == packets(rich, "subtitles")
    with av.open(str(rich)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        assert after.streams[-1].data == before.streams[-1].data == b"not quite a font"  # type: ignore[attr-defined]
        assert after.streams[-1].metadata["mimetype"] == "font/ttf"
        assert after.chapters() == before.chapters()
        for key in ("title", "ARTIST", "SPECIAL"):
            assert after.metadata[key] == before.metadata[key]
    assert_same_times(rich, tmp_path / "out.mkv")


def test_mp4_keeps_everything_of_mp4(covered: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    sink = through(covered, output, scale=2)
    assert sink.warnings == []
    kept = [s for s in streams(output) if s[0] != "data"]
    assert [s[:2] + s[3:] for s in kept] == [s[:2] + s[3:] for s in streams(covered) if s[0] != "data"]
    for number in (0, 1):
        assert packets(output, "audio", number) == packets(covered, "audio", number)
    assert packets(output, "subtitles") == packets(covered, "subtitles")
    assert packets(output, "video", 1)[0][0] == packets(covered, "video", 1)[0][0]
    with av.open(str(covered)) as before, av.open(str(output)) as after:
        assert [c["metadata"] for c in after.chapters()] == [c["metadata"] for c in before.chapters()]
        assert after.metadata["title"] == "Film"


def test_losses_are_named(rich: Path, tmp_path: Path) -> None:
    told = " | ".join(through(rich, tmp_path / "out.mp4").warnings)
    for word in ("subtitle stream #3 (subrip)", "attachment stream #4", "font.ttf", "out.mp4", "SPECIAL"):
        assert word in told
    told = " | ".join(through(rich, tmp_path / "out.webm").warnings)
    for word in ("audio stream #1 (aac, deu)", "audio stream #2 (ac3)", "subtitle stream #3"):
        assert word in told
    told = " | ".join(through(rich, tmp_path / "out.ts").warnings)
    for word in ("subtitle stream #3 (subrip)", "2 chapters", "title"):
        assert word in told


def test_mov_names_what_it_loses(covered: Path, tmp_path: Path) -> None:
    told = " | ".join(through(covered, tmp_path / "out.mov").warnings)
    assert "cover art" in told
    assert "comment" in told
    assert packets(tmp_path / "out.mov", "audio", 1) == packets(covered, "audio", 1)


def test_cover_stays_a_cover_in_matroska(covered: Path, tmp_path: Path) -> None:
    sink = through(covered, tmp_path / "out.mkv")
    assert [w for w in sink.warnings if "mov_text" not in w] == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        pictures = [s for s in container.streams.video if s.disposition & 1024]
        assert len(pictures) == 1
    assert packets(tmp_path / "out.mkv", "video", 1)[0][0] == packets(covered, "video", 1)[0][0]


def test_sample_shape(rich: Path, tmp_path: Path) -> None:
    for name, encoder in (
        ("a.mp4", None),
        ("b.mkv", None),
        ("c.webm", "libsvtav1"),
        ("d.mkv", "prores_ks"),
        ("e.ts", None),
    ):
        through(rich, tmp_path / name, encoder=encoder)
        found = clips.ffprobe(tmp_path / name, "stream=sample_aspect_ratio", "-select_streams", "v:0")
        assert found["streams"][0]["sample_aspect_ratio"] == "4:3", name


def test_sparse_streams_do_not_stop_the_rest(rich: Path, tmp_path: Path) -> None:
    through(rich, tmp_path / "out.mkv", scale=2, preset="ultrafast")
    found = clips.ffprobe(tmp_path / "out.mkv", "stream=nb_read_packets", "-count_packets")
    assert [s.get("nb_read_packets") for s in found["streams"]][3] == "2"


@pytest.fixture
def broken_sound(tmp_path: Path) -> Path:
    """MPEG-TS that breaks off in the middle of an AAC packet, and goes on."""
    sound = ("-f", "lavfi", "-i", "sine=duration=4", "-shortest", "-c:v", "libx264", "-c:a", "aac")
    clip = clips.make("sound.ts", *sound, source="testsrc2=size=160x120:rate=25:duration=4")
    data = clip.read_bytes()
    begins = [at for at in range(0, len(data), 188) if data[at + 1] & 0x40 and data[at + 2] == 1]
    middle = begins[len(begins) // 2] + 188
    (tmp_path / "broken.ts").write_bytes(data[:middle] + data)
    return tmp_path / "broken.ts"


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_damaged_packet_is_left_out_and_told(ending: str, broken_sound: Path, tmp_path: Path) -> None:
    sink = through(broken_sound, tmp_path / f"out.{ending}")
    (told,) = sink.warnings
    assert told.startswith("1 damaged packet of audio stream #1 (aac) left out, the first at ")
    before, after = (len(packets(path, "audio")) for path in (broken_sound, tmp_path / f"out.{ending}"))
    assert after == before - 1


def test_strict_stops_at_a_damaged_packet_beside_the_video(broken_sound: Path, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=r"broken.ts: damaged packet of audio stream #1 \(aac\) at \d"):
        through(broken_sound, tmp_path / "out.mkv", reading=SourceOptions(strict=True))
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("ending", ["mp4", "ts", "mkv"])
def test_packets_at_one_time_all_come_through(ending: str, tmp_path: Path) -> None:
    """As damage makes them; most muxers refuse the second."""
    clip = clips.make("sound.mkv", "-f", "lavfi", "-i", "sine=duration=1", "-c:v", "libx264", "-c:a", "mp2")
    with av.open(str(clip)) as given, av.open(str(tmp_path / "in.mkv"), "w") as changed:
        copies = {s.index: changed.add_stream_from_template(s) for s in given.streams}
        times: list[int] = []
        for packet in given.demux():
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                times.append(packet.dts or 0)
                if len(times) % 5 == 0:
                    packet.pts = packet.dts = times[-2]
            packet.stream = copies[packet.stream_index]
            changed.mux_one(packet)
    through(tmp_path / "in.mkv", tmp_path / f"out.{ending}")
    before, after = (packets(tmp_path / name, "audio") for name in ("in.mkv", f"out.{ending}"))
    assert [data for data, _ in after] == [data for data, _ in before]
    for (_, wanted), (_, got) in zip(before, after, strict=True):
        assert abs((got - after[0][1]) - (wanted - before[0][1])) < 0.002


def test_sound_that_would_abort_the_flv_muxer_is_left_out(tmp_path: Path) -> None:
    sound = ("-f", "lavfi", "-i", "sine=duration=1", "-c:v", "libx264", "-c:a")
    sink = through(clips.make("pcm.mkv", *sound, "pcm_s16le"), tmp_path / "out.flv")
    (told,) = sink.warnings
    assert told.startswith(
        "audio stream #1 (pcm_s16le) is left out: out.flv cannot hold it (FFmpeg cannot write it there)"
    )
    through(clips.make("aac.mkv", *sound, "aac"), tmp_path / "aac.flv")
    assert [kind for kind, *_ in streams(tmp_path / "aac.flv")] == ["video", "audio"]


def test_sound_that_begins_late_is_copied(tmp_path: Path) -> None:
    """FFmpeg looks for it for five seconds, and then does not know what it is."""
    silent = "color=size=64x64:rate=5:duration=10"
    sound = ("-itsoffset", "9", "-f", "lavfi", "-i", "sine=duration=1", "-max_interleave_delta", "0")
    clip = clips.make("late_sound.ts", *sound, "-c:v", "libx264", "-c:a", "aac", source=silent)
    sink = through(clip, tmp_path / "out.mkv")
    assert sink.warnings == []
    begins = {kind: packets(tmp_path / "out.mkv", kind)[0][1] for kind in ("video", "audio")}
    assert float(begins["audio"] - begins["video"]) == pytest.approx(9, abs=0.1)


def test_sound_that_only_a_later_part_announces_is_named(tmp_path: Path) -> None:
    part = clips.make("silent.ts", "-c:v", "libx264", source="color=size=64x64:rate=5:duration=10")
    sound = ("-f", "lavfi", "-i", "sine=duration=1", "-c:v", "libx264", "-c:a", "aac")
    other = clips.make("sounding.ts", *sound, source="color=size=64x64:rate=5:duration=1")
    sink = through(clips.joined("announced.ts", part, other), tmp_path / "out.mkv")
    (told,) = sink.warnings
    assert "audio stream #1 (aac) is left out" in told
    assert "begins too late" in told


def test_sound_that_ffmpeg_cannot_decode_is_no_obstacle(tmp_path: Path) -> None:
    """AC-4, as its name in the file says: nothing is known of it."""
    whole = clips.h264("sound.mp4", "-c:a", "aac", audio=True)
    (tmp_path / "in.mp4").write_bytes(whole.read_bytes().replace(b"mp4a", b"ac-4").replace(b"esds", b"free"))
    sink = through(tmp_path / "in.mp4", tmp_path / "out.flv")
    assert any("audio stream #1" in warning and "left out" in warning for warning in sink.warnings)
    assert sink.counters.frames == 25


def test_a_second_video_that_avi_cannot_hold_is_left_out(tmp_path: Path) -> None:
    two = clips.derive("two.mkv", clips.h264(), "-map", "0:v", "-map", "0:v", "-c", "copy")
    sink = through(two, tmp_path / "out.avi", encoder="mpeg4")
    assert [s[1] for s in streams(tmp_path / "out.avi")] == ["mpeg4"]
    assert any(w.startswith("video stream #1 (h264) is left out") for w in sink.warnings)
    annex_b = clips.derive("two.ts", two, "-map", "0", "-c", "copy")
    through(annex_b, tmp_path / "kept.avi", encoder="mpeg4")
    assert [s[1] for s in streams(tmp_path / "kept.avi")] == ["mpeg4", "h264"]


@pytest.mark.parametrize(
    ("ending", "kept", "said"), [("mov", True, 0), ("mp4", True, 0), ("avi", False, 1), ("flv", False, 1)]
)
def test_timecode_tracks(ending: str, kept: bool, said: int, tmp_path: Path) -> None:
    given = clips.h264("timecode.mov", "-timecode", "01:00:00:00")
    output = tmp_path / f"out.{ending}"
    sink = through(given, output)
    assert sum("data stream #1" in warning for warning in sink.warnings) == said
    found = clips.ffprobe(output, "stream=codec_type,codec_tag_string:stream_tags=timecode")["streams"]
    assert [s["codec_type"] for s in found] == (["video", "data"] if kept else ["video"])
    assert not kept or [s["tags"]["timecode"] for s in found] == ["01:00:00:00"] * 2


SPOKEN = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50
"""One second of AMR, narrow-band."""


@pytest.mark.parametrize(
    "codec", ["wmav1", "wmav2", "adpcm_ms", "adpcm_ima_wav", "pcm_mulaw", "pcm_alaw", "amr_nb"]
)
def test_sound_that_matroska_has_no_name_for_is_copied(codec: str, tmp_path: Path) -> None:
    """Matroska holds what AVI holds, as A_MS/ACM."""
    if codec == "amr_nb":
        (tmp_path / "in.amr").write_bytes(SPOKEN)
        clip = tmp_path / "in.3gp"
        clips.run("-i", clips.h264(), "-i", tmp_path / "in.amr", "-c", "copy", clip)
    else:
        clip = clips.make(f"{codec}.avi", "-c:v", "mpeg4", "-c:a", codec, audio=True)
    sink = through(clip, tmp_path / "out.mkv")
    assert sink.warnings == []
    assert [s[1] for s in streams(tmp_path / "out.mkv")] == ["h264", codec]
    before, after = packets(clip, "audio"), packets(tmp_path / "out.mkv", "audio")
    assert [data for data, _ in after] == [data for data, _ in before]
    assert max(abs(a - b) for (_, a), (_, b) in zip(after, before, strict=True)) < 0.001


def test_matroska_takes_the_video_codecs_of_avi(tmp_path: Path) -> None:
    """As V_MS/VFW: encoded, and copied beside."""
    clip = clips.make(
        "both.avi", "-f", "lavfi", "-i", clips.TEST_SOURCE, "-map", "0", "-map", "1", "-c", "msmpeg4"
    )
    sink = through(clip, tmp_path / "out.mkv", encoder="wmv2")
    assert sink.warnings == []
    assert [s[1] for s in streams(tmp_path / "out.mkv")] == ["wmv2", "msmpeg4v3"]
    assert packets(tmp_path / "out.mkv", "video", 1) == packets(clip, "video", 1)
    assert len(times(tmp_path / "out.mkv")[0]) == 25


@pytest.mark.parametrize("channels", [1, 2, 6, 12])
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_pcm_whose_speakers_are_not_named_is_copied_or_left_out(
    channels: int, ending: str, tmp_path: Path
) -> None:
    """As that of AVI is: MP4's muxer refused the file in the end, when all frames were written."""
    silence = "|".join(["0"] * channels)
    sound = ("-f", "lavfi", "-i", f"aevalsrc={silence}:d=1", "-c:v", "mpeg4", "-c:a", "pcm_s16le")
    clip = clips.make(f"{channels}.avi", *sound)
    sink = through(clip, tmp_path / f"out.{ending}")
    kinds = [kind[0] for kind in streams(tmp_path / f"out.{ending}")]
    assert kinds == ["video", "audio"] or any("audio stream #1" in warning for warning in sink.warnings)
    assert channels == 12 or kinds == ["video", "audio"]
