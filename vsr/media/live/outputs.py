"""The outputs of a live stream: they write packets without encoding them again."""

from __future__ import annotations

import contextlib
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import ConfigError, EncodeError
from vsr.media.live.bridge import Bridge
from vsr.media.live.connection import Connection
from vsr.media.live.destinations import HLS, NULL, Destination
from vsr.media.live.files import LiveFiles, RecordingFile
from vsr.media.live.program import Program
from vsr.media.live.refusals import refused_output
from vsr.media.live.segments import MUXER, Segments
from vsr.media.rational import fraction
from vsr.media.write.encoded import Encoded


class Output:
    """One connection, or one file, from its header to its end. Every call may block: it belongs on a sink's own thread.

    The output of a server connects at once, before its program is known. Raises OutputLostError; EncodeError if another attempt
    cannot help.
    """

    def __init__(self, destination: Destination, clock: Clock = SYSTEM_CLOCK) -> None:
        self.destination = destination
        self.bytes = 0
        self.frames = 0
        self._opened_at = 0.0
        self._connection: Connection | None = None
        self._bridge: Bridge | None = None
        self._files: LiveFiles | None = None
        self._segments: Segments | None = None
        self._clock = clock
        self._container: OutputContainer | None = None
        self._streams: dict[str, Stream] = {}
        self._began: Fraction | None = None
        # (Frames before the last keyframe, bytes written then): more bytes mean that those frames are written, too.
        self._before_keyframe = (0, 0)
        self._on_disk = 0
        try:
            if destination.is_server and not destination.bridged:
                self._connection = Connection(destination.url)
        except OSError as error:
            raise refused_output(destination.url, error) from error

    def open(self, program: Program, number: int = 1) -> None:
        """Connect, or make the file. number: which one of the run, of a recording's files."""
        destination = self.destination
        self._opened_at = time.monotonic()
        try:
            if destination.format == NULL:
                return
            if self._connection is not None:
                self._connection.open(destination.format, destination.options, program)
                return
            self._container = self._opened(program, number)
            for kind, template in (("video", program.video), ("audio", program.audio)):
                if template is not None:
                    self._streams[kind] = template.add_to(self._container)
            self._container.start_encoding()
            self._check_files()
        except ConfigError as error:  # another run writes it
            raise EncodeError(error.message, hint=error.hint) from error
        except (av.FFmpegError, ValueError, OSError) as error:
            raise refused_output(destination.url, self._explained(error)) from error

    def _opened(self, program: Program, number: int) -> OutputContainer:
        destination = self.destination
        target: Any = destination.url
        recordings = destination.recordings
        if recordings is not None:
            if recordings.many and number == 1:
                recordings.clear()
            recording = RecordingFile(recordings.next(number))
            self._files, target = recording, recording.target()
            recordings.remove_old(time.time())
        elif destination.format == HLS:
            path = Path(target)
            path.parent.mkdir(exist_ok=True)
            context = program.video.stream.codec_context
            assert isinstance(context, VideoCodecContext)
            self._files = self._segments = Segments(path, fraction(context.framerate), self._clock)
            options = {**destination.options, **self._segments.options}
            return av.open(
                self._segments.pattern, "w", format=MUXER, options=options, io_open=self._segments.open
            )
        else:
            self._bridge = Bridge(target, reads=False)
            target = self._bridge.pipe
        return av.open(target, "w", format=destination.format, options=destination.options)

    def abandon(self) -> None:
        """Let whatever waits for the other side fail. From any thread."""
        if self._connection is not None:
            self._connection.kill()
        if self._bridge is not None:
            self._bridge.kill()

    @property
    def connected(self) -> bool:
        """Whether the server is connected, as far as that is known."""
        return self._bridge is None or self._bridge.connected

    @property
    def kept(self) -> int:
        """Frames that are on the disk, or sent to a connected server, as far as that is known."""
        if self._segments is not None:
            return self._segments.frames
        if self._files is not None:
            return self._on_disk
        return self.frames if self.connected else 0

    @property
    def seconds(self) -> float:
        """Seconds of video written so far."""
        return self._seconds if self._began is not None else 0.0

    _seconds = 0.0

    def write(self, packet: Encoded) -> None:
        """Write a packet; those before the first keyframe go nowhere."""
        at = packet.pts * packet.time_base
        if self._began is None:
            if packet.kind != "video":
                return
            self._began = at
        if packet.kind == "video":
            if packet.keyframe and self._files is not None:
                self._before_keyframe = self.frames, self._files.bytes
                self._files.check_there()
            self.frames += 1
            self._seconds = float(at - self._began)
        self.bytes += packet.size
        if self._connection is not None:
            self._connection.write(packet)
            return
        stream = self._streams.get(packet.kind)
        if self._container is None or stream is None or at < self._began:
            return
        # A recording begins at zero; other outputs continue in time across connections.
        zero = self._began if self.destination.recordings is not None else Fraction(0)
        shared = packet.shared(stream, -round(zero / packet.time_base))
        if self._segments is not None and packet.kind == "video":
            shared.is_keyframe = self._segments.begins(packet)
        try:
            self._container.mux_one(shared)
            self._check_files()
            if not self.connected and time.monotonic() - self._opened_at > self.destination.timeout_s:
                raise TimeoutError
        except (av.FFmpegError, ValueError, OSError) as error:
            raise refused_output(self.destination.url, self._explained(error)) from error

    def _check_files(self) -> None:
        """Raise OSError if a file was not written; note what is on the disk."""
        if self._files is None:
            return
        if self._files.error is not None:
            raise self._files.error
        frames, num_bytes = self._before_keyframe
        if self._files.bytes > num_bytes:
            self._on_disk = frames

    def _explained(self, error: Exception) -> Exception:
        if self._files is not None and self._files.error is not None:
            return self._files.error
        if self._bridge is not None and self._bridge.said:
            return OSError(0, self._bridge.said)
        return error

    def close(self, *, last: bool = True) -> None:
        """Write the end. last: no other output into that destination follows.

        Raises OutputLostError where it was not written, EncodeError.
        """
        container, self._container = self._container, None
        try:
            if self._connection is not None:
                self._connection.close()
            if container is not None:
                container.close()
            if last and self._segments is not None:
                self._segments.end()
            self._check_files()
            self._on_disk = self.frames
        except (av.FFmpegError, ValueError, OSError) as error:
            raise refused_output(self.destination.url, self._explained(error)) from error
        finally:
            self._let_go(wait_s=1.0)

    def discard(self) -> None:
        """Close the files unfinished. A recording without frames is removed."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(Exception):
                container.close()
        self._let_go()

    def _let_go(self, wait_s: float = 0.0) -> None:
        if self._connection is not None:
            self._connection.let_go()
        if self._bridge is not None:
            self._bridge.close(wait_s=wait_s)
        if self._files is not None:
            self._files.close(remove=self.destination.recordings is None or not self._on_disk)
