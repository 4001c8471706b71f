"""Encodes upscaled frames, and puts the packets into the queues of all sinks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from vsr.live.frame import StreamFrame
from vsr.live.sinks import LiveSink
from vsr.media.live.audio import AudioEncoder
from vsr.media.live.capture import Captured
from vsr.media.live.encoder import EncoderOptions, LiveEncoder
from vsr.media.live.program import Program
from vsr.media.write.encoded import Encoded

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

_DEFAULT_RATE = Fraction(30)
# Audio comes before the first picture, which takes longer. This number of its packets is kept until then.
_EARLY_PACKETS = 500


class Publisher:
    """Encodes once for all sinks. A change of size, colour or rate, or sound that appears, begins a new program."""

    def __init__(self, options: EncoderOptions, sinks: Sequence[LiveSink], keyframe: threading.Event) -> None:
        """keyframe: set by a sink that starts again. The next frame is then a keyframe."""
        self.described = ""
        self._options = options
        self._sinks = sinks
        self._lock = threading.Lock()
        self._keyframe = keyframe
        self._encoder: LiveEncoder | None = None
        self._key: tuple[object, ...] = ()
        self._program: Program | None = None
        # The program that audio is written to: the one whose first picture has gone out.
        self._running: Program | None = None
        self._number = 0
        self._audio: AudioEncoder | None = None
        self._early: deque[Encoded] = deque(maxlen=_EARLY_PACKETS)

    def video(self, captured: Captured, upscaled: StreamFrame) -> None:
        """Encode a frame and hand it out. Raises ConfigError, EncoderUnavailableError, EncodeError."""
        with self._lock:
            if captured.has_audio:
                self._audio = self._audio or AudioEncoder()
            audio = self._audio
        encoder, program = self._encoder_for(captured, upscaled, audio)
        keyframe = self._keyframe.is_set()
        self._keyframe.clear()
        packets = encoder.encode(upscaled.frame, captured.at, keyframe=keyframe)
        with self._lock:
            self._hand_out(packets, program)
            self._running = program
            if program.audio is not None:
                self._hand_out(list(self._early), program)
                self._early.clear()

    def audio(self, frame: AudioFrame, ticks: int) -> None:
        """Encode sound and hand it out. Raises EncodeError."""
        with self._lock:
            self._audio = self._audio or AudioEncoder()
            packets = self._audio.push(frame, ticks)
            if self._running is not None and self._running.audio is not None:
                self._hand_out(packets, self._running)
            else:
                self._early += packets

    def flush(self) -> None:
        """Hand out the packets that the encoder still holds."""
        if self._encoder is not None and self._program is not None:
            packets = self._encoder.flush()
            with self._lock:
                self._hand_out(packets, self._program)

    def _hand_out(self, packets: Sequence[Encoded], program: Program) -> None:
        for packet in packets:
            for sink in self._sinks:
                sink.offer(packet, program)

    def _encoder_for(
        self, captured: Captured, upscaled: StreamFrame, audio: AudioEncoder | None
    ) -> tuple[LiveEncoder, Program]:
        frame = upscaled.frame
        rate = captured.frame_rate or _DEFAULT_RATE
        key = (frame.width, frame.height, frame.color, captured.sar, rate)
        if self._encoder is None or key != self._key:
            self.flush()
            self._encoder = LiveEncoder(self._options, frame, rate, captured.sar)
            self._key = key
            self.described = self._encoder.described
            self._program = None
        elif self._program is not None and (self._program.audio is None) != (audio is None):
            self._keyframe.set()
            self._program = None
        if self._program is None:
            self._number += 1
            self._program = Program(
                self._number, self._encoder.template, audio.template if audio is not None else None
            )
        return self._encoder, self._program
