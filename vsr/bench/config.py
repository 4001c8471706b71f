"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from vsr.core.errors import ConfigError
from vsr.media.write.encoder_traits import X264_PRESETS
from vsr.upscale.options import NetworkOptions


@dataclass(frozen=True, slots=True)
class BenchConfig:
    """network: its scale must be one that the model reaches exactly. size: (width, height) of the frames in, unless `input`
    names a clip: even, and up to 16384 pixels a side once enlarged. frames: how many are measured.

    presets: of x264, each measured once, alone and at the end of the whole; a null sink always is.
    Raises ConfigError.
    """

    network: NetworkOptions = field(default_factory=NetworkOptions)
    size: tuple[int, int] = (960, 540)
    frames: int = 240
    input: str | None = None
    presets: tuple[str, ...] = ("veryfast", "superfast")

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"{self.frames} frames are out of range", hint="give 1 or more")
        for preset in self.presets:
            if preset not in X264_PRESETS:
                raise ConfigError(f"x264 has no preset {preset!r}", hint=f"it has {', '.join(X264_PRESETS)}")
