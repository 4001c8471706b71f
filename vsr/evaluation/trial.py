"""`vsr try`: what the families of networks make of three places of an input, what it costs, on one page."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsr.core.errors import ConfigError, DecodeError, VsrError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.evaluation.pictures import busiest
from vsr.evaluation.trial_page import Shown, Tried, trial_page
from vsr.files.checks import check_writable
from vsr.files.whole import write_whole
from vsr.jobs.outlook import codec_s
from vsr.jobs.size import enlarged
from vsr.media.address import is_read_once
from vsr.media.frames.crop import Crop, cropped
from vsr.media.frames.planes import av_from_frame
from vsr.media.outputs import check_outputs
from vsr.media.read.look import look
from vsr.media.read.open import open_source
from vsr.media.types import Carried, SinkOptions, Source, SourceOptions
from vsr.media.write.sink import open_sink
from vsr.models.auto import Use, auto_family, rule_for, suited
from vsr.models.registry import FAMILIES
from vsr.upscale.upscaler import Upscaler

Rgb = NDArray[np.uint8]

# Where in a video, as shares of its length.
_PLACES = (0.15, 0.5, 0.85)
_CLIP_S = 2
# The sides of a window, in samples of the input.
_WINDOW = (320, 180)
# No clips are begun that would end later than this.
_BUDGET_S = 55.0


@dataclass(frozen=True, slots=True)
class TryConfig:
    """One call of `vsr try`.

    url: a video or picture that can be read several times. output: path of the page. scale: of the networks. full: whole
    frames instead of windows. Raises ConfigError.
    """

    url: str
    output: Path = Path("try.html")
    scale: int = 2
    full: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if is_read_once(self.url):
            raise ConfigError(f"{self.url} can be read only once", hint="save it to a file first")
        if self.scale not in (2, 4):
            raise ConfigError(f"scale {self.scale} is not for trying", hint="give 2 or 4")


@dataclass(frozen=True, slots=True)
class Trial:
    """seconds: of the places. tried: heaviest last. clips: the models with clips on the page."""

    seconds: tuple[float, ...]
    tried: tuple[Tried, ...]
    clips: tuple[str, ...]
    output: Path


@dataclass(slots=True)
class _Place:
    """One place in the input. stills, clips: by model; clips are MP4 files."""

    at_s: float
    crop: Crop
    first: Frame
    stills: dict[str, Rgb] = field(default_factory=dict)
    clips: dict[str, bytes] = field(default_factory=dict)


def try_out(
    config: TryConfig,
    say: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Trial:
    """Enlarge a window of three places by each family that suits the input, and write a page that needs no network.

    The page is there with the stills first, and again with clips of two seconds, lightest family first, as long as a
    minute lasts; after an error, with those that were made. Of a picture there is one place and no clip. Raises the errors of
    `open_source`, and ConfigError for an output that exists or is the input.
    """
    check_outputs([config.url], [str(config.output)])
    check_writable(config.output, overwrite=config.overwrite)
    with ExitStack() as stack:
        return _Trying(config, stack, say or (lambda _: None), clock).run()


class _Trying:
    """One call of `try_out`. upscalers: lightest first."""

    def __init__(
        self, config: TryConfig, stack: ExitStack, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._say = say
        self._clock = clock
        self._began = clock()
        with open_source(config.url) as source:
            self._info, self._name = source.info, source.carried.name
            use: Use = "picture" if self._info.is_picture else "video"
            seen = look(config.url, SourceOptions(), source)
        rule = rule_for(seen, use)
        upscalers = [
            stack.enter_context(Upscaler(name, scale=config.scale, use=use))
            for name in suited(use, rule, drawn=seen.drawn)
            if config.scale in FAMILIES[name]
        ]
        self._upscalers = sorted(upscalers, key=lambda upscaler: upscaler.spec.macs_per_pixel)
        family, why = auto_family(use, on_gpu=upscalers[0].on_gpu, rule=rule)
        taken = FAMILIES[family][config.scale]
        self._tried = {
            upscaler.spec.id: Tried(
                upscaler.spec.id,
                shlex.join(["vsr", "upscale", config.url, "--model", upscaler.spec.id]),
                why if upscaler.spec.id == taken else "",
            )
            for upscaler in self._upscalers
        }
        self._places = self._found_places()

    def run(self) -> Trial:
        seconds = {upscaler: self._stills(upscaler) for upscaler in self._upscalers}
        if self._info.is_picture:
            return self._written(more=False)
        self._written(more=True)
        try:
            self._clips(seconds)
        finally:  # Also after an error or Ctrl-C, or the page would load itself again for ever.
            trial = self._written(more=False)
        return trial

    def _clips(self, seconds: Mapping[Upscaler, float]) -> None:
        """Make clips, as long as there is time. seconds: for a picture."""
        for upscaler in self._upscalers:
            needed_s = seconds[upscaler] * self._frames_a_clip * len(self._places)
            if self._clock() - self._began + needed_s > _BUDGET_S:
                return
            for place in self._places:
                self._say(f"{upscaler.spec.id}: clip at {place.at_s:.1f} s")
                self._clip(upscaler, place)

    @property
    def _frames_a_clip(self) -> int:
        return max(1, round(_CLIP_S * (self._info.frame_rate or Fraction(25))))

    def _times(self) -> list[float]:
        length = self._info.duration_s_from_header or 0.0
        if self._info.is_picture or length <= _CLIP_S:
            return [0.0]
        return [share * (length - _CLIP_S) for share in _PLACES]

    def _found_places(self) -> list[_Place]:
        """The places that the input holds; a file that is cut off ends before the length in its header. Raises the error of the
        first if there is none."""
        found: list[_Place] = []
        errors: list[VsrError] = []
        for at_s in self._times():
            try:
                found.append(self._place(at_s))
            except VsrError as error:
                errors.append(error)
        if not found:
            raise errors[0]
        return found

    def _opened(self, at_s: float) -> Source:
        return open_source(self._config.url, SourceOptions(start_s=at_s or None))

    def _place(self, at_s: float) -> _Place:
        with self._opened(at_s) as source:
            frame = source.peek()
            if frame is None:
                raise DecodeError(f"{self._name}: no frame at {at_s:.1f} s", hint="it may be cut off")
            crop = Crop() if self._config.full else _window(frame)
            part = cropped(frame, crop)
            # A copy: the decoder's memory ends with the source.
            return _Place(at_s, crop, replace(part, planes=[np.array(plane) for plane in part.planes]))

    def _stills(self, upscaler: Upscaler) -> float:
        """Enlarge the first frame of each place; the seconds for one."""
        seconds: list[float] = []
        for place in self._places:
            self._say(f"{upscaler.spec.id} at {place.at_s:.1f} s")
            if not seconds:
                upscaler.upscale(place.first)  # compiles the network
            started = self._clock()
            large = upscaler.upscale(place.first)
            seconds.append(self._clock() - started)
            place.stills[upscaler.spec.id] = _upright(_rgb(large), self._info)
        window, info = self._places[0].first, self._info
        frame_s = min(seconds) * (info.width * info.height) / (window.width * window.height)
        frame_s += codec_s(info.width * info.height * upscaler.scale**2)
        tried = self._tried[upscaler.spec.id]
        tried.fps = 1 / frame_s
        if frames := self._frames():
            tried.hours = frames * frame_s / 3600
        return min(seconds)

    def _frames(self) -> int | None:
        """The number of frames of the whole input, as far as its header says."""
        info = self._info
        if info.num_frames_from_header:
            return info.num_frames_from_header
        if info.duration_s_from_header and info.frame_rate:
            return round(info.duration_s_from_header * info.frame_rate)
        return None

    def _clip(self, upscaler: Upscaler, place: _Place) -> None:
        """Two seconds of a place, encoded as `vsr upscale` does without options, but in 8 bits, which all browsers play."""
        small = replace(self._info, width=place.first.width, height=place.first.height)
        with tempfile.TemporaryDirectory() as folder, self._opened(place.at_s) as source:
            path = Path(folder) / "clip.mp4"
            options = SinkOptions(pix_fmt="yuv420p")
            sink = open_sink(str(path), options, Carried(self._name), enlarged(small, upscaler.scale))
            try:
                first: int | None = None
                with upscaler.sequence() as sequence:
                    parts = (cropped(frame, place.crop) for frame in islice(source, self._frames_a_clip))
                    for large in sequence.stream(parts):
                        first = large.pts if first is None else first
                        sink.write(replace(large, pts=(large.pts or 0) - (first or 0), side={}))
                sink.finish()
            finally:
                sink.abandon()
            place.clips[upscaler.spec.id] = path.read_bytes()
        frames = self._frames()
        if frames and sink.counters.frames:
            area = self._info.width * self._info.height / (small.width * small.height)
            tried = self._tried[upscaler.spec.id]
            bytes_ = sink.counters.video_bytes / sink.counters.frames * area * frames
            tried.gigabytes = max(tried.gigabytes or 0.0, bytes_ / 1e9)

    def _written(self, *, more: bool) -> Trial:
        """Write the page. more: clips will follow."""
        tried = list(self._tried.values())
        clips = [each.model for each in tried if self._places[0].clips.get(each.model)]
        shown = [Shown(place.at_s, place.stills, place.clips) for place in self._places]
        page = trial_page(self._name, tried, shown, more=more)
        write_whole(self._config.output, page.encode())
        return Trial(
            tuple(place.at_s for place in self._places), tuple(tried), tuple(clips), self._config.output
        )


def _window(frame: Frame) -> Crop:
    """A window where the picture has much detail."""
    width, height = min(_WINDOW[0], frame.width), min(_WINDOW[1], frame.height)
    side = min(width, height)
    left = top = 0
    if frame.width > side and frame.height > side:
        rgb = _rgb(frame)
        ((top, left),) = busiest(rgb[1:, 1:], rgb[:-1, :-1], side)
    left = max(0, min(left + side // 2 - width // 2, frame.width - width))
    top = min(top, frame.height - height)
    crop = Crop(left, top, frame.width - left - width, frame.height - top - height)
    return crop.within(frame.width, frame.height, frame.format)


def _rgb(frame: Frame) -> Rgb:
    return np.asarray(av_from_frame(replace(frame, pts=None)).to_ndarray(format="rgb24"), np.uint8)


def _upright(rgb: Rgb, info: VideoInfo) -> Rgb:
    """A picture as it is displayed."""
    return np.ascontiguousarray(np.rot90(rgb[:, ::-1] if info.mirrored else rgb, info.rotation // 90))
