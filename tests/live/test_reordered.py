"""Sources that send pictures in another order than they are shown in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import clips
from tests.support.sessions import config, simulated
from vsr.live.frame import StreamFrame

FRAMES = 60
X264 = ["-c:v", "libx264", "-preset", "medium", "-g", "20"]
X265 = ["-c:v", "libx265", "-preset", "fast"]
CODECS = {
    "x264": X264,
    "pyramid, open GOP": [*X264, "-bf", "3", "-b_strategy", "0", "-x264-params", "b-pyramid=normal:open-gop=1"],
    "eight B-frames": [*X264, "-bf", "8", "-b_strategy", "2", "-x264-params", "b-pyramid=normal:ref=5"],
    "x265": [*X265, "-x265-params", "log-level=none:pools=1:keyint=20"],
    "x265, open GOP": [*X265, "-x265-params", "log-level=none:pools=1:keyint=20:bframes=4:b-adapt=0:open-gop=1"],
    "mpeg2": ["-c:v", "mpeg2video", "-q:v", "2", "-g", "15", "-bf", "2"],
    "mpeg4": ["-c:v", "mpeg4", "-q:v", "2", "-g", "15", "-bf", "2"],
}  # fmt: skip


def counting(name: str, rate: int) -> Path:
    """A clip whose frames are each a little brighter than the one before."""
    source = f"color=black:size=160x96:rate={rate},format=yuv420p,geq=lum='30+3*N':cb=128:cr=128"
    recipe = ["-f", "lavfi", "-i", source, "-frames:v", str(FRAMES), *CODECS[name], "-threads", "1"]
    return clips.made(
        f"counting-{rate}.ts", recipe, lambda path: clips.run(*recipe, "-muxdelay", "0", str(path))
    )


@pytest.mark.parametrize("rate", [5, 25])
@pytest.mark.parametrize("codec", CODECS)
def test_every_frame_goes_out_once_and_in_order_and_none_is_late(codec: str, rate: int) -> None:
    shown: list[float] = []

    def take(frame: StreamFrame) -> None:
        shown.append(float(frame.to_rgb().mean()))

    # Frames that wait for others are older than that, since their own packets came, when they are decoded.
    settings = config(str(counting(codec, rate)), "null", realtime=True, max_latency_s=0.1)
    report = simulated(settings, take=take).run()
    assert report.frames_in == report.frames_out == FRAMES, report.drops
    assert not report.drops
    assert shown == sorted(shown)
    assert len({round(brightness, 1) for brightness in shown}) == FRAMES
