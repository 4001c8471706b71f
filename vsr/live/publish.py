"""From upscaled frames to packets in the queues of all sinks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from vsr.live.frame import StreamFrame
from vsr.live.sinks import LiveSink
from vsr.media.live.audio import AudioEncoder
from vsr.media.live.capture import Captured
from vsr.media.live.encoder import EncoderOptions, LiveEncoder
from vsr.media.live.packets import Encoded, Program

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_DEFAULT_RATE = Fraction(30)


class Publisher:
    """Encodes once for all sinks. A change of size, colour or rate, or sound that appears, begins a new program."""

    def __init__(self, options: EncoderOptions) -> None:
        self.sinks: Sequence[LiveSink] = ()
        self.described = ""
        self._options = options
        self._lock = threading.Lock()
        self._keyframe = threading.Event()
        self._encoder: LiveEncoder | None = None
        self._key: tuple[object, ...] = ()
        self._program: Program | None = None
        self._number = 0
        self._audio: AudioEncoder | None = None

    def want_keyframe(self) -> None:
        """A sink begins anew: the next frame is to be one it can begin with."""
        self._keyframe.set()

    def video(self, captured: Captured, upscaled: StreamFrame) -> None:
        """Encode a frame and hand it out. Raises ConfigError, EncoderUnavailableError, EncodeError."""
        encoder, program = self._encoder_for(captured, upscaled)
        keyframe = self._keyframe.is_set()
        self._keyframe.clear()
        self._hand_out(encoder.encode(upscaled.frame, captured.at, keyframe=keyframe), program)

    def audio(self, frame: AudioFrame, ticks: int) -> None:
        """Encode sound and hand it out. Raises EncodeError."""
        with self._lock:
            self._audio = self._audio or AudioEncoder()
            audio, program = self._audio, self._program
        packets = audio.push(frame, ticks, program.number if program is not None else 0)
        if program is not None and program.audio is not None:
            self._hand_out(packets, program)

    def flush(self) -> None:
        """Hand out what the encoder still holds."""
        if self._encoder is not None and self._program is not None:
            self._hand_out(self._encoder.flush(), self._program)

    def _hand_out(self, packets: Sequence[Encoded], program: Program) -> None:
        for packet in packets:
            for sink in self.sinks:
                sink.offer(packet, program)

    def _sound(self, captured: Captured) -> AudioEncoder | None:
        with self._lock:
            if captured.has_audio:
                self._audio = self._audio or AudioEncoder()
            return self._audio

    def _encoder_for(self, captured: Captured, upscaled: StreamFrame) -> tuple[LiveEncoder, Program]:
        frame = upscaled.frame
        rate = captured.frame_rate or _DEFAULT_RATE
        key = (frame.width, frame.height, frame.color, captured.sar, rate)
        audio = self._sound(captured)
        if self._encoder is None or key != self._key:
            self.flush()
            self._number += 1
            self._encoder = LiveEncoder(self._options, frame, rate, captured.sar, self._number)
            self._key = key
            self.described = self._encoder.described
            self._program = None
        elif self._program is not None and (self._program.audio is None) != (audio is None):
            self._number += 1
            self._encoder.program = self._number
            self._keyframe.set()
            self._program = None
        if self._program is None:
            self._program = Program(
                self._number, self._encoder.template, audio.template if audio is not None else None
            )
        return self._encoder, self._program
