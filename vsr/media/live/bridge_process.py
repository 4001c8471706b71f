"""The process of a `Bridge`: bytes between a pipe and an address, which the system's libavformat opens.

bridge_process.py reads|writes. The first line of its standard input is the address. `reads`: what comes from there goes to
standard output. `writes`: what follows on standard input goes there. It says CONNECTED on standard error once the other side is
there; anything else that stands there is a complaint.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_void_p

from vsr.media.live.child import end_with_parent

CONNECTED = "connected"
# Seven packets of MPEG-TS, what a datagram holds.
PACKET_BYTES = 7 * 188
_READ, _WRITE = 1, 2  # avio.h: AVIO_FLAG_*
_LOG_ERROR = 16  # log.h: AV_LOG_ERROR
_END_OF_FILE = -int.from_bytes(b"EOF ", "little")  # error.h: AVERROR_EOF


class _Context(ctypes.Structure):
    """The beginning of AVIOContext, the same since libavformat 59."""

    _fields_ = [
        ("av_class", c_void_p),
        ("buffer", c_void_p),
        ("buffer_size", c_int),
        ("buf_ptr", c_void_p),
        ("buf_end", c_void_p),
        ("opaque", c_void_p),
        ("read_packet", c_void_p),
        ("write_packet", c_void_p),
        ("seek", c_void_p),
        ("pos", c_int64),
        ("eof_reached", c_int),
        ("error", c_int),
    ]


class _Ffmpeg:
    """Raises OSError."""

    def __init__(self) -> None:
        self._format, self._util = (
            ctypes.CDLL(ctypes.util.find_library(name)) for name in ("avformat", "avutil")
        )
        self._format.avio_open2.argtypes = [POINTER(POINTER(_Context)), c_char_p, c_int, c_void_p, c_void_p]
        self._format.avio_read_partial.argtypes = [POINTER(_Context), c_char_p, c_int]
        self._format.avio_write.argtypes = [POINTER(_Context), c_char_p, c_int]
        self._format.avio_flush.argtypes = [POINTER(_Context)]
        self._format.avio_closep.argtypes = [POINTER(POINTER(_Context))]
        self._util.av_strerror.argtypes = [c_int, c_char_p, ctypes.c_size_t]
        self._util.av_log_set_level(_LOG_ERROR)
        self._format.avformat_network_init()
        self._io = POINTER(_Context)()

    def open(self, url: bytes, flags: int) -> None:
        self._check(self._format.avio_open2(byref(self._io), url, flags, None, None))

    def read(self) -> bytes:
        """What has come, as soon as some has; nothing at the end."""
        buffer = ctypes.create_string_buffer(32 * PACKET_BYTES)
        count = self._format.avio_read_partial(self._io, buffer, len(buffer))
        return buffer.raw[: self._check(count)] if count != _END_OF_FILE else b""

    def write(self, data: bytes) -> None:
        """Send it now."""
        self._format.avio_write(self._io, data, len(data))
        self._format.avio_flush(self._io)
        self._check(self._io.contents.error)

    def close(self) -> None:
        self._check(self._format.avio_closep(byref(self._io)))

    def _check(self, result: int) -> int:
        if result < 0:
            text = ctypes.create_string_buffer(128)
            self._util.av_strerror(result, text, len(text))
            raise OSError(text.value.decode(errors="replace"))
        return result


def main(way: str) -> int:
    end_with_parent()
    url = b""
    while not url.endswith(b"\n"):  # byte by byte: what follows is not ours to buffer
        url += os.read(0, 1) or b"\n"
    try:
        ffmpeg = _Ffmpeg()
        ffmpeg.open(url[:-1], _READ if way == "reads" else _WRITE)
        _tell(CONNECTED)
        if way == "reads":
            while data := ffmpeg.read():
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        else:
            while data := sys.stdin.buffer.read(PACKET_BYTES):
                ffmpeg.write(data)
        ffmpeg.close()
    except BrokenPipeError:
        os._exit(0)  # Nobody reads any more.
    except OSError as error:
        _tell(str(error))
        return 1
    return 0


def _tell(line: str) -> None:
    os.write(2, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
