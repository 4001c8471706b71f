"""The clip that every case of a size reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vsr.bench.stages import first_frames, write_clip
from vsr.bench.synthetic import RATE, synthetic_frames
from vsr.core.errors import ConfigError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.media.address import is_read_once

LEAST_FRAMES = 8
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Clip:
    """url: as `vsr upscale` takes it. name: as results name it. frames: the first, as many as are kept."""

    url: str
    name: str
    frames: tuple[Frame, ...]
    info: VideoInfo


class Clips:
    """Clips by the size of their frames, made when they are first asked for.

    input: a clip of the user's, which is read as it is. frames: of a synthetic one.
    """

    def __init__(self, input: str | None, frames: int, folder: Path, say: Callable[[str], None]) -> None:
        self._input, self._frames, self._folder, self._say = input, frames, folder, say
        self._made: dict[tuple[int, int] | None, Clip] = {}

    def clip(self, size: tuple[int, int] | None) -> Clip:
        """None for the input. Raises what `open_source` raises, ConfigError for an input that cannot be measured."""
        if size not in self._made:
            self._made[size] = self._opened() if size is None else self._synthetic(size)
        return self._made[size]

    def _opened(self) -> Clip:
        url = self._input or ""
        if is_read_once(url):
            raise ConfigError(f"{url} can be read once only", hint="save it as a file, and give that")
        frames, info, name = first_frames(url)
        return _checked(Clip(url, Path(name).name, tuple(frames), info))

    def _synthetic(self, size: tuple[int, int]) -> Clip:
        width, height = size
        self._say(f"a clip of {width}x{height}")
        path = self._folder / f"in-{width}x{height}.mkv"
        one = next(synthetic_frames(width, height, 1))
        info = VideoInfo(
            width, height, one.format, one.color, time_base=one.time_base, frame_rate=Fraction(RATE)
        )
        write_clip(synthetic_frames(width, height, self._frames), info, path)
        frames, info, _ = first_frames(str(path))
        return _checked(Clip(str(path), SYNTHETIC, tuple(frames), info))


def _checked(clip: Clip) -> Clip:
    if len(clip.frames) < LEAST_FRAMES:
        raise ConfigError(
            f"{len(clip.frames)} frames are too few to measure", hint=f"give {LEAST_FRAMES} or more"
        )
    return clip
