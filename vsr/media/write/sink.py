"""Open an output of any kind, and write frames to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.files.checks import check_writable
from vsr.files.whole import OutputFile, check_unwritten
from vsr.media.types import Carried, Sink, SinkCounters, SinkOptions
from vsr.media.write.containers import NULL, STDOUT, Container
from vsr.media.write.copy_plan import CopyPlan, plan_copy
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.encoding import Encoding
from vsr.media.write.endings import EndsOnce
from vsr.media.write.images import is_picture_output, open_pictures
from vsr.media.write.mux import Muxer
from vsr.media.write.targets import OutputNull, OutputPipe, Target


def open_sink(
    url: str,
    options: SinkOptions,
    carried: Carried,
    info: VideoInfo,
    *,
    dry: bool = False,
    called: str | None = None,
) -> Sink:
    """Open an output for frames that `info` describes; other streams are copied as `carried` says.

    url: a file whose ending names the container or picture format, a numbered sequence (`out/%06d.png`), `-` for standard
    output (NUT with raw pictures; Y4M where `container_format` is "yuv4mpegpipe") or `null:`, which counts and forgets. info:
    size, format, colour, sample aspect ratio and rotation of the frames `write` will be given, before `options.size`; its
    time_base is the source's. dry: only look at the output, and make nothing. called: the output's name in messages, None
    for its url.

    Nothing lies under the final name before `finish`. Raises ConfigError for options that cannot work and for outputs that
    exist, EncoderUnavailableError, EncodeError for what the container refuses, and FileError where the system does.
    """
    if is_picture_output(url, info, options):
        return open_pictures(url, options, carried, info)
    if url == NULL and options.encoder is None and options.container_format is None:
        return NullSink()
    return VideoSink(url, options, carried, info, dry=dry, called=called)


class NullSink(EndsOnce):
    """Counts frames and drops them, to measure a pipeline without an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.name = NULL
        self.encoder: str | None = None
        self.counters = SinkCounters()

    def write(self, frame: Frame) -> None:
        self._check_open()
        self.counters.frames += 1

    def _finish(self) -> Path | None:
        return None

    def _keep_part(self) -> Path | None:
        return None

    def _abandon(self) -> None:
        """Nothing was kept."""


class VideoSink(EndsOnce):
    """A video file, pipe or encoded nothing. See `vsr.media.types.Sink`."""

    def __init__(
        self,
        url: str,
        options: SinkOptions,
        carried: Carried,
        info: VideoInfo,
        *,
        dry: bool = False,
        called: str | None = None,
    ) -> None:
        super().__init__()
        self.name = "standard output" if url == STDOUT else called or url
        self.counters = SinkCounters()
        path = None if url in (STDOUT, NULL) else Path(url)
        if path is not None:
            check_writable(path, overwrite=options.overwrite)
            if dry:
                check_unwritten(path)
        encoding = self._encoding = Encoding(url, options, carried, info)
        self.encoder: str | None = encoding.encoder
        container, carried, template = encoding.container, encoding.carried, encoding.template
        _check_container(container, template, carried)
        copied = plan_copy(
            carried.copied,
            container,
            template.add_to,
            url if path is None else Path(self.name).name,
            converts=options.convert_streams,
        )
        self.notes, self.warnings = encoding.notes, encoding.warnings
        self.notes += copied.notes
        self.warnings += [*copied.warnings, *encoding.lost]
        self._target = _target(None if dry else path, url == STDOUT and not dry)
        try:
            self._muxer = Muxer(self._target, container, template, copied, carried, self.warnings)
        except BaseException:
            self._target.drop()
            raise

    def write(self, frame: Frame) -> None:
        """Encode one frame and mux the finished packets, copied ones included. Raises EncodeError or FileError."""
        self._check_open()
        self._mux(self._encoding.encode(frame))
        self.counters.frames += 1

    @property
    def template(self) -> Template:
        """The template of the video's packets."""
        return self._encoding.template

    def write_parts(self, packets: Iterable[Encoded], first: Fraction, shelved: Iterator[Fraction]) -> None:
        """Instead of frames: mux the packets of all pictures, as `PartSink`s of the same output encoded them.

        first: when the source shows the first picture, in seconds of its time. shelved: puts copied packets on the shelf, and
        yields how far they reach, in the same time. Raises EncodeError or FileError, and what the two iterators raise.
        """
        self._check_open()
        clock = self._encoding.clock
        clock.settle(first)
        there: Fraction | None = first
        for packet in packets:
            while there is not None and there + clock.shift <= packet.dts * packet.time_base:
                there = next(shelved, None)
            self._mux([packet])
            self.counters.frames += 1
        for _ in shelved:
            self._muxer.copy(clock.shift)

    def _mux(self, packets: list[Encoded]) -> None:
        """Write packets of the video, and those copied that came meanwhile."""
        for packet in packets:
            self._muxer.mux(packet)
        self._muxer.copy(self._encoding.clock.shift)
        self._count()

    def _count(self) -> None:
        self.counters.packets = self._muxer.frames
        self.counters.video_bytes = self._muxer.video_bytes
        self.counters.bytes = self._target.bytes

    def _finish(self) -> Path | None:
        return self._whole(self._commit)

    def _commit(self) -> Path | None:
        if isinstance(self._target, OutputFile):
            self.on_whole(self._target.part.stat())
        return self._target.commit()

    def _keep_part(self) -> Path | None:
        return self._whole(self._target.keep)

    def _whole(self, end: Callable[[], Path | None]) -> Path | None:
        """Drain encoder and shelf, write the trailer, end the target.

        Raises EncodeError or FileError, with nothing left behind.
        """
        try:
            self._mux(self._encoding.flush())
            self._muxer.close()
            self._count()
            return end()
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self._target.drop()
        self._muxer.discard()
        self._encoding.drop()


def _target(path: Path | None, is_pipe: bool) -> Target:
    """The target of the bytes: a file, standard output, or nothing."""
    return OutputFile(path) if path else OutputPipe() if is_pipe else OutputNull()


def _check_container(container: Container, video: Template, carried: Carried) -> None:
    """Raise ConfigError where the container cannot hold the encoder's stream, before anything is created."""
    nothing = OutputNull()
    try:
        muxer = Muxer(nothing, container, video, CopyPlan(), carried, [])
    finally:
        nothing.drop()
    muxer.discard()
