"""Containers: the one for an output's name, its properties, and the things it cannot hold."""

from __future__ import annotations

import difflib
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import PurePath

import av

from vsr.core.errors import ConfigError
from vsr.core.frame import PixelFormat

# These codecs have a type of their own in MPEG-TS. FFmpeg writes others as "private data", which nothing reads back.
MPEGTS_CODECS = frozenset(
    "h264 hevc mpeg1video mpeg2video mpeg4 vvc vc1 dirac cavs jpeg2000 jpegxs evc aac aac_latm mp1 mp2 mp3 ac3 eac3 ac4 dts "
    "truehd opus s302m pcm_bluray dvb_subtitle dvb_teletext hdmv_pgs_subtitle hdmv_text_subtitle arib_caption klv "
    "timed_id3 scte_35 smpte_2038 epg".split()
)

STDOUT = "-"
NULL = "null:"

# FFmpeg's AVFMT_NOFILE: the muxer takes a name and opens files itself, as the muxers of HLS, DASH, segments and devices do.
_OPENS_FILES = 1
_GLOBAL_HEADER = 0x0040  # AVFMT_GLOBALHEADER

IS_MOV = frozenset({"mp4", "mov", "ipod", "3gp", "3g2", "ismv", "f4v"})
"""Containers of the ISO base media family."""


# A key of QuickTime's metadata. With such keys, Apple's and Android's phones store place, make and time.
_DOTTED_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2,}")


@dataclass(frozen=True, slots=True)
class Container:
    """A container and how vsr fills it.

    format: FFmpeg's muxer name. encoders: default encoder for 8 bits, for more, and for alpha. exact_time: it keeps any
    time base; False for those with a clock of their own. constant_rate: frames carry no timestamps, so a variable rate
    cannot be kept. b_frames: False where negative dts or packet order would move the timestamps. rotation: it has a place
    for the display matrix. keeps_clock: it may begin at any time. muxer_options: handed to the
    muxer.
    """

    format: str
    encoders: tuple[str, str, str] = ("libx264", "libx265", "")
    exact_time: bool = True
    constant_rate: bool = False
    b_frames: bool = True
    rotation: bool = False
    keeps_clock: bool = False
    sar: bool = True
    streams: bool = True
    chapters: bool = False
    metadata: frozenset[str] | None = frozenset()
    stream_metadata: frozenset[str] | None = frozenset()
    attachments: bool = False
    tags_color: bool = False
    muxer_options: dict[str, str] = field(default_factory=dict)

    @property
    def is_mov(self) -> bool:
        """Whether it is of the ISO base media family."""
        return self.format in IS_MOV

    @property
    def global_header(self) -> bool:
        """Whether parameter sets stand in its header, so that encoders leave them out of the packets."""
        return bool(av.ContainerFormat(self.format, "w").flags & _GLOBAL_HEADER)

    @property
    def takes_sar_from_codec(self) -> bool:
        """Whether the sample aspect ratio is only in the codec's own stream, because PyAV cannot set the container's."""
        return self.format in ("nut", "avi", "mpegts", "flv")

    @property
    def covers(self) -> bool:
        """Whether it distinguishes cover pictures from videos."""
        return self.format in ("mp4", "ipod", "3gp", "3g2", "matroska")

    @property
    def dispositions(self) -> bool:
        """Whether it stores the purpose of a stream: comment, forced, hearing impaired."""
        return self.format in ("mp4", "ipod", "matroska", "webm", "nut")

    @property
    def is_matroska(self) -> bool:
        return self.format in ("matroska", "webm")

    def holding(self, metadata: Mapping[str, str]) -> Container:
        """The same, with keys of any name where an input has keys as QuickTime's are named: com.apple.quicktime.make.

        MP4's own muxer then writes all keys in that way, which players that look for iTunes' know less of. So it is only done
        for files that came with them, as those of telephones do.
        """
        if not self.is_mov or not any(_DOTTED_KEY.fullmatch(key) for key in metadata):
            return self
        flags = self.muxer_options.get("movflags", "") + "+use_metadata_tags"
        return replace(self, metadata=None, muxer_options={**self.muxer_options, "movflags": flags})

    def default_encoder(self, fmt: PixelFormat) -> str:
        """The encoder used when none is asked for."""
        plain, deep, alpha = self.encoders
        if fmt.alpha and alpha:
            return alpha
        return deep if fmt.bits > 8 else plain


