"""Times of what goes out: hours of streams, in numbers only."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import pytest

from vsr.media.live.timeline import TICKS, Timeline

START = 1000.0
DELAY_S = 0.05
WRAP_32_S = 2**32 / 90_000
WRAP_33_S = 2**33 / 90_000


@dataclass
class Given:
    """What the timeline made of a packet. Seconds since START: when it was captured, came, and goes out."""

    captured: float
    came: float
    out: float

    @property
    def off(self) -> float:
        """How much later than captured it goes out: what is to stay the same."""
        return self.out - self.captured


@dataclass
class Source:
    """A camera with a clock of its own and a way to us.

    drift: what its clock gains, in seconds for each. jitter_s: a packet is held up by that at most. reorder: frames of which
    the last comes first, as in a pyramid of B-frames. burst: each so many seconds nothing comes for so long, then all at once.
    jumps: its clock is set forward then, by so much: that of sound 2.7 s later, as servers report it.
    """

    fps: float = 25.0
    drift: float = 0.0
    jitter_s: float = 0.02
    reorder: int = 0
    burst: tuple[float, float] | None = None
    jumps: tuple[tuple[float, float], ...] = ()
    drift_of_sound: float | None = None
    video: list[Given] = field(default_factory=list)
    audio: list[Given] = field(default_factory=list)
    timeline: Timeline = field(default_factory=lambda: Timeline(START))

    def run(self, seconds: float) -> Source:
        chance = random.Random(1)
        ready = {"video": 0.0, "audio": 0.0}
        for captured, kind, when in self._sent(seconds):
            came = START + when + DELAY_S + chance.random() * self.jitter_s
            if self.burst is not None and when > self.burst[0]:
                since = when % self.burst[0]
                came += max(0.0, self.burst[1] - since)
            ready[kind] = came = max(came, ready[kind])
            ticks = self.timeline.ticks(kind, self._stamp(captured, kind), came)
            given = Given(captured, came - START, ticks / TICKS)
            (self.video if kind == "video" else self.audio).append(given)
        return self

    def _sent(self, seconds: float) -> list[tuple[float, str, float]]:
        """(captured, kind, sent) of all packets, by when they are sent: pictures in the order they are shown in."""
        video = [(n / self.fps, "video", n / self.fps) for n in range(int(seconds * self.fps))]
        if self.reorder:
            group = self.reorder + 1
            video = [(at, kind, (n // group + 1) * group / self.fps) for n, (at, kind, _) in enumerate(video)]
        rate = 48_000 / 1024
        audio = [(n / rate, "audio", n / rate) for n in range(int(seconds * rate))]
        return sorted(video + audio, key=lambda packet: packet[2])

    def _stamp(self, captured: float, kind: str) -> Fraction:
        sound = kind == "audio"
        drift = self.drift if not sound or self.drift_of_sound is None else self.drift_of_sound
        stamp = captured * (1 + drift)
        stamp += sum(amount for at, amount in self.jumps if captured >= at + (2.7 if sound else 0.0))
        base = 48_000 if sound else TICKS
        return Fraction(round(stamp * base), base)

    def apart_s(self) -> list[float]:
        """How far the sound is from the picture, at the same moment of the source, each second."""
        sound = {round(one.captured): one.off for one in self.audio}
        picture = {round(one.captured): one.off for one in self.video}
        return [sound[second] - picture[second] for second in sorted(sound.keys() & picture.keys())]

    def rates(self) -> Iterator[float]:
        """How much faster than captured the pictures go out, second by second."""
        each_second = self.video[:: round(self.fps)]
        for before, after in pairwise(each_second):
            yield (after.off - before.off) / (after.captured - before.captured)


def check(source: Source, *, settled_s: float = 30.0, off_s: float = 0.2) -> None:
    """What holds for every source: no delay that grows, stamps that rise and are smooth, sound with its picture."""
    for packets in (source.video, source.audio):
        assert all(before.out < after.out for before, after in pairwise(packets))
        offs = [one.off for one in packets if one.captured > settled_s]
        assert max(offs) - min(offs) < off_s
        assert -off_s < min(offs)
        assert max(offs) < off_s + DELAY_S
    assert max(abs(apart) for apart in source.apart_s()[round(settled_s) :]) < 0.04
    rates = list(source.rates())[round(settled_s) :]
    assert max(abs(rate) for rate in rates) < 0.007
    assert max(abs(after - before) for before, after in pairwise(rates)) < 0.0025


@pytest.mark.parametrize("drift", [-0.05, -0.02, -0.0001, 0.0, 0.0001, 0.02, 0.05])
def test_a_clock_that_drifts(drift: float) -> None:
    check(Source(drift=drift).run(150))


@pytest.mark.parametrize("fps", [5, 10, 24, 60])
def test_any_rate_with_a_pyramid(fps: float) -> None:
    # The first is sound; pictures come later, by what they wait for their turn.
    check(Source(fps=fps, drift=0.02, jitter_s=0.05, reorder=3).run(150), off_s=0.2 + 1 / fps)


def test_a_clock_that_runs_true_is_left_alone() -> None:
    source = Source(jitter_s=0.01).run(120)
    assert {round((after.out - before.out) * TICKS) for before, after in pairwise(source.video)} == {3600}


@pytest.mark.parametrize("burst", [(10.0, 1.0), (60.0, 8.0)])
def test_what_is_held_up_and_comes_at_once(burst: tuple[float, float]) -> None:
    check(Source(drift=-0.02, burst=burst).run(150))


@pytest.mark.parametrize(
    "jumps",
    [
        ((60.0, 1.5), (100.0, -1.5)),
        ((60.0, -1.5), (100.0, 1.5)),
        ((60.0, -WRAP_32_S),),
        ((60.0, -WRAP_33_S), (100.0, 3.0)),
        ((60.0, 1e6),),
    ],
)
@pytest.mark.parametrize("reorder", [0, 3])
def test_a_jump_is_closed_for_sound_and_picture(jumps: tuple[tuple[float, float], ...], reorder: int) -> None:
    source = Source(drift=0.005, jumps=jumps, reorder=reorder).run(150)
    check(source)
    assert source.timeline.jumps == len(jumps)


@pytest.mark.slow
def test_half_an_hour_with_a_drift_and_a_step() -> None:
    source = Source(drift=0.02, reorder=3, burst=(300.0, 3.0), jumps=((1000.0, 3.0),)).run(1800)
    check(source)
    assert abs(source.apart_s()[-1]) < 0.01
    assert source.timeline.jumps == 1


def test_sound_with_a_clock_of_its_own_is_brought_back_to_the_picture() -> None:
    source = Source(drift=0.01, drift_of_sound=0.0).run(150)
    apart = [abs(one) for one in source.apart_s()]
    # As far as that, a server may have held it back.
    assert max(apart) < 0.55
    assert max(apart[100:]) < 0.04


def test_a_jump_of_pictures_whose_clock_is_not_that_of_the_sound() -> None:
    source = Source(drift=0.02, drift_of_sound=0.0, jumps=((90.0, -1.0),)).run(150)
    assert source.timeline.jumps == 1
    assert max(abs(one) for one in source.apart_s()[70:]) < 0.04


@pytest.mark.parametrize("jump", [10.0, -10.0, 2.0, -2.0])
def test_a_jump_of_both_with_a_standstill_between_the_two(jump: float) -> None:
    timeline = Timeline(0.0)
    offs: dict[str, float] = {}
    packets = sorted(
        [(n / 25, "video") for n in range(500)] + [(n / 47 + 0.003, "audio") for n in range(940)]
    )
    for captured, kind in packets:
        came = max(captured, 6.3) if captured > 5.401 else captured
        stamp = captured + (jump if captured > 5.399 else 0.0)
        offs[kind] = timeline.ticks(kind, Fraction(round(stamp * TICKS), TICKS), came) / TICKS - captured
    assert timeline.jumps == 1
    assert abs(offs["audio"] - offs["video"]) < 0.04


def test_sound_that_a_server_holds_back_at_first_stays_with_the_picture() -> None:
    timeline, apart = Timeline(0.0), []
    for n in range(25 * 40):
        stamp, now = Fraction(n, 25), 1.04 * n / 25
        video = timeline.ticks("video", stamp, 1 + now)
        # It has been sent ahead by 0.3 s, and is given out in the time of its own stamps until it is late.
        audio = timeline.ticks("audio", stamp, max(1 + now, 1.3 + n / 25))
        apart.append(abs(audio - video) / TICKS)
    assert max(apart) < 0.04


def test_a_jump_in_the_middle_of_a_group_of_pictures() -> None:
    timeline = Timeline(0.0)
    # In the order they are shown in; those marked were sent after the source's clock was set.
    after = [False] * 20 + [True, False, True, False] + [True] * 20
    stamps = [Fraction(n, 25) + (Fraction(3, 2) if new else 0) for n, new in enumerate(after)]
    ticks = [timeline.ticks("video", stamp, 1 + n / 25) for n, stamp in enumerate(stamps)]
    assert {later - before for before, later in pairwise(ticks)} == {TICKS // 25}
    assert timeline.jumps == 1


def test_a_pause_is_no_jump() -> None:
    timeline = Timeline(0.0)
    ticks = [timeline.ticks("video", Fraction(n), 1.0 + n) for n in (0, 1, 2, 30, 31)]
    assert [tick // TICKS for tick in ticks] == [1, 2, 3, 31, 32]
    assert timeline.jumps == 0


def test_an_encoder_that_restarts_after_a_pause() -> None:
    timeline = Timeline(0.0)
    before = [timeline.ticks("video", 100 + Fraction(n, 25), 1 + n / 25) for n in range(50)]
    after = [timeline.ticks("video", Fraction(n, 25), 9 + n / 25) for n in range(50)]
    assert after[0] - before[0] == pytest.approx(8 * TICKS, abs=2)
    assert timeline.jumps == 1


def test_a_server_that_says_late_how_its_clocks_belong_together() -> None:
    timeline = Timeline(0.0)
    for n in range(100):
        video = timeline.ticks("video", Fraction(n, 25) + (2 if n >= 50 else 0), 3 + n / 25)
        if n == 0:
            timeline.ticks("audio", Fraction(0), 1.0)
        audio = timeline.ticks("audio", 2 + Fraction(n, 25), 3 + n / 25)
    assert abs(video - audio) < TICKS // 25


def test_a_source_that_sends_what_it_has_kept_first() -> None:
    timeline = Timeline(0.0)
    stamps = [Fraction(n, 25) for n in range(100)]
    ticks = [timeline.ticks("video", stamp, max(5.0, 3 + n / 25)) for n, stamp in enumerate(stamps)]
    assert timeline.jumps == 0
    assert ticks[0] == 5 * TICKS
    assert max(later - before for before, later in pairwise(ticks)) <= TICKS // 25


def test_time_goes_on_across_a_reconnect() -> None:
    timeline = Timeline(0.0)
    before = [timeline.ticks("video", Fraction(frame, 25), 1 + frame / 25) for frame in range(25)]
    timeline.restart()
    after = [timeline.ticks("video", Fraction(frame, 25), 7 + frame / 25) for frame in range(25)]
    assert after[0] == 7 * TICKS
    assert before[-1] < after[0]
    timeline.restart()
    # It is never put before what has gone out, wherever the clock on the wall is.
    assert timeline.ticks("video", Fraction(0), 7.5) > after[-1]


def test_frames_without_times_get_those_of_their_arrival() -> None:
    timeline = Timeline(0.0)
    ticks = [timeline.ticks("video", None, at) for at in (1.0, 1.04, 1.04, 1.12)]
    assert ticks[:2] == [TICKS, round(1.04 * TICKS)]
    assert all(before < after for before, after in pairwise(ticks))
