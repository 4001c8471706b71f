"""Opening inputs: what an address means to FFmpeg, and every failure said in one sentence."""

from __future__ import annotations

import re
import stat
from fractions import Fraction
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from vsr.core.errors import SourceLostError, SourceOpenError, SourceTimeoutError

OPEN_TIMEOUT_S = 20.0
READ_TIMEOUT_S = 30.0

RECONNECTING = {"reconnect": "1", "reconnect_delay_max": "16", "seg_max_retry": "3"}
"""For HTTP: what breaks off is gone on with, after pauses of up to 15 s, and a segment is asked for three times more."""

IN_SEGMENTS = frozenset({"hls", "dash"})
"""Demuxers of what lies in pieces of some seconds, fetched one by one."""

# FFmpeg takes any text for ANSI art, and these open devices and scripts rather than media.
_REFUSED_FORMATS = frozenset({"tty", "lavfi", "bin", "xbin", "adf", "idf"})
# How far into a file it is looked for streams that are announced and do not come: in microseconds and bytes.
_PATIENT = {"analyzeduration": "120000000", "probesize": "134217728"}
_SEQUENCE = re.compile(r"%(0(\d+))?d")
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
DEFAULT_SEQUENCE_RATE = Fraction(25)


def is_url(url: str) -> bool:
    """Whether an address names a protocol FFmpeg speaks, not a file."""
    return bool(_URL.match(url)) and not url.startswith("file://")


def file_name(url: str) -> str:
    """An address that is no URL as the file system knows it: files may be written as `file://...`."""
    return url.removeprefix("file://")


def is_sequence(url: str) -> bool:
    """Whether an address is a numbered sequence such as `frames/%06d.png`, and no file of that very name."""
    return bool(_SEQUENCE.search(Path(url).name)) and not is_url(url) and not Path(url).exists()


def is_read_once(url: str) -> bool:
    """Whether what is opened gives its bytes once: standard input, a FIFO, what a shell's `<(...)` names."""
    path = Path(file_name(url))
    return url == "-" or (not is_url(url) and path.exists() and not path.is_file())


def is_lost(url: str, error: BaseException) -> bool:
    """Whether an error while reading means that the connection broke, rather than that a packet is damaged."""
    return is_url(url) and isinstance(error, OSError | av.HTTPError)


def shown(url: str) -> str:
    """The address as it may be shown: without user, password, query and stream key."""
    if not is_url(url):
        return "standard input" if url == "-" else url
    scheme, _, rest = url.partition("://")
    login, _, after = rest.rpartition("@")
    # A password may hold "/", "?" and "#", unless it is a path or a query that holds the "@".
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if login and ("@" in host or not re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:\d*)?", host)):
        rest = after
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    if scheme.lower().startswith("rtmp") and rest.count("/") > 1:
        rest = rest.rpartition("/")[0] + "/..."  # the key of a stream is its password
    return f"{scheme}://{rest}"


def sequence_files(url: str) -> list[Path]:
    """The files of a numbered sequence, in order. Raises SourceOpenError when there is none, or one is missing."""
    path = Path(url)
    match = _SEQUENCE.search(path.name)
    if match is None:
        raise SourceOpenError(f"{url}: not a numbered sequence", hint="write it like frames/%06d.png")
    if len(_SEQUENCE.findall(path.name)) > 1:
        raise SourceOpenError(
            f"{url}: more than one number in the name", hint="write one, like frames/%06d.png"
        )
    before, after = path.name[: match.start()], path.name[match.end() :]
    width = int(match[2] or 0)
    pattern = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbered: dict[int, Path] = {}
    try:
        entries = list(path.parent.iterdir())
    except OSError as error:
        raise SourceOpenError(f"{path.parent}: {_oserror(error)}", hint="check the folder's name") from error
    for entry in entries:
        found = pattern.fullmatch(entry.name)
        if found and len(found[1]) == max(width, len(str(int(found[1])))):
            numbered[int(found[1])] = entry
    if not numbered:
        raise SourceOpenError(
            f"{url}: no such files in {path.parent}", hint="check the pattern and the folder"
        )
    numbers = sorted(numbered)
    missing = next((n for n in range(numbers[0], numbers[-1]) if n not in numbered), None)
    if missing is not None:
        name = f"{before}{missing:0{width}d}{after}"
        raise SourceOpenError(
            f"{url}: {name} is missing of the sequence {numbers[0]} to {numbers[-1]}",
            hint="renumber the files, or give them as a glob to treat each as a picture of its own",
        )
    return [numbered[n] for n in numbers]


