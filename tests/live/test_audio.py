"""Sound that is brought to its times."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from vsr.media.live.audio import AudioEncoder
from vsr.media.live.timeline import TICKS
from vsr.media.write.encoded import Encoded

SAMPLES = 1024


def beeps(number: int, rate: int) -> AudioFrame:
    """A frame of a source that beeps for 20 ms each second."""
    at = (np.arange(SAMPLES) + number * SAMPLES) / rate
    wave = np.where(at % 1 < 0.02, np.sin(2 * np.pi * 1000 * at), 0).astype(np.float32)
    frame = AudioFrame.from_ndarray(wave[None], "fltp", "mono")
    frame.sample_rate = rate
    return frame


def encoded(times: Iterable[float], rate: int = 48_000) -> list[Encoded]:
    """What comes out for frames at those times."""
    encoder = AudioEncoder()
    return [
        packet
        for number, time in enumerate(times)
        for packet in encoder.push(beeps(number, rate), round(time * TICKS))
    ]


def heard(packets: list[Encoded]) -> list[float]:
    """When the beeps begin."""
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = AudioEncoder().template.stream.codec_context.extradata
    found: list[float] = []
    for packet in packets:
        for frame in decoder.decode(packet.packet):
            at = float(packet.pts * packet.time_base)
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)
            if len(loud) and (not found or at - found[-1] > 0.3):
                found.append(at + loud[0] / 48_000)
    return found


def rising(packets: list[Encoded]) -> bool:
    return all(before.pts + before.duration <= after.pts for before, after in pairwise(packets))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
@pytest.mark.parametrize("stretch", [0.95, 0.98, 1.0, 1.0001, 1.02, 1.05])
def test_sound_is_stretched_to_its_times(stretch: float, rate: int) -> None:
    length = SAMPLES / rate
    packets = encoded((1 + number * length * stretch for number in range(round(20 / length))), rate)
    assert rising(packets)
    # No gap is left, and none is filled.
    assert {after.pts - before.pts for before, after in pairwise(packets)} == {SAMPLES}
    beats = heard(packets)
    assert len(beats) >= 18
    for number, beat in list(enumerate(beats))[10:]:
        assert abs(beat - (1 + number * stretch)) < 0.012


@pytest.mark.parametrize("step", [-1.5, -0.05, 0.05, 0.5, 30.0, 3600.0])
def test_times_that_jump(step: float) -> None:
    length = SAMPLES / 48_000
    times = [10 + number * length + (step if number >= 480 else 0) for number in range(960)]
    packets = encoded(times)
    assert rising(packets)
    assert len(packets) < 1100
    beats = heard(packets)
    assert min(abs(beat - (10 + 18 + step)) for beat in beats) < 0.012


def test_times_that_are_rounded_to_milliseconds() -> None:
    packets = encoded(round(number * SAMPLES / 48_000, 3) for number in range(900))
    assert {after.pts - before.pts for before, after in pairwise(packets)} == {SAMPLES}
    assert max(abs(beat - round(beat)) for beat in heard(packets)) < 0.005
