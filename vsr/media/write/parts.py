"""Parts of a video: the packets of a run of its frames, in a file of their own until all are joined.

A part begins with `_MAGIC` and a header in JSON. Each packet follows as `_HEAD` and its bytes. `_END` ends it, with the number
of packets and a CRC-32 of all before. No container would do: packets keep the encoder's own times, which the join needs.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.packet import Packet

from vsr.core.errors import EncodeError, FileError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.files.checks import os_error
from vsr.files.whole import OutputFile
from vsr.media.types import Carried, SinkCounters, SinkOptions
from vsr.media.write.animation import GUESSES_LAST
from vsr.media.write.containers import NULL, STDOUT
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.encoding import Encoding
from vsr.media.write.endings import EndsOnce
from vsr.media.write.images import is_picture_output

_MAGIC = b"vsr part 1\n"
_LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<qqqBI")  # pts, dts, duration, whether it is a keyframe, bytes
_END = struct.Struct("<QI")
_IS_END = 2  # instead of a keyframe's 1
# Most reordered pictures of any codec: HEVC and H.264 keep 16.
_MOST_REORDERED = 16
_ANIMATIONS = GUESSES_LAST | {"gif"}
# The alpha of these codecs is stored beside the packets' bytes, and PyAV cannot write it there.
_ALPHA_BESIDE = frozenset({"vp8", "vp9"})
# The codec of packets that point at a picture in the memory of their process.
_POINTING = "wrapped_avframe"
# Side data that nothing reads behind the encoder, or that is in the packet as well.
_NOT_NEEDED = frozenset({"quality_stats", "cpb_properties", "a53_cc", "prft"})


def why_whole(url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> str:
    """The reason why an output must be made in one pass, empty if there is none. The arguments are those of `open_sink`.

    Raises ConfigError and EncoderUnavailableError as that does.
    """
    if url in (STDOUT, NULL):
        return "output to a pipe, or to nothing, cannot be continued"
    if is_picture_output(url, info, options):
        return "pictures are files of their own already"
    encoding = Encoding(url, options, carried, info)
    encoding.drop()
    if encoding.container.format in _ANIMATIONS:
        return f"an animation in {encoding.container.format} is made as a whole"
    if encoding.template.codec == _POINTING:
        return f"parts cannot hold the packets of {_POINTING}"
    if encoding.template.alpha and encoding.template.codec in _ALPHA_BESIDE:
        return f"parts cannot hold the alpha of {encoding.template.codec}"
    return ""


class PartSink(EndsOnce):
    """Encodes a run of frames into a part of an output. See `vsr.media.types.Sink`.

    A part that ends early is of no use: `keep_part` keeps nothing.
    """

    def __init__(
        self, path: Path, url: str, options: SinkOptions, carried: Carried, info: VideoInfo, first: Fraction
    ) -> None:
        """path: of the part. url, options, carried, info: of the whole output, as `open_sink` takes them. first: when the
        source shows the whole's first frame, in seconds. Raises the errors of `open_sink`, except those about copied
        streams."""
        super().__init__()
        self.name = str(path)
        self.counters = SinkCounters()
        encoding = self._encoding = Encoding(url, options, carried, info)
        encoding.clock.settle(first)
        self.notes, self.warnings = encoding.notes, encoding.warnings
        self.encoder: str | None = encoding.encoder
        self._crc = 0
        self._file = OutputFile(path)
        header = json.dumps(_described(encoding.template)).encode()
        self._put(_MAGIC + _LENGTH.pack(len(header)) + header)

    def write(self, frame: Frame) -> None:
        """Encode one frame and keep the finished packets. Raises EncodeError or FileError."""
        self._check_open()
        self._keep(self._encoding.encode(frame))
        self.counters.frames += 1

    def _keep(self, packets: list[Encoded]) -> None:
        for packet in packets:
            lost = {data.data_type for data in packet.packet.iter_sidedata()} - _NOT_NEEDED
            if lost:
                raise EncodeError(
                    f"{self._encoding.encoder} puts {', '.join(sorted(lost))} beside its packets, which parts cannot hold",
                    hint="--segment 0 makes it in one pass",
                )
            head = _HEAD.pack(packet.pts, packet.dts, packet.duration, packet.keyframe, packet.size)
            self._put(head)
            self._put(bytes(packet.packet))
            self.counters.packets += 1
            self.counters.video_bytes += packet.size

    def _put(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        try:
            self._file.write(data)
        except OSError as error:
            raise os_error(self.name, error) from error
        if self._file.error is not None:
            raise self._file.error
        self.counters.bytes = self._file.bytes

    def _finish(self) -> Path | None:
        try:
            self._keep(self._encoding.flush())
            self._put(_HEAD.pack(0, 0, 0, _IS_END, _END.size))
            self._put(_END.pack(self.counters.packets, self._crc))
            return self._file.commit()
        except BaseException:
            self._abandon()
            raise

    def _keep_part(self) -> Path | None:
        self._abandon()
        return None

    def _abandon(self) -> None:
        self._file.drop()
        self._encoding.drop()


class Part:
    """A part that is whole, to be read.

    times: pts of its packets, in the order they lie there. delay: how many of them are decoded before the first picture is
    shown. Raises FileError where it is damaged, or does not fit.
    """

    def __init__(self, path: Path, template: Template) -> None:
        """template: of the output that it is to be joined to."""
        self.path = path
        self._template = template
        with self._opened() as file:
            self._first = file.tell()
            self.times: list[int] = []
            decoded = []
            for head in self._heads(file):
                self.times.append(head[0])
                decoded.append(head[1])
                file.seek(head[4], 1)
        first = min(self.times, default=0)
        self.delay = sum(dts < first for dts in decoded[:_MOST_REORDERED])

    def packets(self) -> Iterator[Encoded]:
        """The part's packets, with the times their encoder gave them. Raises FileError for a part that has changed."""
        with self._opened() as file:
            file.seek(0)
            crc = zlib.crc32(file.read(self._first))
            for head in self._heads(file):
                data = file.read(head[4])
                crc = zlib.crc32(data, zlib.crc32(_HEAD.pack(*head), crc))
                packet = Packet(data)
                packet.is_keyframe = bool(head[3])
                yield Encoded("video", packet, *head[:3], time_base=self._template.time_base)
            crc = zlib.crc32(_HEAD.pack(0, 0, 0, _IS_END, _END.size), crc)
            if file.read() != _END.pack(len(self.times), crc):
                raise self._damaged()

    def _opened(self) -> BinaryIO:
        """The file behind its header."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise os_error(str(self.path), error) from error
        try:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise self._damaged()
            header = file.read(_LENGTH.unpack(file.read(_LENGTH.size))[0])
            if json.loads(header) != _described(self._template):
                raise FileError(
                    f"{self.path} was made by another encoder than this one",
                    hint="use the version of FFmpeg that began it, or discard it with --restart",
                )
        except (OSError, ValueError, struct.error) as error:
            file.close()
            raise self._damaged() from error
        except BaseException:
            file.close()
            raise
        return file

    def _heads(self, file: BinaryIO) -> Iterator[tuple[int, int, int, int, int]]:
        """The head of each packet; the reader goes on behind its bytes."""
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise self._damaged()
            found = _HEAD.unpack(head)
            if found[3] == _IS_END:
                return
            yield found

    def _damaged(self) -> FileError:
        return FileError(
            f"{self.path} is damaged or not whole", hint="--restart discards it and begins again"
        )


def _described(template: Template) -> dict[str, str | int]:
    """The values that must be equal for packets to be joined."""
    context = template.stream.codec_context
    extradata = hashlib.sha256(bytes(context.extradata or b"")).hexdigest()
    return {"encoder": template.encoder, "time_base": str(template.time_base), "extradata": extradata}
