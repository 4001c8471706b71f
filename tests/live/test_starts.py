"""Why a stream's frames begin anew, and that the networks hear of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.support.sessions import config
from vsr.bench.synthetic import synthetic_frames
from vsr.core.frame import Reset
from vsr.live.rungs import Rungs
from vsr.live.starts import Starts
from vsr.media.live.capture import Captured
from vsr.media.live.timeline import TICKS, TIME_BASE


def captured(
    at_s: float,
    *,
    size: tuple[int, int] = (32, 16),
    connection: int = 1,
    rate: Fraction | None = Fraction(25),
) -> Captured:
    (frame,) = synthetic_frames(*size, 1)
    frame.pts, frame.time_base = round(at_s * TICKS), TIME_BASE
    return Captured(frame, at_s, Fraction(1), rate, False, connection)


def test_the_first_frame_starts_and_the_next_ones_go_on() -> None:
    starts = Starts()
    assert [starts.of(captured(number / 25)) for number in range(4)] == [Reset.START, None, None, None]


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (captured(0.45), None),
        (captured(0.55), Reset.GAP),
        (captured(1.0, rate=None), Reset.GAP),
        (captured(1.0, rate=Fraction(2)), None),  # two frames, at that rate
        (captured(2.0, rate=Fraction(2)), Reset.GAP),
        (captured(0.04, size=(64, 32)), Reset.SIZE),
        (captured(0.04, connection=2), Reset.RECONNECT),
        (captured(9.0, connection=2, size=(64, 32)), Reset.RECONNECT),
    ],
)
def test_why_one_begins_anew(after: Captured, why: Reset | None) -> None:
    starts = Starts()
    starts.of(captured(0.0))
    assert starts.of(after) is why
    same = after.frame.width, after.frame.height
    assert starts.of(captured(after.at + 0.04, size=same, connection=after.connection)) is None


def test_another_network_begins_anew_and_measuring_leaves_the_stream_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rungs = Rungs(config("testsrc:160x120@25", model="auto", scale=4))
    pushed: list[tuple[int, Reset | None]] = []
    for place, lane in enumerate(rungs._lanes):

        def push(frame, place=place, whole=lane.push):  # type: ignore[no-untyped-def]
            pushed.append((place, frame.starts))
            return whole(frame)

        monkeypatch.setattr(lane, "push", push)
    frames = list(synthetic_frames(32, 16, 4))
    frames[0].starts = Reset.START
    rungs.prepare(frames[0], interval_s=1e-6)
    last = len(rungs.measured) - 1
    assert not pushed
    for rung, frame in zip((last, last, last - 1, last - 1), frames, strict=True):
        rungs._rung = rung
        large, model, _ = rungs.upscale(frame)
        assert (large.width, model) == (128, rungs.measured[rung].model)
    assert pushed == [(last, Reset.START), (last, None), (last - 1, Reset.NETWORK), (last - 1, None)]
    rungs.close()