# Keys the MP4 muxer has an atom for; it leaves others out silently.
_MP4_KEYS = frozenset(
    "title artist author album_artist composer writer album date year comment genre copyright grouping lyrics description "
    "synopsis show episode_id network keywords episode_sort season_number media_type hd_video gapless_playback compilation "
    "track disc sort_name sort_artist sort_album_artist sort_album sort_composer sort_show creation_time location "
    "location-eng make model timecode".split()
)
_MP4_STREAM_KEYS = frozenset(
    "language title handler_name vendor_id creation_time name timecode reel_name".split()
)
_INFO_KEYS = frozenset(
    "title artist album comment copyright date creation_time genre language track encoded_by software medium "
    "timecode "
    "IARL IART ICMS ICMT ICOP ICRD ICRP IDIM IDPI IENG IGNR IKEY ILGT ILNG IMED INAM IPLT IPRD IPRT ISBJ ISFT ISHP ISMP ISRC "
    "ISRF ITCH".split()
)
_RAW = ("rawvideo", "rawvideo", "rawvideo")

_MP4_OPTIONS = {"movflags": "+faststart"}

CONTAINERS: dict[str, Container] = {
    c.format: c
    for c in (
        Container("mp4", rotation=True, chapters=True, metadata=_MP4_KEYS, stream_metadata=_MP4_STREAM_KEYS,
                  tags_color=True, muxer_options=_MP4_OPTIONS),
        Container("mov", rotation=True, chapters=True, metadata=_MP4_KEYS, stream_metadata=_MP4_STREAM_KEYS,
                  tags_color=True, muxer_options=_MP4_OPTIONS, encoders=("libx264", "libx265", "prores_ks")),
        Container("ipod", rotation=True, chapters=True, metadata=_MP4_KEYS, stream_metadata=_MP4_STREAM_KEYS,
                  tags_color=True, muxer_options=_MP4_OPTIONS),
        Container("matroska", exact_time=False, rotation=True, chapters=True, metadata=None, stream_metadata=None,
                  attachments=True, tags_color=True),
        Container("webm", encoders=("libsvtav1", "libsvtav1", "libvpx-vp9"), exact_time=False, rotation=True, chapters=True,
                  metadata=None, stream_metadata=None, tags_color=True),
        Container("mpegts", exact_time=False, b_frames=False, keeps_clock=True,
                  stream_metadata=frozenset({"language", "service_name", "service_provider"})),
        Container("avi", constant_rate=True, b_frames=False, metadata=_INFO_KEYS,
                  stream_metadata=frozenset({"title", "language"}),
                  muxer_options={"avoid_negative_ts": "disabled"}),  # AVI numbers frames: moved ones would be off by one
        Container("nut", encoders=("ffv1", "ffv1", "ffv1"), b_frames=False, metadata=None, stream_metadata=None,
                  chapters=True, keeps_clock=True),
        Container("yuv4mpegpipe", encoders=("wrapped_avframe",) * 3, constant_rate=True, streams=False),
        Container("gif", encoders=("gif", "gif", "gif"), exact_time=False, sar=False, streams=False),
        Container("apng", encoders=("apng", "apng", "apng"), exact_time=False, sar=False, streams=False),
        Container("webp", encoders=("libwebp_anim",) * 3, exact_time=False, sar=False, streams=False),
        Container("null", encoders=_RAW, streams=False, tags_color=True),
        Container("flv", exact_time=False, b_frames=False, metadata=None),
        Container("mxf", encoders=("mpeg2video", "dnxhd", ""), constant_rate=True, metadata=frozenset({"timecode"}),
                  stream_metadata=frozenset({"timecode"})),
        Container("h264", encoders=("libx264",) * 3, constant_rate=True, streams=False),
        Container("hevc", encoders=("libx265",) * 3, constant_rate=True, streams=False),
        Container("rawvideo", encoders=_RAW, constant_rate=True, sar=False, streams=False),
    )
}  # fmt: skip

