"""The system's ffmpeg as a `Bridge` runs it. Everybody may read a command line, so the secrets of an address are not in it:
ffmpeg reads them from a pipe.

To read from an address, ffmpeg gets it as the only segment of an HLS list on standard input, whose bytes FFmpeg's protocol
`hls` hands on untouched. FFmpeg 9.0 has it no more (7.0 does): there the address stands in a list for the demuxer `concat`, and
pictures and sound are muxed again.

To write, the options that are secret stand in a preset file. FFmpeg 9.0 reads those of protocols and does not heed them (7.0
does): there they can only stand in the command line, and `are_secrets_seen` tells it.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from vsr.core.errors import ConfigError, MissingDependencyError
from vsr.core.extras import install
from vsr.core.secrets import masked, redacted
from vsr.media.live.whip import check_whip, ffmpeg_with_whip, is_whip, written

# Seven packets of MPEG-TS fill a datagram.
_PACKET_BYTES = 7 * 188
_PROGRESS_S = 0.5
# Secrets of SRT: they give access.
_SECRETS = frozenset({"passphrase", "streamid"})
# With the stream as plain data, ffmpeg neither waits for pictures nor analyses them.
_DATA = {"format": "data", "raw_packet_size": _PACKET_BYTES}
_AS_IT_IS = {"format": "data", "codec": "copy", "map": 0, "flush_packets": 1}
_MUXED_AGAIN = {
    "format": "mpegts",
    "codec": "copy",
    # The times stay unchanged, and neither sound nor picture waits for the other.
    "copyts": None,
    "muxdelay": 0,
    "muxpreload": 0,
    "max_interleave_delta": 100_000,
    "pes_payload_size": 0,
    "omit_video_pes_length": 0,
    "flush_packets": 1,
}
_ANALYSE = {"analyzeduration": 500_000, "fpsprobesize": 0}


def check_ffmpeg(url: str) -> None:
    """Raise MissingDependencyError if the only FFmpeg is PyAV's, or ffmpeg-python is missing, and ConfigError without /dev/fd
    (Windows), by which ffmpeg gets secrets."""
    if not Path("/dev/fd").exists():
        raise ConfigError(
            f"{redacted(url)}: needs /dev/fd, which this system lacks", hint="rtsp and rtmp work"
        )
    try:
        import ffmpeg  # noqa: F401
    except ImportError:
        raise MissingDependencyError(f"{redacted(url)}: needs ffmpeg-python", hint=install("live")) from None
    if is_whip(url):
        check_whip(url)
    elif shutil.which("ffmpeg") is None:
        raise MissingDependencyError(
            f"{redacted(url)}: needs the system's ffmpeg, 5.0 or later", hint="sudo apt-get install ffmpeg"
        )


def reading(url: str) -> tuple[list[str], str]:
    """The command that copies from an address to standard output, and its standard input."""
    import ffmpeg

    given = ""
    if parted(url)[0] == url:
        copied = ffmpeg.input(url, **_DATA).output("pipe:1", **_AS_IT_IS)
    elif _has_hls():
        given = f"#EXTM3U\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        listed = ffmpeg.input("hls+pipe:0", protocol_whitelist="hls,pipe,srt", **_DATA)
        copied = listed.output("pipe:1", **_AS_IT_IS)
    else:
        quoted = url.replace("'", r"'\''")
        options = "".join(f"option {name} {value}\n" for name, value in _ANALYSE.items())
        given = f"ffconcat version 1.0\nfile '{quoted}'\n{options}"
        whitelist: dict[str, Any] = {"safe": 0, "protocol_whitelist": "pipe,srt", "fflags": "nobuffer"}
        source = ffmpeg.input("pipe:0", format="concat", **whitelist, **_ANALYSE)
        copied = ffmpeg.output(source["v?"], source["a?"], "pipe:1", **_MUXED_AGAIN)
    return _words(copied), given


def writing(url: str, preset: str) -> tuple[list[str], str]:
    """The command that copies from standard input to an address, and the content of its file `preset`. It reports its
    progress on standard error once it is connected."""
    import ffmpeg

    progress = ("-progress", "pipe:2", "-stats_period", str(_PROGRESS_S))
    if is_whip(url):
        return _words(written(url).global_args(*progress), ffmpeg_with_whip()), ""
    seen, options = parted(url)
    more = {"fpre": preset} if options else {}
    if are_secrets_seen(url):
        seen, options, more = url, {}, {}
    graph = ffmpeg.input("pipe:0", **_DATA).output(seen, **_AS_IT_IS, **more)
    return _words(graph.global_args(*progress)), "".join(
        f"{name}={value}\n" for name, value in options.items()
    )


def are_secrets_seen(url: str) -> bool:
    """Whether a command that writes to that address shows its secrets."""
    if is_whip(url):
        return redacted(url) != url
    return bool(parted(url)[1]) and not _heeds_presets()


def parted(url: str) -> tuple[str, dict[str, str]]:
    """An address without its secrets, and FFmpeg's options for the secrets. SRT has neither logins nor paths."""
    base, _, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    shown, options = [], dict[str, str]()
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in _SECRETS and masked(pair) == pair:
            shown.append(pair)
            continue
        # FFmpeg reads "+" in an address as a space.
        value = value.replace("+", " ")
        options.setdefault(name, unquote(value) if name == "streamid" else value)
    host = rest.rpartition("@")[2].partition("/")[0]
    return "?".join(filter(None, [f"{scheme}://{host}", "&".join(shown)])), options


def _words(graph: Any, program: str | None = None) -> list[str]:
    quiet = graph.global_args("-nostdin", "-hide_banner", "-loglevel", "error")
    words: list[str] = quiet.compile(cmd=program or "ffmpeg")
    return words


@functools.cache
def _has_hls() -> bool:
    listed = subprocess.run(
        ["ffmpeg", "-v", "quiet", "-protocols"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return b"hls" in listed.stdout.split()


@functools.cache
def _heeds_presets() -> bool:
    """Whether ffmpeg stumbles over a preset that no output can be opened with."""
    ours, its = os.pipe()
    with open(ours, "rb"), open(its, "wb") as preset:
        preset.write(b"avioflags=unknown\n")
        preset.close()
        words = ["ffmpeg", "-v", "quiet", "-f", "data", "-i", "pipe:0", "-map", "0", "-c", "copy"]
        done = subprocess.run(
            [*words, "-fpre", f"/dev/fd/{ours}", "-f", "data", "pipe:1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(ours,),
            check=False,
        )
    return done.returncode != 0
