"""The values between encoders and containers: packets with their times, and the parameters of their stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from vsr.media.rational import fraction
from vsr.media.write.containers import IS_MOV
from vsr.media.write.targets import OutputNull

# For each kind of stream, a codec that Matroska has a name for.
_STAND_INS = {"audio": "pcm_s16le", "video": "ffv1"}


@dataclass(frozen=True, slots=True)
class Encoded:
    """One packet. pts, dts, duration: in time_base. captured_at: the time of its picture on the monotonic clock; 0 for audio.

    packet: FFmpeg's, with the data, the flags and the side data; its own times don't count. PyAV can neither copy a packet nor
    set all of its flags (disposable), and some packets only point to what they own. So a single container takes it as it is
    (`taken`), and each of several containers a packet around the same data (`shared`).
    """

    kind: Literal["video", "audio"]
    packet: Packet[Any]
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    captured_at: float = 0.0

    @classmethod
    def of(cls, kind: Literal["video", "audio"], packet: Packet[Any]) -> Encoded:
        """An encoder's packet with the times that the encoder gave it."""
        assert packet.pts is not None
        assert packet.dts is not None
        time_base = fraction(packet.time_base) or Fraction(1)
        return cls(kind, packet, packet.pts, packet.dts, packet.duration or 0, time_base)

    @property
    def size(self) -> int:
        """Bytes of data."""
        return self.packet.size

    @property
    def keyframe(self) -> bool:
        return self.packet.is_keyframe

    def taken(self, stream: Stream) -> Packet[Any]:
        """FFmpeg's packet itself, ready for the only container that gets it."""
        return self._timed(self.packet, stream, 0)

    def shared(self, stream: Stream, shift: int = 0) -> Packet[Any]:
        """A packet around the same bytes, without side data, moved by `shift` ticks: for one container of several."""
        packet = _around(self.packet)
        packet.is_keyframe = self.keyframe
        return self._timed(packet, stream, shift)

    def _timed(self, packet: Packet[Any], stream: Stream, shift: int) -> Packet[Any]:
        packet.time_base = self.time_base
        packet.pts, packet.dts, packet.duration = self.pts + shift, self.dts + shift, self.duration
        packet.stream = stream
        return packet

    def with_data(self, data: bytes) -> Encoded:
        """The same with other bytes."""
        packet = _around(data)
        packet.is_keyframe = self.keyframe
        for side_data in self.packet.iter_sidedata():
            packet.set_sidedata(side_data)
        return replace(self, packet=packet)


def _around(data: Any) -> Packet[Any]:
    """A packet that refers to any object with bytes, another packet among them, which PyAV's types don't say."""
    return Packet(data)


@dataclass(frozen=True, slots=True)
class Template:
    """Parameters of an encoded stream, from which containers make their own stream.

    stream: of a container that is kept alive by it, with its header written. sar, alpha: what Matroska's header says too; the
    parameters hold the shape of a sample rounded by some encoders, and don't tell of alpha that has left the samples.
    """

    stream: Stream
    sar: Fraction = Fraction(1)
    alpha: bool = False

    @property
    def time_base(self) -> Fraction:
        """The unit of the packets' timestamps, in seconds."""
        time_base = fraction(self.stream.time_base)
        assert time_base
        return time_base

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec: h264."""
        return self.stream.codec_context.codec.canonical_name

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder: libx264."""
        return self.stream.codec_context.name

    def add_to(self, output: OutputContainer) -> Stream:
        """Add a stream with these parameters to a container. Raises what PyAV raises."""
        stream = add_like(output, self.stream)
        stream.time_base = self.time_base
        # PyAV drops the tag as one of another container, but here it is the encoder's name for its samples.
        tag = self.stream.codec_context.codec_tag
        if self.codec == "hevc" and output.format.name in IS_MOV:
            tag = "hvc1"  # the tag Apple's players insist on
        stream.codec_context.codec_tag = tag
        return stream


def add_like(output: OutputContainer, stream: Stream) -> Stream:
    """Add a stream with the parameters of another, but for its codec tag. Raises what PyAV raises.

    Whether the muxer takes it shows when the header is written.
    """
    try:
        return output.add_stream_from_template(stream, opaque=True)
    except ValueError:
        stand_in = _STAND_INS.get(stream.type) if output.format.name == "matroska" else None
        if stand_in is None:
            raise
    # PyAV asks FFmpeg which codecs Matroska has a name for. The muxer also accepts AVI's codecs, as A_MS/ACM and V_MS/VFW. So
    # the stream is added with another codec; then it gets its parameters, from a bitstream filter that changes nothing.
    added: Stream = output.add_stream_from_template(nowhere().add_stream(stand_in), opaque=True)
    BitStreamFilterContext("null", stream, added)
    added.codec_context.codec_tag = "\0\0\0\0"
    return added


def nowhere() -> OutputContainer:
    """A container that takes any codec and writes nothing: encoders live in it.

    It is never closed, only let go of: other containers may be reading its streams just then.
    """
    return av.open(OutputNull(), "w", format="null")
