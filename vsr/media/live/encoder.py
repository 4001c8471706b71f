"""Frames encoded once, without delay, for any number of sinks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import PictureType

from vsr.core.frame import Frame
from vsr.media.frames.planes import av_from_frame
from vsr.media.live.timeline import TICKS, TIME_BASE
from vsr.media.types import SinkOptions
from vsr.media.write.encode import VideoEncoder
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.encoder_traits import TRAITS
from vsr.media.write.encoders import EncoderPlan, encoder_named, merged, plan_encoder

# Most seconds from one keyframe to the first frame that may be the next keyframe.
KEYFRAME_S = 2.0
# Visually close to the source, with a third of the bits of files: the stream must fit through a network.
_CRF = 23.0
# A picture of this size takes the least time and bits with one slice, on one thread.
_ONE_THREAD_PIXELS = 1280 * 720

_LOW_LATENCY: dict[str, dict[str, str]] = {
    "libx264": {"tune": "zerolatency", "forced-idr": "1"},
    "libx265": {"tune": "zerolatency", "forced-idr": "1"},
    "libsvtav1": {"svtav1-params": "pred-struct=1:lookahead=0"},
    "h264_nvenc": {"tune": "ull", "zerolatency": "1", "forced-idr": "1"},
    "hevc_nvenc": {"tune": "ull", "zerolatency": "1", "forced-idr": "1"},
}
_PRESETS = {
    "libx264": "superfast",
    "libx265": "ultrafast",
    "h264_nvenc": "p1",
    "hevc_nvenc": "p1",
    "libsvtav1": "12",
}


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """How to encode a live stream; None for defaults. bitrate: bits a second; crf: constant quality instead."""

    encoder: str = "libx264"
    crf: float | None = None
    bitrate: int | None = None
    preset: str | None = None
    encoder_options: dict[str, str] = field(default_factory=dict)


class LiveEncoder:
    """An encoder for frames of one size and colour. `template` is what sinks make their streams of."""

    def __init__(self, options: EncoderOptions, like: Frame, frame_rate: Fraction, sar: Fraction) -> None:
        """Raises EncoderUnavailableError or ConfigError."""
        plan = _plan(options, like)
        self.described = " ".join(
            [plan.name, f"{like.width}x{like.height}", *(f"{k}={v}" for k, v in plan.options.items())]
        )
        self._keyframe_pts: int | None = None
        self._captured: dict[int, float] = {}
        self._encoder = VideoEncoder(plan, (like.width, like.height), frame_rate, TIME_BASE)
        context = self._encoder.context
        context.sample_aspect_ratio = sar
        context.gop_size = max(1, round(KEYFRAME_S * frame_rate))
        context.max_b_frames = 0
        context.thread_type = "SLICE"
        small = like.width * like.height <= _ONE_THREAD_PIXELS
        context.thread_count = 1 if small else min(8, os.cpu_count() or 1)
        ceiling = {}
        if plan.bitrate is not None:
            ceiling = {"maxrate": str(plan.bitrate), "bufsize": str(plan.bitrate // 2)}
        self._encoder.open({**ceiling, **plan.options}, global_header=True)
        self.template = Template(self._encoder.stream, sar)

    def encode(self, frame: Frame, captured_at: float, *, keyframe: bool = False) -> list[Encoded]:
        """Packets of a frame whose pts is in ticks of the timeline. Raises EncodeError."""
        picture = av_from_frame(frame, "yuv420p")
        assert picture.pts is not None
        # The encoder counts frames, and a source may send fewer frames than it states.
        due = self._keyframe_pts is not None and picture.pts - self._keyframe_pts >= KEYFRAME_S * TICKS
        if keyframe or due:
            picture.pict_type = PictureType.I
        self._captured[picture.pts] = captured_at
        return [self._encoded(packet) for packet in self._encoder.encode(picture)]

    def flush(self) -> list[Encoded]:
        """Return the packets that the encoder still holds, and end it. Raises EncodeError."""
        return [self._encoded(packet) for packet in self._encoder.flush()]

    def _encoded(self, packet: Packet[Any]) -> Encoded:
        encoded = Encoded.of("video", packet)
        if encoded.keyframe:
            self._keyframe_pts = encoded.pts
        return replace(encoded, captured_at=self._captured.pop(encoded.pts, 0.0))


def _plan(options: EncoderOptions, like: Frame) -> EncoderPlan:
    name = encoder_named(options.encoder)
    traits = TRAITS.get(name)
    crf = options.crf
    if crf is None and options.bitrate is None and traits is not None and traits.crf_option == "crf":
        crf = _CRF
    sink = SinkOptions(
        crf=crf,
        bitrate=options.bitrate,
        preset=options.preset or _PRESETS.get(name),
        pix_fmt="yuv420p",
        encoder_options=options.encoder_options,
    )
    plan = plan_encoder(name, like.format, like.color, like.width, like.height, sink)
    return replace(plan, options=merged(_LOW_LATENCY.get(name, {}), plan.options))