def open_container(
    url: str, *, frame_rate: Fraction | None = None, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Open a file, an URL, `-` or a sequence. Raises SourceOpenError or SourceTimeoutError, never anything of av's.

    frame_rate is for sequences, and for raw streams that don't say theirs. hwaccel: what to decode on.
    """
    options: dict[str, str] = {}
    demuxer: str | None = None
    timeout: tuple[float, float] | None = None
    if url == "-":
        address = "pipe:0"
    elif is_url(url):
        address, timeout = url, (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
        if url.lower().startswith(("http://", "https://")):
            options |= RECONNECTING
    elif is_sequence(url):
        files = sequence_files(url)
        number = re.search(_number_pattern(url), files[0].name)
        options["start_number"] = str(int(number[1])) if number else "0"
        options["framerate"] = str(frame_rate or DEFAULT_SEQUENCE_RATE)
        # "%" in folder names is no pattern.
        address = "file:" + str(files[0].parent).replace("%", "%%") + "/" + Path(url).name
        demuxer = "image2"
    else:
        path = Path(file_name(url))
        check_file(path)
        # The protocol is said, or "a:b.mp4" would be one; and what image2 opens is one file, not a pattern.
        address = f"file:{path}"
        options["pattern_type"] = "none"
        if frame_rate is not None:
            options["framerate"] = str(frame_rate)

    def opened() -> InputContainer:
        return av.open(
            address,
            "r",
            format=demuxer,
            options=options,
            metadata_errors="replace",
            timeout=timeout,
            hwaccel=hwaccel,
        )

    try:
        container = opened()
        if not is_read_once(url) and not timeout and _has_unknown_streams(container):
            container.close()
            options |= _PATIENT
            container = opened()
    except (av.FFmpegError, ValueError, OSError, MemoryError, RuntimeError) as error:
        raise open_error(url, error) from error
    if container.format.name in _REFUSED_FORMATS:
        container.close()
        raise SourceOpenError(
            f"{shown(url)}: not a video or picture", hint="vsr reads what FFmpeg takes for media"
        )
    return container


def _has_unknown_streams(container: InputContainer) -> bool:
    """Whether there are streams of which nothing came while FFmpeg looked, as sound that begins late in a recording."""
    # Where FFmpeg has no decoder there is no context, which PyAV's types don't say.
    if any(
        stream.codec_context and not stream.codec_context.sample_rate for stream in container.streams.audio
    ):
        return True
    return any(stream.codec_context and not stream.codec_context.width for stream in container.streams.video)


def _number_pattern(url: str) -> str:
    name = Path(url).name
    match = _SEQUENCE.search(name)
    assert match is not None
    return re.escape(name[: match.start()]) + r"(\d+)" + re.escape(name[match.end() :])


def check_file(path: Path) -> None:
    """Raise SourceOpenError unless there is a readable file with something in it."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceOpenError(
                f"{path}: is a folder", hint="give the files in it, or the folder as an input"
            )
        if stat.S_ISREG(status.st_mode):
            if status.st_size == 0:
                raise SourceOpenError(
                    f"{path}: is empty", hint="the file has no bytes; copy or download it again"
                )
            path.open("rb").close()
    except OSError as error:
        raise SourceOpenError(f"{path}: {_oserror(error)}", hint=_os_hint(error)) from error


def open_error(url: str, error: BaseException) -> SourceOpenError | SourceTimeoutError:
    """What could not be opened, and why, as one of our errors."""
    where = shown(url)
    if isinstance(error, av.ExitError):
        return SourceTimeoutError(
            f"{where}: nothing came within {OPEN_TIMEOUT_S:g} s", hint="check the address and the network"
        )
    if isinstance(error, av.ProtocolNotFoundError):
        return SourceOpenError(f"{where}: FFmpeg here speaks no such protocol", hint="check the address")
    if isinstance(error, av.InvalidDataError | av.EOFError) and where.lower().endswith(".mpd"):
        return SourceOpenError(
            f"{where}: not a DASH presentation, or an FFmpeg that reads none, as PyAV's does not",
            hint="take its HLS playlist (.m3u8), or `ffmpeg -i ADDRESS -c copy -f nut - | vsr upscale - OUTPUT`",
        )
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return SourceOpenError(
            f"{where}: not media, or damaged beyond reading",
            hint="check that it plays elsewhere; an unfinished MP4 can't",
        )
    if isinstance(error, MemoryError):
        return SourceOpenError(f"{where}: not enough memory to open it")
    if isinstance(error, OSError):
        return SourceOpenError(f"{where}: {_oserror(error)}", hint=_os_hint(error))
    return SourceOpenError(f"{where}: {reason(error)}", hint="check that it plays elsewhere")


def read_error(url: str, error: BaseException) -> SourceLostError | SourceTimeoutError:
    """What happened to an address that had been opened."""
    if isinstance(error, av.ExitError):
        return SourceTimeoutError(
            f"{shown(url)}: nothing came for {READ_TIMEOUT_S:g} s", hint="check the network and begin again"
        )
    return SourceLostError(
        f"{shown(url)}: the connection broke: {reason(error).lower()}",
        hint="check the network and begin again, or download it first",
    )


def reason(error: BaseException) -> str:
    """What an exception of av's says, without its numbers and function names."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _oserror(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    return reason(error).lower()


def _os_hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "check the name; a sequence is written like frames/%06d.png"
    if isinstance(error, PermissionError):
        return "make it readable, or run as its owner"
    return "check the address"
