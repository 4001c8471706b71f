"""An input opened: its frames in presentation order, its other streams' packets, and what is known of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vsr.core.color import Color, Range
from vsr.core.errors import SourceOpenError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.media.address import DEFAULT_SEQUENCE_RATE, is_sequence, is_url, redacted
from vsr.media.frames.color import color_from_av, color_from_codec, default_chroma_location
from vsr.media.frames.deinterlace import Deinterlacer
from vsr.media.frames.hwaccel import (
    decodes_on_device,
    decoding_device,
    frame_on_device,
    on_host,
    stays_on_device,
)
from vsr.media.frames.planes import frame_from_av
from vsr.media.frames.side_data import FrameDetails, captions, frame_details, stream_details
from vsr.media.pictures.packets import SequenceTags, holds_pictures, tags_of_bytes
from vsr.media.read.decode import Decoder, check_range, stated_end, wanted_range
from vsr.media.read.opening import IN_SEGMENTS, open_container
from vsr.media.read.streams import (
    choose_copied,
    choose_stream,
    decoder_context,
    frame_rate,
    refuse_dolby_vision,
    refuse_encrypted,
)
from vsr.media.read.timestamps import Clock, time_of, without_silence
from vsr.media.read.uniform import Uniform
from vsr.media.types import Carried, ImageTags, Source, SourceCounters, SourceOptions

_FORMAT_HAS_NO_TIMES = 0x0080  # AVFMT_NOTIMESTAMPS: raw streams
# How far to step back when a container's index leads behind the wanted time; then its beginning.
_SEEK_BACK_S = (0, 10, None)


class FileSource:
    """A `Source` over one FFmpeg container."""

    def __init__(self, url: str, options: SourceOptions, *, is_image: bool = False) -> None:
        self.url = url
        self.options = options
        self.counters = SourceCounters()
        self.notes: list[str] = []
        self.carried = Carried(redacted(url), strict=options.strict)
        self.live = is_url(url) and not url.lower().startswith(("http://", "https://", "ftp://"))
        self._is_image = is_image
        self.has_tiles = False
        """Whether an image file is a grid of pictures FFmpeg gives one by one."""
        self._container: InputContainer | None = None
        self._frames: Iterator[VideoFrame] | None = None
        self._deinterlacer = Deinterlacer("off" if is_image else options.deinterlace)
        self._is_sequence = is_sequence(url)
        self._sequence: SequenceTags | None = None
        check_range(options)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # Opening

    def _open(self) -> None:
        rate = self.options.frame_rate
        device, why_not = decoding_device(self.options.hwaccel)
        self.notes += [why_not] if why_not else []
        self._container = open_container(self.url, frame_rate=rate, hwaccel=device)
        self._stream: VideoStream | None = choose_stream(
            self._container, self.options.video_stream, self.carried.name
        )
        self._details = stream_details(self._container, self._stream.index)
        refuse_encrypted(self._stream, self.carried.name)
        refuse_dolby_vision(self._details.dolby_vision, self.carried.name)
        self._made_times = bool(self._container.format.flags & _FORMAT_HAS_NO_TIMES) and not self._is_sequence
        self._rate = rate if rate and (self._made_times or self._is_sequence) else frame_rate(self._stream)
        chosen = choose_copied(self._container, self._stream, nothing=self._is_sequence or self._is_image)
        self.has_tiles = chosen.tiles
        self.notes += chosen.notes
        self._context = decoder_context(self._stream)
        self._context.thread_type = "SLICE" if self.options.strict else "AUTO"
        # Pictures cropped at the left by less than a SIMD register would come too wide otherwise.
        self._context.flags |= int(Flags.unaligned)
        self._context.thread_count = self.options.threads
        self._wanted = wanted_range(self._container, self.options, made_times=self._made_times)
        self.carried = replace(
            self.carried,
            container=self._container,
            stream=self._stream,
            copied=chosen.streams,
            start_offset=self._wanted.start or Fraction(0),
            end=self._wanted.end,
        )
        first = self._first_frame()
        if device and not decodes_on_device(device, self._context, first):
            self.notes.append(
                f"{self.options.hwaccel} does not decode {self._context.name}: the processor does"
            )
        self._describe(on_host(first), on_device=stays_on_device(first))

    def _decoder(self) -> Decoder:
        assert self._container is not None
        assert self._stream is not None
        return Decoder(
            self.url,
            self._container,
            self._stream,
            self.carried.copied,
            context=self._context,
            shelf=self.carried.shelf,
            counters=self.counters,
            strict=self.options.strict,
            live=self.live,
            wanted=self._wanted,
        )

    def _first_frame(self) -> VideoFrame:
        """Decode until there is a frame; `self._frames` then gives it and all after it."""
        for back in _SEEK_BACK_S if self._wanted.start is not None and not self._made_times else (None,):
            if self._wanted.start is not None and not self._made_times and not self._seek(back):
                continue
            self._decoding = self._decoder()
            frames = self._timed(self._decoding)
            first = next(frames, None)
            if first is not None and back is not None and self._begins_late(first):
                self.carried.shelf.take_all()
                self.counters.repaired_timestamps = self.counters.damaged_packets = 0
                self.counters.first_error = None
                continue
            break
        early = first
        kept = self._trimmed(itertools.chain([early] if early is not None else [], frames))
        first = next(kept, None)
        if first is None:
            raise self._nothing(early)
        self._frames = iter([first]) if self._is_image else itertools.chain([first], kept)
        return first

    def _seek(self, back: int | None) -> bool:
        """Go to a keyframe at or before the start; False where the container can't."""
        assert self._container is not None
        assert self._stream is not None
        assert self._wanted.start is not None
        origin = self._stream.start_time or 0
        target = origin
        if back is not None:
            target = max(
                origin, int((self._wanted.start - back) / (self._stream.time_base or Fraction(1, 1000)))
            )
        try:
            self._container.seek(target, stream=self._stream)
        except (av.FFmpegError, OSError, ValueError):
            return back is None
        self._context.flush_buffers()
        return True

    def _begins_late(self, first: VideoFrame) -> bool:
        assert self._stream is not None
        assert self._wanted.start is not None
        origin = self._stream.start_time
        return (origin is None or (first.pts or 0) > origin) and time_of(first) > self._wanted.start

    def _timed(self, decoder: Decoder) -> Iterator[VideoFrame]:
        assert self._container is not None
        assert self._stream is not None
        clock = Clock(
            self._stream.time_base or Fraction(1, 90000),
            self._rate,
            self.counters,
            made=self._made_times,
            live=self.live,
        )
        frames = clock.stamp(decoder)
        if self._container.format.name in IN_SEGMENTS:
            end = stated_end(self._container, self._wanted)
            return without_silence(frames, end, self.carried.name, self.notes, strict=self.options.strict)
        return frames

    def _trimmed(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        wanted = self._wanted
        for frame in frames:
            if wanted.start is not None and time_of(frame) < wanted.start:
                continue
            if wanted.end is not None and time_of(frame) >= wanted.end:
                self._decoding.done = True
                for _ in frames:  # the copied packets that still lie in the range
                    pass
                return
            self.counters.damaged_frames += frame.is_corrupt
            yield frame

    def _nothing(self, early: VideoFrame | None) -> SourceOpenError:
        """Why there is no frame; `early` is the first that decodes, outside the range asked for."""
        assert self._stream is not None
        codec = self._stream.codec_context.name if self._stream.codec_context else "unknown"
        start, duration = self.options.start_s, self.options.duration_s
        if early is not None and duration is not None:
            begin = start or 0
            return SourceOpenError(
                f"{self.carried.name}: no frame from {begin:g} s to {begin + duration:g} s",
                hint="its video begins later or ends earlier; `vsr probe` shows when",
            )
        if self._wanted.start is not None and not self.counters.first_error:
            return SourceOpenError(
                f"{self.carried.name}: no frame at or after {start:g} s",
                hint="start earlier; it ends before that",
            )
        why = f": {self.counters.first_error}" if self.counters.first_error else ""
        return SourceOpenError(
            f"{self.carried.name}: no frame of its {codec} video decodes{why}",
            hint="it may be encrypted, cut off, or only the header of a segmented video",
        )

    # Describing

    def _describe(self, first: VideoFrame, *, on_device: bool) -> None:
        assert self._container is not None
        assert self._stream is not None
        stream, context = self._stream, self._context
        codec = context.name
        details = frame_details(first, codec)
        if self._details.dolby_vision is None:
            refuse_dolby_vision(details.dolby_vision, self.carried.name)
        self._uniform = Uniform(first, context.name, self.counters, self.notes)
        self._format = self._uniform.format
        location = self._details.location or default_chroma_location(self._format, codec)
        if self._format.kind != "yuv" or self._format.log2_chroma != (1, 1):
            location = default_chroma_location(self._format, codec)
        self._fallback: Color = color_from_codec(context, location)
        is_picture = self._is_image or holds_pictures(self._container.format.name)
        if is_picture and self._format.kind == "gray" and not self._fallback.range:
            self._fallback = replace(self._fallback, range=Range.FULL)  # PGM and its like have no tag for it
        self.carried = replace(
            self.carried,
            mastering_display=details.mastering_display,
            content_light=details.content_light,
        )
        sar = stream.sample_aspect_ratio
        self.info = VideoInfo(
            width=first.width,
            height=first.height,
            format=self._format,
            color=color_from_av(first, self._format, fallback=self._fallback),
            sar=sar if sar and sar > 0 else Fraction(1),
            rotation=details.rotation or self._details.rotation,
            mirrored=details.mirrored,
            time_base=first.time_base or stream.time_base or Fraction(1, 1000),
            frame_rate=self._rate,
            codec=stream.codec_context.name if stream.codec_context else codec,
            num_frames_from_header=stream.frames or None,
            duration_s_from_header=None if self._made_times else self._duration_s(),
            is_image=self._is_image,
            on_device=on_device,
        )
        self._add_notes(first, details)
        if self._is_sequence:
            self._sequence = SequenceTags(self.url, self._file_number(first))
            self.set_image_tags(self._sequence.first.tags, *self._sequence.first.orientation)
        elif self._decoding.picture is not None and not self._is_image:
            found = tags_of_bytes(self._decoding.picture)
            self.set_image_tags(found.tags, *found.orientation)

    def _file_number(self, frame: VideoFrame) -> int:
        """Which file of a sequence a frame comes from, from 0: damaged ones before it leave a gap in its time."""
        return round(time_of(frame) * (self._rate or DEFAULT_SEQUENCE_RATE))

    def _duration_s(self) -> float | None:
        assert self._container is not None
        assert self._stream is not None
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / 1_000_000 if self._container.duration else None

    def _add_notes(self, first: VideoFrame, details: FrameDetails) -> None:
        if details.hdr10_plus:
            self.notes.append("HDR10+ dynamic metadata will be lost; the static HDR10 metadata stays")
        if details.dolby_vision or self._details.dolby_vision:
            self.notes.append("the Dolby Vision layer will be lost; the base layer stays")
        if self._made_times:
            rate = self._rate or DEFAULT_SEQUENCE_RATE
            self.notes.append(
                f"a raw stream has no timestamps: they are made for {float(rate):g} frames a second"
            )
        if "f16" in first.format.name or "f32" in first.format.name:
            self.notes.append(
                "floating point samples are brought to 16 bits; what lies outside 0 to 1 is clipped"
            )

    def set_image_tags(self, tags: ImageTags | None, rotation: int, mirrored: bool) -> None:
        """What Pillow read of a picture: its tags, and the orientation in them."""
        self.carried = replace(self.carried, image_tags=tags)
        self.info = replace(self.info, rotation=rotation, mirrored=mirrored)

    # Reading

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once. Leaving the loop early is fine; `close` frees what is held."""
        if self._frames is None:
            return
        frames, self._frames = self._frames, None
        for decoded in frames:
            if self._stays_on_device(decoded):
                yield self._frame(decoded)
                continue
            for frame in self._progressive(self._uniform.push(on_host(decoded))):
                yield self._frame(frame)
        for frame in self._deinterlacer.flush():
            yield self._frame(frame)
        self._finish_notes()

    def _progressive(self, frame: VideoFrame) -> list[VideoFrame]:
        was_active = self._deinterlacer.active
        ready = self._deinterlacer.push(frame)
        if self._deinterlacer.active and not was_active:
            self.notes.append("interlaced: deinterlaced with bwdif, one frame out for each one in")
        return ready

    def _stays_on_device(self, decoded: VideoFrame) -> bool:
        """Whether a frame needs nothing that is done on the host."""
        return (
            stays_on_device(decoded) and not self._deinterlacer.takes(decoded) and self._uniform.fits(decoded)
        )

    def _frame(self, decoded: VideoFrame) -> Frame:
        view = frame_on_device if decoded.sw_format else frame_from_av
        frame = view(decoded, index=self.counters.frames, fallback=self._fallback)
        self._uniform.note_color(frame.color)
        if (caption := captions(decoded, self._context.name)) is not None:
            frame.side["a53_cc"] = caption
        if self._sequence is not None:
            frame.side["image_tags"] = self._sequence.at(self._file_number(decoded))
        self.counters.frames += 1
        return frame

    def _finish_notes(self) -> None:
        counters = self.counters
        if counters.repaired_timestamps and not self._made_times:
            self.notes.append(
                f"{counters.repaired_timestamps} timestamps were missing or ran backwards and are repaired"
            )
        if counters.damaged_frames:
            self.notes.append(f"{counters.damaged_frames} frames are damaged: parts of them were made up")
        joined = self._decoding.discontinuities
        if joined is not None and joined.count:
            self.notes.append(f"the clock restarts or jumps {joined.count} times; time runs on without that")
        if self._sequence is not None:
            self.notes += self._sequence.notes()

    def close(self) -> None:
        """Free the file, the decoder and its threads. Frames already given stay valid. Closing twice is fine."""
        self._frames = None
        self._deinterlacer = Deinterlacer("off")
        container, self._container = self._container, None
        # PyAV's streams point into the container: none may outlive it.
        self._stream = None
        self.carried = replace(self.carried, container=None, stream=None, copied=())
        self.__dict__.pop("_decoding", None)
        self.__dict__.pop("_context", None)
        if container is not None:
            container.close()
