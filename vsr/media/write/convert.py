"""Converts sound and text to a codec that the container can hold."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from av.subtitles.stream import SubtitleStream

from vsr.media.write.containers import IS_MOV, Container

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream

# FFmpeg's encoders by container; `mov` stands for its family.
_SOUND = {"webm": "libopus", "mov": "aac", "mpegts": "aac", "flv": "aac", "matroska": "flac"}
_TEXT = {"webm": "webvtt", "mov": "mov_text", "matroska": "subrip"}
# Codecs whose subtitles are text rather than pictures.
_IS_TEXT = frozenset("subrip ass ssa webvtt mov_text text ttml".split())
SPEAKERS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""FFmpeg's name of the layout that a number of channels usually has."""
_OPUS_RATE, _MAX_AAC_RATE = 48_000, 96_000
_BIT_RATE_OF_CHANNEL = 80_000


def encoder_for(stream: Stream, container: Container) -> str | None:
    """The encoder that converts a stream to a form that the container can hold; None if there is none."""
    name = "mov" if container.format in IS_MOV else container.format
    # Without a decoder in FFmpeg the context is None, which PyAV's types do not say.
    if not stream.codec_context:
        return None
    if isinstance(stream, AudioStream):
        return _SOUND.get(name) if stream.codec_context.sample_rate else None
    is_text = isinstance(stream, SubtitleStream) and stream.codec_context.codec.canonical_name in _IS_TEXT
    return _TEXT.get(name) if is_text else None


def add_converted(output: OutputContainer, stream: Stream, encoder: str) -> Stream:
    """Add a stream for the result of a `Converter`. Raises PyAV's errors."""
    if isinstance(stream, AudioStream):
        given = stream.codec_context
        rate = _OPUS_RATE if encoder == "libopus" else min(given.sample_rate, _MAX_AAC_RATE)
        sound = output.add_stream(encoder, rate=rate)
        assert isinstance(sound, AudioStream)
        # Opus derives the speakers' positions from their number; PCM may state no more than the number, either.
        sound.codec_context.layout = SPEAKERS.get(given.channels) or given.layout.name
        sound.codec_context.bit_rate = _BIT_RATE_OF_CHANNEL * sound.codec_context.channels
        sound.codec_context.time_base = Fraction(1, rate)
        return sound
    text = output.add_stream(encoder)
    assert isinstance(text, SubtitleStream)
    assert isinstance(stream, SubtitleStream)
    stream.codec_context.open(strict=False)  # makes the header
    text.codec_context.subtitle_header = stream.codec_context.subtitle_header
    text.codec_context.time_base = Fraction(1, 1000)
    return text


class Converter:
    """Packets of one stream in, packets of the codec that `target` has out, at the same times. target: see `add_converted`."""

    def __init__(self, stream: Stream, target: Stream) -> None:
        self._stream = stream
        self._target = target
        self._resampler: AudioResampler | None = None

    def push(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """The packets that are ready. Raises what PyAV raises for a packet that does not decode."""
        if isinstance(self._stream, SubtitleStream):
            yield from self._text(packet)
            return
        assert isinstance(self._stream, AudioStream)
        for frame in self._stream.codec_context.decode(packet):
            yield from self._sound(frame)

    def flush(self) -> Iterator[Packet[Any]]:
        """The packets that were held back."""
        if isinstance(self._stream, AudioStream) and self._resampler is not None:
            for frame in self._stream.codec_context.decode(None):
                yield from self._sound(frame)
            yield from self._sound(None)
            yield from self._encoded(None)

    def _sound(self, frame: Any) -> Iterator[Packet[Any]]:
        assert isinstance(self._target, AudioStream)
        if self._resampler is None:
            into = self._target.codec_context
            self._resampler = AudioResampler(
                into.format, into.layout, into.sample_rate, frame_size=into.frame_size
            )
        for ready in self._resampler.resample(frame):
            yield from self._encoded(ready)

    def _encoded(self, frame: Any) -> Iterator[Packet[Any]]:
        assert isinstance(self._target, AudioStream)
        for packet in self._target.codec_context.encode(frame):
            packet.stream = self._target
            yield packet

    def _text(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        assert isinstance(self._stream, SubtitleStream)
        assert isinstance(self._target, SubtitleStream)
        lines = self._stream.codec_context.decode2(packet)
        if lines is None or not len(lines):
            return
        encoded = self._target.codec_context.encode_subtitle(lines)
        encoded.pts, encoded.dts, encoded.duration = packet.pts, packet.dts, packet.duration
        encoded.time_base = packet.time_base
        encoded.stream = self._target
        yield encoded
