"""HLS: the playlist over its whole life, by a checker of RFC 8216, and what is in its segments."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.clock import PretendedClock
from tests.support.rfc8216 import Life
from vsr.media.live.audio import AudioEncoder
from vsr.media.live.destinations import parse_destination
from vsr.media.live.encoder import EncoderOptions, LiveEncoder
from vsr.media.live.outputs import Output
from vsr.media.live.playlist import Playlist, Segment
from vsr.media.live.program import Program
from vsr.media.live.timeline import TICKS, TIME_BASE
from vsr.media.read.open import open_source

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


class Served:
    """A folder that is written to, and looked at after each frame, in pretended time."""

    def __init__(self, folder: Path, rate: int = 5) -> None:
        self.folder = folder
        self.rate = rate
        self.clock = PretendedClock()
        self.life = Life(lambda uri: (folder / uri).exists())
        self.at_s = 0.0
        self.written = 0
        with open_source(str(clips.h264("cfr.mp4"))) as source:
            self._frames = list(source)

    @property
    def playlist(self) -> Path:
        return self.folder / "index.m3u8"

    def write(
        self, seconds: float, *, close: str = "end", keyframe: Callable[[int], bool] = lambda _n: False
    ) -> None:
        """One output. close: "end" of the stream, "go on" with another one, or "kill" it: the folder stays as it was."""
        encoder = LiveEncoder(EncoderOptions(), self._frames[0], Fraction(self.rate), Fraction(1))
        output = Output(parse_destination(f"{self.folder}/"), self.clock)
        output.open(Program(1, encoder.template, None))
        for number in range(round(seconds * self.rate)):
            frame = self._frames[number % len(self._frames)]
            frame.pts, frame.duration = round(self.at_s * TICKS), TICKS // self.rate
            frame.time_base = TIME_BASE
            for packet in encoder.encode(frame, self.clock.now(), keyframe=keyframe(number)):
                output.write(packet)
            self.pass_by(1 / self.rate)
            self.written += 1
        left = self.folder.with_name("left")
        if close == "kill":
            shutil.copytree(self.folder, left)
        output.close(last=close == "end")
        if close == "kill":
            shutil.rmtree(self.folder)
            left.rename(self.folder)
        self.look()

    def pass_by(self, seconds: float) -> None:
        self.at_s += seconds
        self.clock.advance(seconds)
        self.look()

    def look(self) -> None:
        if self.playlist.exists():
            self.life.see(self.playlist.read_text(), self.clock.now())


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path / "h%d:x")


def test_a_list_is_valid_for_its_whole_life(served: Served) -> None:
    served.write(40)
    assert served.life.faults == []
    assert served.life.ended
    assert (served.life.target, served.life.discontinuities) == (3, 0)
    assert served.life.sequence > 5
    assert {entry.duration_s for entry in served.life.entries} == {2.0}
    assert all(entry.date for entry in served.life.entries)
    assert "#EXT-X-INDEPENDENT-SEGMENTS\n" in served.playlist.read_text()


def test_each_segment_begins_with_a_keyframe_and_they_go_on_from_one_to_the_next(
    served: Served, tmp_path: Path
) -> None:
    served.write(9)
    joined = tmp_path / "joined.ts"
    files = [served.folder / entry.uri for entry in served.life.entries]
    joined.write_bytes(b"".join(file.read_bytes() for file in files))
    for file in files:
        packets = clips.ffprobe(file, "packet=flags", "-select_streams", "v:0")["packets"]
        assert packets[0]["flags"].startswith("K")
        assert file.read_bytes()[:3] == b"G\x40\x11" or file.read_bytes()[1:3] in (b"\x40\x00", b"\x40\x11")
    times = clips.frame_times(joined)
    assert len(times) == served.written
    steps = {after - before for before, after in pairwise(times)}
    assert max(steps) - min(steps) <= 1
    assert "C" not in str(clips.ffprobe(joined, "packet=flags")), "no packet is corrupt: counters go on"


def test_what_comes_after_a_change_or_a_loss_is_a_discontinuity(served: Served) -> None:
    served.write(7, close="go on")
    served.pass_by(5.0)
    served.write(7, close="go on")
    assert [entry.discontinuity for entry in served.life.entries].count(True) == 1
    served.write(30)
    assert served.life.faults == []
    assert served.life.discontinuities == 2


def test_a_gap_is_a_discontinuity_and_makes_no_segment_longer(served: Served) -> None:
    encoder = LiveEncoder(EncoderOptions(), served._frames[0], Fraction(5), Fraction(1))
    output = Output(parse_destination(f"{served.folder}/"), served.clock)
    output.open(Program(1, encoder.template, None))
    for number in range(60):
        if number in (13, 29):
            served.pass_by(8.0)
        frame = served._frames[number % len(served._frames)]
        frame.pts, frame.duration, frame.time_base = round(served.at_s * TICKS), TICKS // 5, TIME_BASE
        for packet in encoder.encode(frame, 0.0):
            output.write(packet)
        served.pass_by(0.2)
    output.close()
    served.look()
    assert served.life.faults == []
    assert [entry.discontinuity for entry in served.life.entries].count(True) == 2


def test_keyframes_that_others_ask_for_make_no_segment_too_long_or_tiny(served: Served) -> None:
    served.write(60, keyframe=lambda number: number % 7 == 3 or number % 11 == 5)
    assert served.life.faults == []
    assert min(entry.duration_s for entry in served.life.entries[:-1]) >= 0.79


@pytest.mark.parametrize("rate", [1, 25])
def test_slow_and_quick_sources(rate: int, tmp_path: Path) -> None:
    served = Served(tmp_path / "h", rate)
    served.write(25)
    assert served.life.faults == []


def test_killed_and_started_again_the_list_goes_on(served: Served) -> None:
    for _ in range(4):
        served.write(9, close="kill")
    served.write(9)
    assert served.life.faults == []
    assert served.life.sequence > 5
    assert served.life.discontinuities + sum(entry.discontinuity for entry in served.life.entries) == 4


def test_after_its_end_a_new_list_goes_on_counting(served: Served) -> None:
    served.write(9)
    last = served.life.sequence + len(served.life.entries)
    served.life.anew()
    served.write(9)
    assert served.life.faults == []
    assert served.life.sequence == last
    assert served.life.discontinuities == 1


def test_segments_nobody_may_ask_for_any_more_are_deleted(served: Served) -> None:
    served.write(9, close="kill")
    served.write(90)
    assert served.life.faults == []
    there = sorted(path.name for path in served.folder.glob("*.ts"))
    assert set(there) > {entry.uri for entry in served.life.entries}, "somebody may still be reading"
    assert len(there) <= 20


def test_numbers_go_on_where_the_playlist_is_lost(served: Served) -> None:
    served.write(5)
    served.playlist.unlink()
    there = set(served.folder.iterdir())
    served.life = Life(served.life.exists)
    served.write(5)
    assert served.life.faults == []
    assert not {served.folder / entry.uri for entry in served.life.entries} & there


def test_sound_is_in_the_segments_of_its_pictures(served: Served) -> None:
    import av
    import numpy as np

    encoder = LiveEncoder(EncoderOptions(), served._frames[0], Fraction(25), Fraction(1))
    sound = AudioEncoder()
    output = Output(parse_destination(f"{served.folder}/"), served.clock)
    output.open(Program(1, encoder.template, sound.template))
    for number in range(25 * 7):
        audio = av.AudioFrame.from_ndarray(np.zeros((1, 3840), np.int16), "s16", "stereo")
        audio.sample_rate = 48_000
        for packet in (
            sound.push(audio, round(number / 12.5 * TICKS) if number < 88 else 0) if number < 88 else []
        ):
            output.write(packet)
        frame = served._frames[number % len(served._frames)]
        frame.pts, frame.duration, frame.time_base = number * TICKS // 25, TICKS // 25, TIME_BASE
        for packet in encoder.encode(frame, 0.0):
            output.write(packet)
    output.close()
    served.look()
    assert served.life.faults == []
    assert sum(len(clips.frame_times(served.folder / entry.uri)) for entry in served.life.entries) == 25 * 7


def test_what_was_written_is_read_back() -> None:
    playlist = Playlist(3, 5, 2)
    for number in range(9):
        playlist.append(Segment(f"a-{number}.ts", 2.0, None, number % 2 == 1))
    read = Playlist.read(playlist.text())
    assert read is not None
    assert read.text() == playlist.text()
    assert (read.sequence, read.discontinuities, len(read.segments)) == (8, 3, 6)
    assert Playlist.read("#EXTM3U\n") is None
    assert re.search(r"^#EXT-X-VERSION:3$", playlist.text(), re.MULTILINE)
