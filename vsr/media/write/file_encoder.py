"""The encoder of a file: every frame's time and duration go past it exactly, and captions into its packets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.packet import Packet
from av.video.frame import VideoFrame

from vsr.core.errors import ConfigError
from vsr.core.video import VideoInfo
from vsr.media.frames.hwaccel import SEMI_PLANAR
from vsr.media.frames.side_data import display_matrix
from vsr.media.types import Carried
from vsr.media.write.animation import GUESSES_LAST, with_last_duration
from vsr.media.write.captions import takes_captions, with_captions
from vsr.media.write.containers import MPEGTS_CODECS, Container, output_time_base
from vsr.media.write.encode import VideoEncoder
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.encoders import EncoderPlan, frame_rate_or_default, merged
from vsr.media.write.hdr_params import hdr_options


@dataclass(slots=True)
class _Sent:
    """Data of a picture that cannot go through the encoder, kept while the encoder has the picture."""

    pts: int
    duration: int
    captions: bytes | None


class FileEncoder:
    """Frames of one size in, packets for one kind of container out. The container's stream is made from `template`."""

    def __init__(
        self,
        plan: EncoderPlan,
        container: Container,
        info: VideoInfo,
        carried: Carried,
        *,
        threads: int,
        on_device: bool = False,
    ) -> None:
        """Open the encoder for frames that `info` describes, in the plan's format and colour.

        on_device: the frames lie on a GPU. Raises ConfigError for options that the encoder refuses, or that the container
        cannot hold; EncoderUnavailableError.
        """
        _check_codec(plan.name, container)
        self.plan = plan
        self.frame_rate = frame_rate_or_default(info.frame_rate)
        self.time_base = output_time_base(container, info.time_base, self.frame_rate, carried.start_offset)
        self.on_device = on_device
        self._format = container.format
        self._sent: dict[int, _Sent] = {}
        self._span = 0, 0, 0  # the beginnings of the first and the last frame, and the end of the last
        device = HWAccel("cuda", options={"primary_ctx": "1"}) if on_device else None
        unit = 1 / self.frame_rate if plan.traits.counts_frames else self.time_base
        self._encoder = VideoEncoder(plan, (info.width, info.height), self.frame_rate, unit, device=device)
        self._open(container, info, carried, threads)

    def _open(self, container: Container, info: VideoInfo, carried: Carried, threads: int) -> None:
        stream, context = self._encoder.stream, self._encoder.context
        if self.on_device:
            context.pix_fmt = SEMI_PLANAR[self.plan.format.bits]
        stream.time_base = self.time_base
        if container.sar:
            context.sample_aspect_ratio = info.sar
        context.flags |= int(Flags.frame_duration)
        context.thread_type = "AUTO"
        # Frame threads hold frames back, and copying samples needs no threads.
        context.thread_count = 1 if self.plan.name == "rawvideo" else threads
        if (info.rotation or info.mirrored) and container.rotation:
            stream.set_display_matrix(display_matrix(info.rotation, info.mirrored))
        self._encoder.open(self._options(container, carried), global_header=container.global_header)
        self.template = Template(stream, info.sar, self.plan.format.alpha)
        self.takes_captions = takes_captions(self.template.codec)

    def _options(self, container: Container, carried: Carried) -> dict[str, str]:
        """All options of the encoder; the user's override vsr's."""
        options = dict(self.plan.options)
        hdr = hdr_options(self.plan.name, carried.mastering_display, carried.content_light)
        if hdr:
            options = merged(hdr, options)
        if not container.b_frames:
            options.setdefault("bf", "0")
        return options

    def encode(self, frame: VideoFrame, pts: int, captions: bytes | None) -> list[Encoded]:
        """Packets that are ready after a frame in the encoder's format, which is to be shown at `pts` of our time_base.

        frame: its duration is in its own time_base. captions: as in `Frame.side`. Raises EncodeError.
        """
        assert frame.time_base
        duration = round((frame.duration or 0) * frame.time_base / self.time_base)
        number = self._encoder.frames
        self._span = self._span[0] if number else pts, pts, pts + duration
        frame.time_base = self._encoder.context.time_base
        counts = self.plan.traits.counts_frames
        frame.pts, frame.duration = (number, 1) if counts else (pts, duration)
        self._sent[frame.pts] = _Sent(pts, duration, captions)
        return [self._encoded(packet) for packet in self._encoder.encode(frame)]

    def flush(self) -> list[Encoded]:
        """Return the packets that the encoder still holds, and end it. Raises EncodeError."""
        if not self._encoder.frames:
            return []
        packets = [self._encoded(packet) for packet in self._encoder.flush()]
        if packets and self._format in GUESSES_LAST:
            begin, last, end = (ticks * self.time_base for ticks in self._span)
            data = with_last_duration(bytes(packets[-1].packet), self._format, end - last, end - begin)
            packets[-1] = packets[-1].with_data(data)
        return packets

    def close(self) -> None:
        """Let go of the encoder after `flush`, once nobody reads `template` any more."""
        self._encoder.close()

    def drop(self) -> None:
        """Drop the frames that the encoder still holds."""
        self._encoder.drop()

    def _encoded(self, packet: Packet[Any]) -> Encoded:
        encoded = Encoded.of("video", packet)
        sent = self._sent.pop(encoded.pts, None)
        if sent is None:
            return encoded
        if self.plan.traits.counts_frames:
            encoded = replace(encoded, pts=sent.pts, dts=sent.pts, time_base=self.time_base)
        if sent.captions and self.takes_captions:
            data = with_captions(bytes(packet), sent.captions, self.template.codec)
            encoded = encoded.with_data(data)
        return replace(encoded, duration=sent.duration)


def _check_codec(encoder: str, container: Container) -> None:
    """Raise ConfigError for a codec that FFmpeg writes into a container, and nothing reads back."""
    codec = av.Codec(encoder, "w").canonical_name
    if container.format == "mpegts" and codec not in MPEGTS_CODECS:
        raise ConfigError(
            f"mpegts cannot hold {codec} from encoder {encoder}: no stream type for that codec",
            hint="use libx264 or libx265, or an output ending in .mkv",
        )
