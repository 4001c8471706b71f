"""The frames of an opened input, in presentation order."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from av.stream import Discard
from av.video.frame import VideoFrame

from vsr.core.errors import DecodeError, SourceOpenError
from vsr.core.frame import Frame, Reset
from vsr.media.address import DEFAULT_SEQUENCE_RATE
from vsr.media.frames.crop import Crop, cropped
from vsr.media.frames.deinterlace import Deinterlacer
from vsr.media.frames.hwaccel import decodes_on_device, frame_on_device, on_host, stays_on_device
from vsr.media.frames.linear import IN_DECODER, LINEAR_CODECS, encoded_as_srgb
from vsr.media.frames.planes import frame_from_av
from vsr.media.frames.side_data import captions, frame_details
from vsr.media.frames.telecine import InverseTelecine
from vsr.media.pictures.packets import FoundTags, SequenceTags, tags_of_bytes
from vsr.media.rational import fraction
from vsr.media.read.cut_off import cut_off
from vsr.media.read.decode import Decoder
from vsr.media.read.describe import is_progressive, notes_on, retimed, told_parity, untagged_color, video_info
from vsr.media.read.languages import languages_of
from vsr.media.read.opened import Opened
from vsr.media.read.streams import refuse_dolby_vision
from vsr.media.read.time_range import TimeRange, clock_origin
from vsr.media.read.timestamps import time_of
from vsr.media.read.uniform import Uniform
from vsr.media.read.wanted import WantedFrames
from vsr.media.types import Carried, PacketShelf, Source, SourceCounters, SourceOptions

# Most frames in progress in a decoder: one for each thread, the waiting ones, and the look-ahead.
_MOST_THREADS = 16
_MOST_AHEAD = 16 + 8


class FileSource:
    """A `Source` over an opened input, which it closes.

    first: when its first frame is shown, in seconds of the input's time.
    """

    def __init__(
        self,
        opened: Opened,
        options: SourceOptions,
        *,
        tags: FoundTags | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Decode the first frame. tags, warnings: of a picture file, found by the caller.

        Raises SourceOpenError, and what iterating raises; `opened` is closed then.
        """
        self.counters = SourceCounters()
        self.notes = list(opened.notes)
        shelf = PacketShelf()
        try:
            wanted = WantedFrames(opened, options, shelf=shelf, counters=self.counters, notes=self.notes)
            if opened.device and not decodes_on_device(opened.device, opened.context, wanted.first):
                self.notes.append(
                    f"{options.hwaccel} does not decode {opened.context.name}: the processor does"
                )
            first = on_host(wanted.first)
            self.first = time_of(first)
            details = frame_details(first, opened.context.name)
            if opened.details.dolby_vision is None:
                refuse_dolby_vision(details.dolby_vision, opened.name)
            self._uniform = Uniform(first, opened.context.name, self.counters, self.notes, wanted.starts)
            self._untagged = untagged_color(opened, self._uniform.format)
            self._crop = opened.details.crop.within(first.width, first.height, self._uniform.format)
            self.notes += notes_on(opened, first, details)
            told = told_parity(opened.context)
            mode = "off" if opened.is_picture else options.deinterlace
            self._deinterlaces = mode != "off"
            self._deinterlacer: Deinterlacer | InverseTelecine = (
                InverseTelecine(told) if mode == "telecine" else Deinterlacer(mode, told)
            )
            self._rate = opened.rate or DEFAULT_SEQUENCE_RATE
            self._sequence = (
                SequenceTags(opened.url, self._file_number(first)) if opened.is_sequence else None
            )
            if self._sequence is not None:
                tags = self._sequence.first
            elif wanted.decoder.picture is not None and not opened.is_picture:
                tags = tags_of_bytes(wanted.decoder.picture)
            self.info = video_info(
                opened,
                first,
                details,
                self._uniform.format,
                self._untagged,
                tags,
                on_device=stays_on_device(wanted.first),
            )
            if self._crop != Crop():
                width, height = self._crop.size(first.width, first.height)
                self.info = replace(self.info, width=width, height=height)
                self.notes.append(f"cropped from {first.width}x{first.height}, as the container says")
            rate = Fraction(1)
            if self._deinterlacer.takes(first):
                rate = Fraction(self._deinterlacer.rate)
                self._tell_interlaced()
            self.info = retimed(self.info, self._deinterlacer.ticks, rate)
        except BaseException:
            opened.close()
            raise
        self.carried = Carried(
            opened.name,
            container=opened.container,
            stream=opened.stream,
            copied=opened.copied,
            shelf=shelf,
            mastering_display=details.mastering_display,
            content_light=details.content_light,
            immersive=opened.details.immersive,
            languages=languages_of(opened.container),
            picture_tags=tags.tags if tags is not None else None,
            start_offset=opened.wanted.start or Fraction(0),
            origin=Fraction(0) if opened.made_times else clock_origin(opened.container),
            end=opened.wanted.end,
            strict=options.strict,
            warnings=warnings,
        )
        self._options = options
        self._decoder: Decoder | None = wanted.decoder
        self._starts = wanted.starts
        self._codec = opened.context.name
        self._opened: Opened | None = opened
        self._frames = self._read(wanted, opened)

    def _file_number(self, frame: VideoFrame) -> int:
        """The number of the sequence's file that a frame comes from, from 0. Damaged files before it leave a gap in time."""
        return round(time_of(frame) * self._rate)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once. Leaving the loop early is allowed; `close` frees the memory."""
        frames, self._frames = self._frames, iter(())
        return frames

    def peek(self) -> Frame | None:
        """See `Source`."""
        first = next(self._frames, None)
        if first is not None:
            self._frames = chain([first], self._frames)
        return first

    def part(
        self, seek: int | None, begin: int | None, end: int | None, lead: int | None = None
    ) -> Iterator[Frame]:
        """Only the frames with begin <= pts < end, each the same as when all frames are read. Call it instead of iterating.

        Times are ticks of the stream's time base, None is open. lead: where the frames begin that come before these, marked as
        `Frame.warms_up`; None for `begin`. seek: the keyframe to begin decoding at, early enough for filters that need frames
        before, None for the beginning. If no filter does and a keyframe is shown where the frames begin, decoding begins there
        instead. Nothing is put on the shelf. Raises as iterating does.
        """
        frames: Iterator[Frame] = iter(self)
        lead = begin if lead is None else lead
        begun = self._from_keyframe(lead) if seek is not None and lead is not None else None
        if begun is not None or (begun := self._part_from(seek)) is not None:
            self._starts, self._decoder = begun[0].starts, None
            frames = self._read(*begun)
        return self._within(frames, lead, begin, end)

    def read_part(self, seek: int | None, end: int | None) -> None:
        """Instead of giving frames, read the packets that `part` reads, and as many more as may be under way in its decoder."""
        begun = self._part_from(seek)
        decoder = begun[0].decoder if begun is not None else self._decoder
        assert decoder is not None
        more = 2 * (
            (self._options.threads or _MOST_THREADS) + _MOST_AHEAD
        )  # a frame of two fields has two packets
        for packet in decoder.packets():
            stamp = packet.pts if packet.pts is not None else packet.dts
            more -= end is not None and stamp is not None and stamp >= end
            if more < 0:
                return

    def _part_from(self, seek: int | None) -> tuple[WantedFrames, Opened] | None:
        """The packets of a part that is decoded from a keyframe; None for the beginning, which is decoded already."""
        opened = self._opened
        if opened is None:
            raise DecodeError(f"{self.carried.name} is closed")
        for stream in opened.copied:
            stream.discard = Discard.all
        if seek is None:
            return None
        part = replace(opened, copied=(), wanted=TimeRange(seek * opened.time_base, opened.wanted.end))
        notes: list[str] = []
        self.counters.frames = 0
        wanted = WantedFrames(part, self._options, shelf=PacketShelf(), counters=self.counters, notes=notes)
        return wanted, part

    def _from_keyframe(self, begin: int) -> tuple[WantedFrames, Opened] | None:
        """As `_part_from`, from the keyframe shown at `begin`. None if frames may be interlaced, because a deinterlacer
        compares them with earlier ones, and if this keyframe cannot be decoded by itself."""
        opened = self._opened
        if opened is not None and self._deinterlaces and not is_progressive(opened.context):
            return None
        before = replace(self.counters)
        with contextlib.suppress(SourceOpenError):
            begun = self._part_from(begin)
            first = begun[0].first if begun is not None else None
            # With intra refresh, the first whole frame comes later than a keyframe.
            whole = first is not None and first.pts == begin and first.key_frame and not first.is_corrupt
            if whole and self.counters.damaged_packets == before.damaged_packets:
                return begun
        for name in SourceCounters.__dataclass_fields__:
            setattr(self.counters, name, getattr(before, name))
        return None

    def _within(
        self, frames: Iterator[Frame], lead: int | None, begin: int | None, end: int | None
    ) -> Iterator[Frame]:
        ticks = self._deinterlacer.ticks
        for frame in frames:
            assert frame.pts is not None
            if end is not None and frame.pts >= end * ticks:
                return
            if lead is None or frame.pts >= lead * ticks:
                frame.warms_up = begin is not None and frame.pts < begin * ticks
                yield frame

    def shelved(self) -> Iterator[Fraction]:
        """Instead of frames: put the copied packets on the shelf; how far the input has come, in seconds of its time."""
        return self._decoder.shelved() if self._decoder is not None else iter(())

    def _read(self, wanted: WantedFrames, opened: Opened) -> Iterator[Frame]:
        """The frames. What decodes them is held here and by `_opened` alone, so that closing frees it."""
        first = Reset.START if opened.wanted.start is None else Reset.SEEK
        # The container's value counts for all frames.
        of_codec = opened.context.sample_aspect_ratio == self.info.sar
        for decoded in wanted:
            sar = fraction(opened.context.sample_aspect_ratio) if of_codec else None
            self._uniform.note_shape(decoded, sar or self.info.sar)
            if self._stays_on_device(decoded):
                yield self._frame(decoded, first)
                continue
            for frame in self._progressive(self._uniform.push(on_host(decoded))):
                yield self._frame(frame, first)
        for frame in self._deinterlacer.flush():
            yield self._frame(frame, first)
        self._finish_notes(wanted, opened)

    def _stays_on_device(self, decoded: VideoFrame) -> bool:
        """Whether a frame needs nothing that is done on the host."""
        return (
            stays_on_device(decoded)
            and not self._deinterlacer.takes(decoded)
            and self._deinterlacer.ticks == 1
            and self._crop == Crop()
            and self._uniform.fits(decoded)
        )

    def _progressive(self, frame: VideoFrame) -> list[VideoFrame]:
        was_active = self._deinterlacer.active
        ready = self._deinterlacer.push(frame)
        if self._deinterlacer.active and not was_active:
            self._tell_interlaced()
        return ready

    def _tell_interlaced(self) -> None:
        if self._deinterlacer.note not in self.notes:
            self.notes.append(self._deinterlacer.note)

    def _frame(self, decoded: VideoFrame, first: Reset) -> Frame:
        """first: the first frame's reason for the beginning of a sequence."""
        view = frame_on_device if decoded.sw_format else frame_from_av
        frame = view(decoded, index=self.counters.frames, fallback=self._untagged)
        if self._crop != Crop():
            frame = cropped(frame, self._crop)
        if self._codec in LINEAR_CODECS - IN_DECODER.keys():
            frame = encoded_as_srgb(frame)
        self._uniform.note_color(frame.color)
        frame.starts = self._starts.at((decoded.pts or 0) // self._deinterlacer.ticks)
        if not self.counters.frames:
            frame.starts = first
        is_second = self._deinterlacer.is_second(decoded)
        if not is_second and (caption := captions(decoded, self._codec)) is not None:
            frame.side["a53_cc"] = caption
        if self._sequence is not None:
            frame.side["picture_tags"] = self._sequence.at(self._file_number(decoded))
        self.counters.frames += 1
        return frame

    def _finish_notes(self, wanted: WantedFrames, opened: Opened) -> None:
        counters = self.counters
        if counters.repaired_timestamps and not opened.made_times:
            self.notes.append(
                f"{counters.repaired_timestamps} timestamps were missing or ran backwards and are repaired"
            )
        if counters.damaged_frames:
            self.notes.append(f"{counters.damaged_frames} frames are damaged: parts of them were made up")
        joined = wanted.decoder.discontinuities
        if joined is not None and joined.count:
            self.notes.append(f"the clock restarts or jumps {joined.count} times; time runs on without that")
        if self._sequence is not None:
            self.notes += self._sequence.notes()
        elif not wanted.decoder.done and not opened.is_picture:
            self._tell_cut_off(wanted, opened)

    def _tell_cut_off(self, wanted: WantedFrames, opened: Opened) -> None:
        """Warn of a file that breaks off. Raises DecodeError where damage is an error."""
        rate = self._deinterlacer.rate if self._deinterlacer.active else 1
        frames = math.ceil(self.counters.frames / rate)
        told = cut_off(opened, wanted.decoder.read, frames if opened.wanted.start is None else 0)
        if told is None:
            return
        if self.carried.strict:
            raise DecodeError(f"{opened.name}: {told}", hint="leave out --strict to use the existing part")
        self.carried = replace(self.carried, warnings=(*self.carried.warnings, told))

    def close(self) -> None:
        """Free the file, the decoder and its threads. Frames already given stay valid. Closing twice is fine."""
        opened, self._opened = self._opened, None
        # PyAV's streams point into the container: none may outlive it.
        self.carried = replace(self.carried, container=None, stream=None, copied=())
        self._frames = iter(())
        self._decoder = None
        self._deinterlacer = Deinterlacer("off")
        if opened is not None:
            opened.close()
