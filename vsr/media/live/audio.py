"""Sound beside the pictures: brought to one form whatever the source has, so that every sink takes it and a reconnect
changes nothing."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec.context import Flags

from vsr.core.errors import EncodeError, reason
from vsr.media.live.timeline import TICKS, TIME_BASE
from vsr.media.write.encoded import Encoded, Template, nowhere

_RATE = 48_000
_SAMPLES = 1024
_BIT_RATE = 128_000
# FFmpeg's swresample moves sound to its times. It stretches by up to 6 %, which corrects an offset within a second. A gap of
# more than 0.15 s is filled with silence, and an overlap of that length is left out. It always resamples, because starting to
# resample is a jump.
_BACK_IN_S = 1
_IN_TIME = {
    "async": "1",
    "flags": "res",
    "min_comp": "0.001",
    "max_soft_comp": "0.06",
    "comp_duration": str(_BACK_IN_S),
    "min_hard_comp": "0.15",
}
# A longer gap is not filled.
_GAP_S = 1.0
# The rate of the times is taken from the last seconds.
_LOOKED_BACK_S = 3.0


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
        # For each frame: its time, and its time by the number of samples alone. In seconds.
        self._times: deque[tuple[float, float]] = deque()
        self._next_s = self._step_s = self._lead_s = 0.0
        # The end of the given sound, in samples.
        self._end = 0

    def push(self, frame: AudioFrame, ticks: int) -> list[Encoded]:
        """Packets that are ready, after a decoded frame that begins at `ticks` of the timeline. Raises EncodeError."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        off_s = ticks / TICKS - self._next_s
        begins_anew = self._resampler is None or form != self._form or off_s > _GAP_S
        if self._resampler is None or begins_anew:
            self._resampler = AudioResampler("fltp", "stereo", _RATE, frame_size=_SAMPLES, options=_IN_TIME)
            self._form = form
        if begins_anew or abs(off_s) > float(_IN_TIME["min_hard_comp"]):
            self._times.clear()
        self._look_at_rate(ticks / TICKS, frame.samples / (frame.sample_rate or _RATE))
        frame.pts = ticks + round(self._lead_s * TICKS)
        if begins_anew:
            # The first time is taken unchanged. Later samples that would go back in time are left out.
            frame.pts = max(frame.pts, -(-self._end * TICKS // _RATE))
        frame.time_base = TIME_BASE
        try:
            resampled = self._resampler.resample(frame)
            return [packet for ready in resampled for packet in self._encoded(ready)]
        except (av.FFmpegError, ValueError, OSError) as error:
            raise EncodeError(f"the audio encoder failed: {reason(error)}") from error

    def _look_at_rate(self, time: float, duration_s: float) -> None:
        """Times that steadily run off are given earlier, by as much as swresample would lag behind them."""
        even = self._times[-1][1] + self._step_s if self._times else 0.0
        self._times.append((time, even))
        self._next_s, self._step_s = time + duration_s, duration_s
        if even - self._times[0][1] >= _LOOKED_BACK_S:
            first, even_first = self._times.popleft()
            lead_s = ((time - first) / (even - even_first) - 1) * _BACK_IN_S
            self._lead_s += (lead_s - self._lead_s) * min(1.0, duration_s / _BACK_IN_S)

    def _encoded(self, frame: AudioFrame) -> list[Encoded]:
        assert frame.pts is not None
        frame.pts = max(frame.pts, self._end)
        frame.time_base = Fraction(1, _RATE)
        self._end = frame.pts + frame.samples
        return [
            Encoded.of("audio", packet)
            for packet in self._stream.encode(frame)
            if packet.pts is not None and packet.dts is not None
        ]