_BY_SUFFIX = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".qt": "mov", ".mkv": "matroska", ".mk3d": "matroska", ".webm": "webm",
    ".ts": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".m2t": "mpegts", ".avi": "avi", ".nut": "nut",
    ".y4m": "yuv4mpegpipe", ".gif": "gif", ".apng": "apng", ".webp": "webp", ".flv": "flv",
    ".mxf": "mxf", ".h264": "h264", ".264": "h264", ".avc": "h264", ".hevc": "hevc", ".h265": "hevc", ".265": "hevc",
    ".yuv": "rawvideo",
}  # fmt: skip

_ALIASES = {"mkv": "matroska", "ts": "mpegts", "y4m": "yuv4mpegpipe", "m4v": "mp4"}


def container_for(url: str, container_format: str | None) -> Container:
    """The container an output name, or the format asked for, stands for.

    Raises ConfigError where there is none, with the names that would be accepted.
    """
    if container_format is not None:
        return _by_format(_ALIASES.get(container_format, container_format))
    if url == STDOUT:
        # Raw pictures for the pipe, because its reader is another program on the same machine.
        return replace(CONTAINERS["nut"], encoders=_RAW)
    if url == NULL:
        return CONTAINERS["null"]
    suffix = PurePath(url).suffix.lower()
    if suffix in _BY_SUFFIX:
        return CONTAINERS[_BY_SUFFIX[suffix]]
    known = " ".join(sorted(s[1:] for s in _BY_SUFFIX))
    what = f"its ending {suffix!r} is unknown" if suffix else "it has no ending"
    raise ConfigError(
        f"cannot choose the container of output {url!r}: {what}",
        hint=f"name it with one of: {known}; or give a container format",
    )


def _by_format(name: str) -> Container:
    if name in CONTAINERS:
        return CONTAINERS[name]
    try:
        known = av.ContainerFormat(name, "w")
    except ValueError:
        close = difflib.get_close_matches(name, [*CONTAINERS, *_ALIASES], cutoff=0.5)
        raise ConfigError(
            f"unknown container format {name!r}",
            hint=f"close names: {', '.join(close)}" if close else f"known: {', '.join(sorted(CONTAINERS))}",
        ) from None
    if not known.is_output:
        raise ConfigError(
            f"container format {name!r} can be read but not written", hint="choose mp4, mov or mkv"
        )
    if known.flags & _OPENS_FILES:
        raise ConfigError(
            f"container format {name!r} opens files or devices of its own, which could not be taken back",
            hint="choose mp4, mov or mkv; pictures go to names like out/%06d.png, and `vsr stream` writes HLS",
        )
    return Container(name, exact_time=False, b_frames=False)


def containers_of(codec: str) -> list[str]:
    """Endings of the usual containers that hold a codec."""
    found = []
    for suffix, name in (
        (".mp4", "mp4"),
        (".mov", "mov"),
        (".mkv", "matroska"),
        (".webm", "webm"),
        (".avi", "avi"),
    ):
        with av.open(io.BytesIO(), "w", format=name) as output:
            if codec in output.supported_codecs:
                found.append(suffix)
    return found


MAX_TIMESCALE = 1_000_000
"""Ticks a second written at most: MP4 stores a frame's duration in 32 bits, which a nanosecond clock overflows."""


def output_time_base(
    container: Container, time_base: Fraction, frame_rate: Fraction | None, start: Fraction = Fraction(0)
) -> Fraction:
    """The encoder's and the stream's unit of time: the source's own wherever the container can hold it.

    start: where in the source it begins, in seconds. Between two ticks of it, a tick is a millisecond at most.
    """
    if container.constant_rate and frame_rate:
        return 1 / frame_rate
    if time_base <= 0:
        return Fraction(1, 90000)
    if time_base.denominator > MAX_TIMESCALE:
        return Fraction(1, MAX_TIMESCALE)
    if (start / time_base).denominator > 1:
        return time_base / math.ceil(1000 * time_base)
    return time_base
