"""Frames into packets of one kind of container: brought to the encoder's format, on the output's clock."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from vsr.core.color import Color
from vsr.core.errors import EncodeError, VsrError
from vsr.core.frame import Frame, PixelFormat
from vsr.core.video import VideoInfo
from vsr.media.frames.color import PRIMARIES, TRANSFERS
from vsr.media.frames.planes import av_name
from vsr.media.types import Carried, SinkOptions
from vsr.media.write.clock import OutputClock
from vsr.media.write.containers import STDOUT, Container, container_for
from vsr.media.write.encodable import Encodable
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.encoder_formats import played_pix_fmt
from vsr.media.write.encoders import EncoderPlan, encoder_named, plan_encoder
from vsr.media.write.file_encoder import FileEncoder
from vsr.media.write.losses import lost_by_video

# Containers for players, most of which play only 4:2:0.
_FOR_PLAYERS = frozenset({"mp4", "ipod", "webm"})


class Encoding:
    """The encoder of an output, and the conversion before it.

    url, options, carried, info: as `open_sink` takes them. container: by the url. carried: the same, moved to where the output
    begins. encoder: name, format and options in words. template: of the packets. lost: what of the video the container has no
    place for. notes, warnings: sentences for the user, which more are added to. frames: that were encoded.

    Raises ConfigError for what the encoder refuses, EncoderUnavailableError.
    """

    def __init__(self, url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.frames = 0
        self._name = "standard output" if url == STDOUT else url
        container = container_for(url, options.container_format)
        if carried.container is not None:
            container = container.holding(carried.container.metadata)
        self.container = container
        self.carried = carried = self._from_zero(carried, container)
        size = options.size or (info.width, info.height)
        self._given = info.width, info.height, info.format
        self._color = info.color
        self._color_told = self._captions_told = False
        self._plan = plan = _plan(container, info, size, options)
        said = (f"{k}={v}" for k, v in plan.options.items() if k not in plan.traits.options)
        self.encoder = " ".join((plan.name, plan.pix_fmt, *said))
        self._frame_time = 1 / info.frame_rate if info.frame_rate else Fraction(1, 25)
        # The facts about the frames, with the size, format and colour they are converted to.
        encoded = replace(info, width=size[0], height=size[1], format=plan.format, color=plan.color)
        encoder = self._encoder = self._opened(container, encoded, carried, options.threads)
        self._encodable = Encodable(plan, size, on_device=encoder.on_device)
        self.template: Template = encoder.template
        self.warnings += plan.warnings
        self.lost = lost_by_video(plan, self.template.codec, container, carried, encoded)
        self.clock = OutputClock(
            container, encoder.time_base, encoder.frame_rate, carried.start_offset, self.warnings
        )

    def _from_zero(self, carried: Carried, container: Container) -> Carried:
        """The same, moved to where a file begins, unless the container keeps the clock of a broadcast."""
        if not carried.origin or carried.start_offset or container.keeps_clock:
            return carried
        self.notes.append(
            f"its clock begins at {float(carried.origin):.3f} s: all streams are moved, to begin at 0"
        )
        return replace(carried, start_offset=carried.origin)

    def _opened(self, container: Container, info: VideoInfo, carried: Carried, threads: int) -> FileEncoder:
        """The encoder, on the device where the frames lie if it takes them there."""
        plan = self._plan
        if info.on_device and plan.takes_device_frames:
            try:
                return FileEncoder(plan, container, info, carried, threads=threads, on_device=True)
            except VsrError as error:
                self.warnings.append(f"frames go to {plan.name} through the host: {error.message}")
        return FileEncoder(plan, container, info, carried, threads=threads)

    def encode(self, frame: Frame) -> list[Encoded]:
        """Packets that are ready after a frame. Raises EncodeError."""
        if (frame.width, frame.height, frame.format) != self._given:
            width, height, fmt = self._given
            raise EncodeError(
                f"got a frame of {frame.width}x{frame.height} {frame.format.name}, "
                f"but {self._name} was opened for {width}x{height} {fmt.name}"
            )
        captions = frame.side.get("a53_cc")
        self._tell_losses(frame, bool(captions))
        if frame.pts is None:
            ticks = round(self.frames * self._frame_time / frame.time_base)
            frame = replace(frame, pts=ticks)
        assert frame.pts is not None
        encodable = self._encodable(frame)
        pts = self.clock.ticks(frame.pts * frame.time_base)
        self.frames += 1
        return self._encoder.encode(encodable, pts, bytes(captions) if captions else None)

    def flush(self) -> list[Encoded]:
        """Return the packets that the encoder still holds, and end it. Raises EncodeError."""
        packets = self._encoder.flush()
        self._encoder.close()
        return packets

    def drop(self) -> None:
        """Drop the frames that the encoder still holds."""
        self._encoder.drop()
        if not self.frames:  # Otherwise freeing it waits for frames in progress.
            self._encoder.close()

    def _tell_losses(self, frame: Frame, has_captions: bool) -> None:
        """Report losses once that the first frame did not show."""
        if has_captions and not self._encoder.takes_captions and not self._captions_told:
            self._captions_told = True
            self.warnings.append(
                f"closed captions are left out: encoder {self._plan.name} has no place for them"
            )
        if not self._color_told and _tags(frame.color) != _tags(self._color):
            self._color_told = True
            self.warnings.append(
                f"primaries or transfer change at frame {self.frames}, to {_tags(frame.color)}: all frames are tagged "
                f"{_tags(self._color)}, as the first"
            )


def _plan(container: Container, info: VideoInfo, size: tuple[int, int], options: SinkOptions) -> EncoderPlan:
    name = options.encoder or container.default_encoder(info.format)
    fmt = info.format
    if container.format == "yuv4mpegpipe" and options.pix_fmt is None:
        # Y4M has only a few formats: planar YUV and gray.
        wanted = fmt if fmt.kind != "rgb" else PixelFormat("yuv", min(fmt.bits, 12))
        options = replace(options, pix_fmt=av_name(replace(wanted, alpha=False)))
    if fmt.kind == "rgb" and options.pix_fmt is None and container.format in _FOR_PLAYERS:
        options = replace(options, pix_fmt=played_pix_fmt(encoder_named(name), fmt, size))
    return plan_encoder(name, fmt, info.color, size[0], size[1], options)


def _tags(color: Color) -> str:
    """The tags that are never converted, in FFmpeg's names: primaries and transfer."""
    primaries = PRIMARIES.get(color.primaries, color.primaries)
    return f"{primaries}/{TRANSFERS.get(color.transfer, color.transfer)}"
