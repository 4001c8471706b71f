"""Publishes by WHIP (RFC 9725): an ffmpeg that has its muxer, 8.0 or later, is handed MPEG-TS through a pipe."""

from __future__ import annotations

import functools
import shutil
import subprocess
from typing import Any

from vsr.core.errors import MissingDependencyError
from vsr.core.secrets import redacted

SCHEMES = {"whip": "http", "whips": "https"}
# Browsers and servers refuse other profiles of H.264. They take sound as Opus only.
ENCODER_OPTIONS = {"profile": "baseline"}
_SOUND = {"acodec": "libopus", "ar": 48_000, "ac": 2, "audio_bitrate": "128k"}
_ANALYSE = {"analyzeduration": 500_000, "fpsprobesize": 0, "fflags": "nobuffer"}


def is_whip(url: str) -> bool:
    """Whether an address is one to publish to by WHIP."""
    return url.partition("://")[0].lower() in SCHEMES


def check_whip(url: str) -> None:
    """Raise MissingDependencyError if no ffmpeg here has the muxer."""
    if ffmpeg_with_whip() is None:
        raise MissingDependencyError(
            f"{redacted(url)}: needs an ffmpeg with WHIP, 8.0 or later",
            hint="pip install imageio-ffmpeg",
        )


def written(url: str) -> Any:
    """The graph of ffmpeg-python that copies from standard input to an address."""
    import ffmpeg

    scheme, _, rest = url.partition("://")
    source = ffmpeg.input("pipe:0", format="mpegts", **_ANALYSE)
    target = f"{SCHEMES[scheme.lower()]}://{rest}"
    return ffmpeg.output(source["v:0"], source["a?"], target, format="whip", vcodec="copy", **_SOUND)


@functools.cache
def ffmpeg_with_whip() -> str | None:
    """The system's ffmpeg, or else the one of the package imageio-ffmpeg; None if neither has the muxer."""
    found = [shutil.which("ffmpeg"), _packaged()]
    return next((path for path in found if path is not None and _has_whip(path)), None)


def _packaged() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # The package is there, and has no program for this system.
        return None


def _has_whip(path: str) -> bool:
    listed = subprocess.run(
        [path, "-v", "quiet", "-muxers"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return b" whip " in listed.stdout
