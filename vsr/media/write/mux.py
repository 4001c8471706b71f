"""Puts packets into a container: the video's, from any encoder, and the copied ones beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Any

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext

from vsr.core.errors import ConfigError, EncodeError, FileError
from vsr.files.checks import os_error
from vsr.files.whole import OutputFile
from vsr.media.ffmpeg_log import said_during
from vsr.media.types import Carried
from vsr.media.write.animation import muxer_options
from vsr.media.write.containers import Container, containers_of
from vsr.media.write.convert import Converter
from vsr.media.write.copied_packets import PacketCopier
from vsr.media.write.copy import (
    add_copy,
    attach_cover,
    copy_container_facts,
    describe,
    kept_stream_metadata,
    muxer_reason,
)
from vsr.media.write.copy_plan import CopyPlan
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.matroska import WEBM_STEREO_MODES, TrackElements, amend_tracks
from vsr.media.write.targets import OutputNull, Target

if TYPE_CHECKING:
    from av.stream import Stream


_IO_BYTES = 1 << 18
_FORMAT_TAKES_EQUAL_TIMES = 0x20000  # AVFMT_TS_NONSTRICT
_LATE_S = 0.1
_MAX_MOVIE_TIMESCALE = (1 << 31) - 1


@dataclass(slots=True)
class _LeftOut:
    """Packets of a copied stream that the muxer could make nothing of."""

    what: str
    first_s: float
    reason: str
    count: int = 0


class Muxer:
    """One output being written, from its header to its trailer."""

    def __init__(
        self,
        target: Target,
        container: Container,
        video: Template,
        copied: CopyPlan,
        carried: Carried,
        warnings: list[str],
    ) -> None:
        """Write the header. video: of what `mux` will be given. warnings: gets sentences for the user, until the end.

        Raises ConfigError where the container cannot hold the video, EncodeError, FileError.
        """
        self.video_bytes = 0
        self.frames = 0
        self._warnings = warnings
        self._target = target
        self._format = container
        self._template = video
        self._copied = copied
        self._carried = carried
        self._copier: PacketCopier | None = None
        self._streams: dict[int, Stream] = {}
        self._left_out: dict[int, _LeftOut] = {}
        self._elements: dict[int, TrackElements] = {}
        self._converters: dict[int, Converter] = {}
        self._begun: set[int] = set()
        # A pipe cannot seek, so its written bytes are final.
        self._amends = container.is_matroska and isinstance(target, OutputFile)
        try:
            self._container = av.open(
                target,
                "w",
                format=container.format,
                container_options=self._muxer_options(),
                buffer_size=_IO_BYTES,
            )
            self._video = video.add_to(self._container)
            self._add_others()
            self._container.start_encoding()
        except (av.FFmpegError, ValueError, OSError) as error:
            raise self._refused(error) from error

    def _muxer_options(self) -> dict[str, str]:
        container = self._format
        options = dict(container.muxer_options)
        if container.is_mov:
            # Edit lists, which hold start times, count in the movie's own ticks: they must fit the ticks of all streams.
            scale = self._timescale()
            for stream in self._copied.streams:
                if stream.type == "audio" and stream.time_base:
                    joined = lcm(scale, stream.time_base.denominator)
                    scale = joined if joined <= _MAX_MOVIE_TIMESCALE else scale
            options["movie_timescale"] = str(scale)
        if container.format == "yuv4mpegpipe":
            options["strict"] = "-1"  # for more than 8 bits
        tags = self._carried.picture_tags
        if tags is not None and tags.plays is not None:
            options |= muxer_options(container.format, tags.plays) or {}
        return options

    def _timescale(self) -> int:
        """MP4's ticks a second for the video: FFmpeg doubles those below 10,000."""
        scale: int = self._template.time_base.denominator
        while scale < 10000:
            scale *= 2
        return scale

    def _add_others(self) -> None:
        container, carried = self._format, self._carried
        # Attached files come last: Matroska numbers its tracks without them.
        attached = {s.index for s in self._copied.streams if s.type == "attachment"} | set(
            self._copied.covers
        )
        for stream in sorted(self._copied.streams, key=lambda s: s.index in attached):
            if stream.index in self._copied.covers:
                attach_cover(self._container, stream, self._copied.covers[stream.index])
            else:
                encoder = self._copied.converted.get(stream.index)
                copy = self._streams[stream.index] = add_copy(self._container, stream, container, encoder)
                if encoder is not None:
                    self._converters[stream.index] = Converter(stream, copy)
                self._note_elements(copy, self._language(stream), delays=stream.type == "audio")
        if carried.container is not None:
            self._warnings += copy_container_facts(
                carried.container, self._container, container, -carried.start_offset, carried.end
            )
        self._video.disposition = Disposition.default
        if carried.stream is not None:
            kept, lost = kept_stream_metadata(dict(carried.stream.metadata), container)
            self._video.metadata.update(kept)
            if lost:
                self._warnings.append(
                    f"video stream metadata {', '.join(sorted(lost))} is left out: {container.format} has no place for it"
                )
            # FFmpeg decodes one layer, which is one eye of a stereo picture.
            self._video.disposition = carried.stream.disposition & ~Disposition.multilayer
        language = self._language(carried.stream) if carried.stream is not None else TrackElements()
        self._note_elements(
            self._video, replace(language, sar=self._template.sar, projection=self._projection())
        )
        if self._template.alpha and container.is_matroska:
            self._video.metadata["alpha_mode"] = "1"

    def _language(self, stream: Stream) -> TrackElements:
        """A language that three letters do not say."""
        tag = self._carried.languages.get(stream.index, "")
        if "-" in tag and not self._amends:
            short = stream.metadata.get("language", "und")
            self._warnings.append(
                f"language {tag} of {describe(stream)} becomes {short}: {self._format.format} is written so (.mkv keeps it)"
            )
        return TrackElements(language=tag)

    def _projection(self) -> bytes:
        """Matroska's element for pictures around the viewer. Its muxer writes the layout for two eyes itself."""
        immersive = self._carried.immersive
        if immersive is None:
            return b""
        lost = immersive
        container, mode = self._format, immersive.stereo_mode
        holds = mode in WEBM_STEREO_MODES if container.format == "webm" else container.is_matroska
        if holds and mode != "mono":
            self._video.metadata["stereo_mode"] = mode
            lost = replace(lost, stereo_mode="mono")
        if self._amends:
            lost = replace(lost, projection="rectangular")
        if str(lost):
            self._warnings.append(
                f"that it is {lost} is left out: {container.format} is written without (.mkv keeps it)"
            )
        return immersive.element

    def _note_elements(self, track: Stream, elements: TrackElements, *, delays: bool = False) -> None:
        """Make room for the final elements in the header of a Matroska track. delays: the track's delay becomes known later."""
        if not self._amends or (elements == TrackElements() and not delays):
            return
        self._elements[track.index] = elements
        track.metadata["title"] = track.metadata.get("title", "") + elements.padding

    def _refused(self, error: BaseException) -> ConfigError | EncodeError | FileError:
        if self._target.error is not None:
            return self._failed(self._target.error)
        container, codec = self._format, self._template.codec
        if container.is_mov and not self._target.seekable():
            return ConfigError(
                f"{container.format} cannot be written to standard output, which has no seeking",
                hint="name the format nut or matroska, or write to a file",
            )
        why = muxer_reason(error)
        if isinstance(error, av.FFmpegError):
            # FFmpeg's error is often only "invalid argument": the reason is in its log.
            context = self._template.stream.codec_context
            assert isinstance(context, VideoCodecContext)
            looks = context.width, context.height, context.pix_fmt, context.framerate
            said = said_during(_write_header, container.format, self._template.encoder, looks)
            why = said[-1].partition(". Set -strict")[0] if said else why
        return ConfigError(
            f"{container.format} cannot hold {codec} from encoder {self._template.encoder}: {why}",
            hint=f"outputs that hold {codec} end in {', '.join(containers_of(codec)) or '.nut'}",
        )

    def mux(self, packet: Encoded) -> None:
        """Write a packet of the video, whose time is the output's. Raises EncodeError or FileError."""
        self.frames += 1
        self.video_bytes += packet.size
        with self._translated():
            self._container.mux_one(packet.taken(self._video))

    def copy(self, shift: Fraction) -> None:
        """Write what lies on the shelf. shift: seconds that all streams move by, always the same.

        Raises EncodeError or FileError.
        """
        if self._copier is None:
            self._copier = self._new_copier(shift)
        with self._translated():
            for packet in self._carried.shelf.take_all():
                self._copy(self._copier, packet)

    def _new_copier(self, shift: Fraction) -> PacketCopier:
        source = self._carried.container
        # vsr handles audio before zero; audio from Matroska is marked already.
        from_matroska = source is not None and "matroska" in source.format.name
        return PacketCopier(
            self._streams,
            shift,
            keeps_early_audio=self._amends and not from_matroska,
            strictly_rising=not self._container.format.flags & _FORMAT_TAKES_EQUAL_TIMES,
            from_zero=self._format.constant_rate,
        )

    def _copy(self, copier: PacketCopier, packet: Packet[Any]) -> None:
        index, stream = packet.stream_index, packet.stream
        prepared = copier.prepared(packet)
        if prepared is None:
            return
        if self._format.constant_rate and index not in self._begun:
            self._begun.add(index)
            self._tell_late(stream, prepared)
        converter = self._converters.get(index)
        try:
            for ready in (prepared,) if converter is None else converter.push(prepared):
                self._container.mux_one(ready)
        except av.FFmpegError as error:
            if self._target.error is not None:
                raise
            at = float((prepared.pts or prepared.dts or 0) * prepared.time_base)
            left_out = self._left_out.setdefault(index, _LeftOut(describe(stream), at, muxer_reason(error)))
            left_out.count += 1
            if self._carried.strict:
                raise EncodeError(
                    f"{self._carried.name}: damaged packet of {left_out.what} at {at:.3f} s: {left_out.reason}",
                    hint="leave out --strict to skip damaged packets",
                ) from error

    def _tell_late(self, stream: Stream, first: Packet[Any]) -> None:
        """Report sound that begins after the video."""
        at = float((first.pts or 0) * first.time_base)
        if stream.type == "audio" and at > _LATE_S:
            self._warnings.append(
                f"{describe(stream)} begins {at:.3f} s after the video, which {self._format.format} cannot say: it is "
                "early by that (.mkv and .mp4 keep it)"
            )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """FFmpeg's errors, and the system's errors that it did not report, as EncodeError or FileError."""
        try:
            yield
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from error
        if self._target.error is not None:
            raise self._failed(self._target.error)

    def _failed(self, error: BaseException) -> EncodeError | FileError:
        name = self._target.name.removeprefix("file:")
        if isinstance(self._target.error, OSError):
            return os_error(name, self._target.error)
        if self._target.error is not None:  # Ctrl-C
            raise self._target.error
        return EncodeError(
            f"writing {name} failed after {self.frames} frames: {muxer_reason(error)}",
            hint="try another container or encoder" if isinstance(error, av.FFmpegError) else None,
        )

    def close(self) -> None:
        """Write the trailer. Raises EncodeError or FileError; the file is then not whole."""
        for left in self._left_out.values():
            plural = "s" if left.count > 1 else ""
            self._warnings.append(
                f"{left.count} damaged packet{plural} of {left.what} left out, the first at {left.first_s:.3f} s: {left.reason}"
            )
        with self._translated():
            for converter in self._converters.values():
                for packet in converter.flush():
                    self._container.mux_one(packet)
            self._container.close()
        if self._amends:
            self._amend()

    def _amend(self) -> None:
        """Write the elements into the Matroska header that its muxer did not write."""
        assert isinstance(self._target, OutputFile)
        delays = self._copier.delays if self._copier is not None else {}
        tracks = {
            index + 1: replace(elements, delay_s=delays.get(index, Fraction(0)))
            for index, elements in self._elements.items()
        }
        self._target.amend(lambda file: amend_tracks(file, tracks))

    def discard(self) -> None:
        """Let go of the container without a trailer; the target must be closed already."""
        with contextlib.suppress(Exception):
            self._container.close()


def _write_header(container: str, encoder: str, looks: tuple[int, int, str | None, Fraction]) -> None:
    """Begin a file again that was refused, with a video of that width, height, pixel format and rate."""
    output = av.open(OutputNull(), "w", format=container)
    context = output.add_stream(encoder).codec_context
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.framerate = looks
    output.start_encoding()
