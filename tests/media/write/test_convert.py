"""Sound and text that a container does not hold are converted where that is asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import clips
from tests.support.sinks import packets, streams, through
from vsr.media.types import SourceOptions

LINES = "1\n00:00:00,120 --> 00:00:00,480\nHello <i>you</i>\n\n2\n00:00:00,600 --> 00:00:00,920\nTwo\nlines, ünd\n"


def spoken(name: str, text: str = "srt", sound: str = "aac", *options: str) -> Path:
    """A second of a tone, with two titles."""
    lines = clips.made("lines.srt", LINES, lambda path: path.write_text(LINES))
    more = ("-f", "lavfi", "-i", "sine=frequency=440:duration=1:sample_rate=44100", "-i", str(lines))
    maps = (
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "2",
        "-metadata:s:a",
        "language=deu",
        "-metadata:s:s",
        "language=fra",
    )
    return clips.make(name, *more, *maps, "-c:v", "libx264", "-c:a", sound, "-c:s", text, *options)


def titles(path: Path) -> list[str]:
    """What ffmpeg reads of the first subtitles, as SubRip."""
    command = ["ffmpeg", "-v", "error", "-copyts", "-i", str(path), "-map", "0:s", "-f", "srt", "-"]
    return (
        subprocess.run(command, capture_output=True, text=True, check=True)
        .stdout.replace("<i>", "")
        .replace("</i>", "")
        .split("\n\n")[:-1]
    )


def tone(path: Path) -> tuple[int, np.ndarray]:
    """The samples a second, and those of the first sound from time 0 on."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", 44100)
        parts = [r.to_ndarray()[0] for f in container.decode(audio=0) for r in resampler.resample(f)]
        return 44100, np.concatenate(parts)


@pytest.mark.parametrize("text", ["srt", "ass"])
@pytest.mark.parametrize("ending", ["mp4", "mov", "webm"])
def test_text_is_converted(text: str, ending: str, tmp_path: Path) -> None:
    given = spoken(f"{text}.mkv", text)
    output = tmp_path / f"out.{ending}"
    sink = through(given, output, convert_streams=True)
    codec = "webvtt" if ending == "webm" else "mov_text"
    assert [kind[1] for kind in streams(output)][2] == codec
    assert streams(output)[2][2] == "fra"
    assert (
        f"subtitle stream #2 ({'subrip' if text == 'srt' else 'ass'}, fra) is converted by {codec}"
        in " | ".join(sink.notes)
    )
    assert not any("subtitle" in warning for warning in sink.warnings)
    shown = [title.split("\n", 2) for title in titles(output)]
    wanted = [title.split("\n", 2) for title in titles(given)]
    assert [lines for _, _, lines in shown] == [lines for _, _, lines in wanted]
    assert [lines for _, _, lines in shown] == ["Hello you", "Two\nlines, ünd"]
    assert [time[:11] for _, time, _ in shown] == [time[:11] for _, time, _ in wanted]


def test_text_of_mp4_is_converted_for_matroska(tmp_path: Path) -> None:
    sink = through(spoken("text.mp4", "mov_text"), tmp_path / "out.mkv", convert_streams=True)
    assert sink.warnings == []
    assert [kind[1] for kind in streams(tmp_path / "out.mkv")] == ["h264", "aac", "subrip"]
    assert [title.split("\n", 2)[2] for title in titles(tmp_path / "out.mkv")] == [
        "Hello you",
        "Two\nlines, ünd",
    ]


@pytest.mark.parametrize(
    ("ending", "sound", "codec"),
    [
        ("webm", "aac", "opus"),
        ("mp4", "pcm_mulaw", "aac"),
        ("flv", "libvorbis", "aac"),
        ("ts", "pcm_mulaw", "aac"),
    ],
)
def test_sound_is_converted_and_keeps_its_place(ending: str, sound: str, codec: str, tmp_path: Path) -> None:
    given = spoken(f"{sound}.mkv", "srt", sound)
    output = tmp_path / f"out.{ending}"
    sink = through(given, output, convert_streams=True)
    assert [kind[1] for kind in streams(output)][1] == codec
    assert any("is converted by" in note and "audio stream #1" in note for note in sink.notes)
    rate, samples = tone(output)
    assert abs(len(samples) / rate - 1) < 0.1
    middle = samples[rate // 4 : rate * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle))
    assert abs(int(np.argmax(spectrum)) * rate / len(middle) - 440) < 5
    begins = {path: packets(path, "audio")[0][1] - packets(path, "video")[0][1] for path in (given, output)}
    assert abs(begins[given] - begins[output]) < 0.06


def test_an_excerpt_is_converted(tmp_path: Path) -> None:
    output = tmp_path / "out.webm"
    through(
        spoken("srt.mkv"), output, convert_streams=True, reading=SourceOptions(start_s=0.5, duration_s=0.4)
    )
    rate, samples = tone(output)
    assert 0.3 < len(samples) / rate < 0.5
    (title,) = titles(output)
    assert title.endswith("Two\nlines, ünd")


def test_what_is_not_asked_for_is_left_out_and_both_remedies_named(tmp_path: Path) -> None:
    told = through(spoken("srt.mkv"), tmp_path / "out.webm").warnings
    assert [warning.partition("; ")[2] for warning in told] == [
        ".mkv does, and --convert-streams converts it"
    ] * 2
    assert [kind[0] for kind in streams(tmp_path / "out.webm")] == ["video"]


def test_six_channels_are_converted(tmp_path: Path) -> None:
    six = (
        "-f",
        "lavfi",
        "-i",
        "anoisesrc=duration=1",
        "-c:v",
        "libx264",
        "-c:a",
        "ac3",
        "-channel_layout",
        "5.1(side)",
        "-ac",
        "6",
    )
    given = clips.make("six.mkv", *six)
    through(given, tmp_path / "out.webm", convert_streams=True)
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.channels == 6
        assert sum(frame.samples for frame in container.decode(audio=0)) > 40000
