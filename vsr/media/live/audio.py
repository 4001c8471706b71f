"""Sound beside the pictures: brought to one form whatever the source has, so that every sink takes it and a reconnect
changes nothing."""

from __future__ import annotations

from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec.context import Flags

from vsr.core.errors import EncodeError, reason
from vsr.media.live.timeline import TICKS
from vsr.media.write.encoded import Encoded, Template, nowhere

_RATE = 48_000
_SAMPLES = 1024
_BIT_RATE = 128_000
# Sound and its timestamps may drift apart by this before they are brought together again.
_DRIFT_SAMPLES = _RATE * 6 // 100


class AudioEncoder:
    """AAC, stereo, 48 kHz. `template` is what sinks make their streams of."""

    def __init__(self) -> None:
        container = nowhere()
        stream = container.add_stream("aac", rate=_RATE)
        stream.codec_context.layout = "stereo"
        stream.codec_context.bit_rate = _BIT_RATE
        stream.codec_context.time_base = Fraction(1, _RATE)
        stream.codec_context.flags |= int(Flags.global_header)
        container.start_encoding()
        self.template = Template(stream)
        self._stream = stream
        self._resampler: AudioResampler | None = None
        self._form: tuple[object, ...] = ()
        self._fed = 0
        self._given = 0
        self._offset: int | None = None

    def push(self, frame: AudioFrame, ticks: int) -> list[Encoded]:
        """Packets that are ready, after a decoded frame that begins at `ticks` of the timeline. Raises EncodeError."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        if self._resampler is None or form != self._form:
            self._resampler = AudioResampler("fltp", "stereo", _RATE, frame_size=_SAMPLES)
            self._form = form
            self._fed = self._given
        begins = round(Fraction(ticks * _RATE, TICKS))
        if self._offset is None or abs(begins - self._fed - self._offset) > _DRIFT_SAMPLES:
            self._offset = max(begins - self._fed, self._offset or 0)
        frame.pts = None
        try:
            resampled = self._resampler.resample(frame)
            self._fed += frame.samples * _RATE // (frame.sample_rate or _RATE)
            return [packet for ready in resampled for packet in self._encoded(ready)]
        except (av.FFmpegError, ValueError, OSError) as error:
            raise EncodeError(f"the audio encoder failed: {reason(error)}") from error

    def _encoded(self, frame: AudioFrame) -> list[Encoded]:
        assert self._offset is not None
        frame.pts = self._given + self._offset
        frame.time_base = Fraction(1, _RATE)
        self._given += frame.samples
        return [
            Encoded.of("audio", packet)
            for packet in self._stream.encode(frame)
            if packet.pts is not None and packet.dts is not None
        ]
