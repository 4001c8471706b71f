"""Packets of copied streams, made ready for another container."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any

from vsr.media.rational import fraction

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream


class PacketCopier:
    """Puts packets of copied streams into the output in the input's time, with the dts they lack."""

    def __init__(
        self,
        streams: dict[int, Stream],
        shift: Fraction,
        *,
        keeps_early_audio: bool = False,
        strictly_rising: bool = False,
        from_zero: bool = False,
    ) -> None:
        """streams: the output's stream by the index of the input's; shift: seconds added to every timestamp.

        strictly_rising: the muxer refuses two packets of a stream at one of its ticks, as come of damage. from_zero: it has no
        times before zero, and would begin with what is before: sound there is left out.

        keeps_early_audio: audio that begins before zero (the encoder's priming, as MP4 stores it) is moved up to zero, and
        `delays` says by how many seconds, by the index of the output's stream, for the header to say it too.
        """
        self.delays: dict[int, Fraction] = {}
        self._keeps_early_audio = keeps_early_audio
        self._streams = streams
        self._shift = shift
        self._last_dts: dict[int, Fraction] = {}
        self._strictly_rising, self._from_zero = strictly_rising, from_zero
        self._last_ticks: dict[int, int] = {}

    def prepared(self, packet: Packet[Any]) -> Packet[Any] | None:
        """The packet ready for muxing, None where it isn't to be copied."""
        stream = self._streams.get(packet.stream_index)
        # The demuxer's flush packet has no data; other packets without data have no content, either.
        if stream is None or packet.size == 0:
            return None
        time_base = fraction(packet.time_base) or Fraction(1)
        if self._shift and packet.time_base:
            ticks = round(self._shift / time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        if packet.pts is None and packet.dts is None:
            last = self._last_dts.get(stream.index)
            packet.pts = packet.dts = 0 if last is None else round(last / time_base) + 1
        elif packet.dts is None:
            packet.dts = packet.pts
        elif packet.pts is None and stream.type != "video":
            packet.pts = packet.dts
        assert packet.dts is not None
        if self._from_zero and stream.type == "audio" and packet.dts + (packet.duration or 0) / 2 < 0:
            return None
        # From FFmpeg 9 on, Matroska's muxer keeps early audio itself if it knows the priming, which PyAV 19 passes on.
        knows = getattr(stream.codec_context, "initial_padding", 0)
        if self._keeps_early_audio and stream.type == "audio" and not knows:
            self._keep_early(packet, stream)
            time_base = fraction(packet.time_base) or Fraction(1)
        # Muxers refuse dts that go back, which happens at a joint or if dts had to be guessed.
        last = self._last_dts.get(stream.index)
        if last is not None and packet.dts * time_base < last:
            dts = -int(-last // time_base)
            packet.dts = dts
            if packet.pts is not None and packet.pts < dts:
                packet.pts = dts
        if self._strictly_rising:
            self._rise(packet, stream)
        self._last_dts[stream.index] = packet.dts * packet.time_base
        packet.stream = stream
        return packet

    def _rise(self, packet: Packet[Any], stream: Stream) -> None:
        """Put a packet at least one tick of the output after the previous one."""
        assert packet.dts is not None
        assert stream.time_base
        last, unit = self._last_ticks.get(stream.index), Fraction(1) * packet.time_base / stream.time_base
        ticks = floor(packet.dts * unit + Fraction(1, 2))
        if last is not None and ticks <= last:
            ticks = last + 1
            if packet.pts is not None:
                packet.pts = max(ticks, round(packet.pts * unit))
            packet.dts, packet.duration = ticks, round((packet.duration or 0) * unit)
            packet.time_base = stream.time_base
        self._last_ticks[stream.index] = ticks

    def _keep_early(self, packet: Packet[Any], stream: Stream) -> None:
        """Put an audio packet on Matroska's clock of milliseconds, later by the stream's delay."""
        assert packet.pts is not None
        assert packet.dts is not None
        start = packet.pts * packet.time_base
        if stream.index not in self._last_dts and start < 0:
            self.delays[stream.index] = -start
        delay = self.delays.get(stream.index)
        if delay is not None:
            ticks = round(delay * 1000)
            pts, dts = round(start * 1000) + ticks, round(packet.dts * packet.time_base * 1000) + ticks
            duration = round((packet.duration or 0) * packet.time_base * 1000)
            packet.time_base = Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = pts, dts, duration
