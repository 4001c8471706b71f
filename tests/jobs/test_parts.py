"""An output made in parts and joined is the output of one pass: every frame, its time, and what is copied beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.packet import Packet
from av.video.frame import VideoFrame

from tests.support import clips
from tests.support.tiers import slow_except
from vsr.core.errors import EncodeError, FileError
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.upscale import UpscaleJob
from vsr.media.read.decode import Decoder
from vsr.media.read.index import VideoIndex, video_index
from vsr.media.read.open import open_source
from vsr.media.read.source import FileSource
from vsr.media.types import SinkOptions, SourceOptions
from vsr.upscale.options import NetworkOptions

SOURCE = "testsrc2=size=64x48:rate=25:duration=3"
_X264 = ("-c:v", "libx264", "-g", "13", "-pix_fmt", "yuv420p")
_INTERLACED = ("-vf", "interlace", "-flags", "+ilme+ildct", "-g", "13", "-pix_fmt", "yuv420p")


def _with_sound(name: str, *options: str, source: str = SOURCE) -> Path:
    inputs = ("-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=frequency=440:duration=3")
    return clips.made(name, (source, *options), lambda path: clips.run(*inputs, *options, path))


def _edited() -> Path:
    """An MP4 that begins, by its edit list, in the middle of a group of pictures."""
    whole = _with_sound("edited.mp4", *_X264, "-bf", "2")
    return clips.made(
        "edit.mp4", "edit", lambda path: clips.run("-ss", "0.7", "-i", whole, "-c", "copy", path)
    )


def _damaged() -> Path:
    """One group of pictures does not decode at all, another one in parts."""
    whole = _with_sound("whole.mp4", *_X264, "-bf", "2")
    data = bytearray(whole.read_bytes())
    packets = [
        int(one["pos"]) for one in clips.ffprobe(whole, "packet=pos", "-select_streams", "v")["packets"]
    ]
    for place in (*packets[13:26], packets[42]):
        data[place : place + 8] = b"\xff" * 8
    return clips.made("damaged.mp4", "groups", lambda path: path.write_bytes(data))


INPUTS: dict[str, Callable[[], Path]] = {
    "open groups": lambda: _with_sound(
        "open.mkv", *_X264, "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal"
    ),
    "interlaced": lambda: clips.make(
        "i.mp4", "-c:v", "libx264", *_INTERLACED, "-bf", "2", source=SOURCE.replace("25", "50")
    ),
    "broadcast": lambda: _with_sound(
        "i.ts", "-c:v", "mpeg2video", *_INTERLACED, "-bf", "2", source=SOURCE.replace("25", "50")
    ),
    "intra refresh": lambda: _with_sound(
        "refresh.ts", *_X264, "-bf", "0", "-x264-params", "intra-refresh=1:keyint=13:scenecut=0"
    ),
    "variable rate": lambda: _with_sound(
        "v.mp4",
        "-vf",
        "select='not(mod(n,3))+not(mod(n,7))'",
        "-fps_mode",
        "vfr",
        *_X264,
        "-g",
        "6",
        "-bf",
        "3",
    ),
    "edit list": _edited,
    "damaged": _damaged,
}
ENCODERS = {"mkv": "ffv1", "mp4": "libx264"}


def in_parts(
    job: UpscaleJob, url: Path, output: Path, index: VideoIndex, folder: Path, every: int = 1
) -> list[Path]:
    """All parts of an output, cut at every so many keyframes."""
    shown = set(index.times)
    cuts = [key for key in index.keyframes if key in shown and key > index.times[0]][every - 1 :: every]
    parts = []
    for number, (begin, end) in enumerate(itertools.pairwise([None, *cuts, None])):
        seek = None
        if begin is not None:
            early = index.times[max(0, index.times.index(begin) - 2)]
            seek = max((key for key in index.keyframes if key <= early), default=None)
        parts.append(folder / f"{number}.vsr")
        job.run_part(str(url), str(output), parts[-1], seek=seek, begin=begin, end=end)
    return parts


def facts(path: Path) -> dict[str, Any]:
    """What FFmpeg's tools see in a file, but for where its keyframes lie and how large its pictures are."""
    streams = "stream=codec_name,start_pts,duration_ts,nb_frames,time_base:chapter"
    frames = clips.ffprobe(path, "frame=pts,duration", "-select_streams", "v")["frames"]
    return {
        **clips.ffprobe(path, streams, "-show_chapters"),
        "sound": clips.ffprobe(path, "packet=pts,dts,duration,size", "-select_streams", "a"),
        "frames": [(frame["pts"], frame.get("duration")) for frame in frames],
    }


@pytest.mark.parametrize("kind", slow_except("open groups", INPUTS))
@pytest.mark.parametrize("ending", ENCODERS)
@pytest.mark.parametrize("wanted", [{}, {"start_s": 0.9, "duration_s": 1.5}], ids=["all", "some"])
def test_parts_make_what_one_pass_makes(
    kind: str, ending: str, wanted: dict[str, float], tmp_path: Path
) -> None:
    url, options = INPUTS[kind](), SourceOptions(**wanted)
    one, joined = tmp_path / f"one.{ending}", tmp_path / f"joined.{ending}"
    sink = SinkOptions(encoder=ENCODERS[ending])
    config = UpscaleConfig((str(url),), None, NetworkOptions("bicubic"), source=options, sink=sink)
    index = video_index(str(url), options)
    with UpscaleJob(config) as job:
        report = job.run(str(url), str(one))
        parts = in_parts(job, url, joined, index, tmp_path)
        assert len(parts) > 2
        made = job.join(str(url), str(joined), parts)
    assert made.frames == report.frames_out
    assert made.frames == len(index.times) or kind == "damaged"
    assert facts(joined) == facts(one)
    if ENCODERS[ending] == "ffv1":
        assert _pictures(joined) == _pictures(one)


def test_each_part_decodes_exactly_its_frames() -> None:
    url, options = str(INPUTS["interlaced"]()), SourceOptions(deinterlace="field")
    with open_source(url, options) as source:
        whole = [(frame.pts, frame.duration, _bytes(frame.planes)) for frame in source]
    index = video_index(url, options)
    found = []
    for number, key in enumerate(index.keyframes):
        end = index.keyframes[number + 1] if number + 1 < len(index.keyframes) else None
        with open_source(url, options) as source:
            assert isinstance(source, FileSource)
            part = source.part(index.keyframes[number - 1] if number else None, key if number else None, end)
            found += [(frame.pts, frame.duration, _bytes(frame.planes)) for frame in part]
    assert found == whole


@pytest.mark.parametrize(
    ("kind", "options", "at", "again"),
    [
        ("open groups", SourceOptions(), 2, False),
        ("intra refresh", SourceOptions(), 2, True),
        ("interlaced", SourceOptions(), 1, False),
        ("interlaced", SourceOptions(deinterlace="off"), 2, False),
    ],
    ids=["open groups", "intra refresh", "interlaced", "interlaced, as it is"],
)
def test_a_part_decodes_what_is_before_it_only_if_it_must(
    kind: str, options: SourceOptions, at: int, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """at: the keyframe that decoding begins at, the part's own or the one before it. again: whether it begins anew, earlier."""
    url, begun = str(INPUTS[kind]()), list[int | None]()
    keys = video_index(url, options).keyframes
    make, decode = Decoder.__init__, Decoder._decode

    def begins(self: Decoder, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        self.first_packet = True  # type: ignore[attr-defined]

    def decoded(self: Decoder, packet: Packet[Any] | None) -> list[VideoFrame]:
        if self.first_packet and packet is not None:  # type: ignore[attr-defined]
            begun.append(packet.pts)
            self.first_packet = False  # type: ignore[attr-defined]
        return decode(self, packet)

    monkeypatch.setattr(Decoder, "__init__", begins)
    monkeypatch.setattr(Decoder, "_decode", decoded)
    with open_source(url, options) as source:
        assert isinstance(source, FileSource)
        begun.clear()
        frames = list(source.part(keys[1], keys[2], keys[3]))
    assert frames[0].pts == keys[2]
    assert begun[0] == keys[at]
    assert (len(begun) > 1) == again


def _pictures(path: Path) -> list[bytes]:
    with open_source(str(path)) as source:
        return [_bytes(frame.planes) for frame in source]


def _bytes(planes: Any) -> bytes:
    return b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("a.264", ("-c:v", "libx264"), "no timestamps"),
        ("a.avi", ("-c:v", "libx264", "-bf", "2"), "AVI"),
        ("a.gif", (), "pictures"),
    ],
)
def test_what_cannot_be_cut_says_why(name: str, options: tuple[str, ...], why: str) -> None:
    index = video_index(str(clips.make(name, *options)), SourceOptions())
    assert why in index.uncuttable
    assert index.times == ()


def _two_parts(tmp_path: Path, job: UpscaleJob, output: Path) -> tuple[Path, list[Path]]:
    url = INPUTS["open groups"]()
    return url, in_parts(job, url, output, video_index(str(url), SourceOptions()), tmp_path, every=3)


@pytest.fixture
def job() -> Any:
    config = UpscaleConfig(
        ("a",), None, NetworkOptions("bicubic"), sink=SinkOptions(encoder="libx264", preset="ultrafast")
    )
    with UpscaleJob(config) as job:
        yield job


def test_a_damaged_part_is_refused_and_nothing_is_left(tmp_path: Path, job: UpscaleJob) -> None:
    output = tmp_path / "out.mp4"
    url, parts = _two_parts(tmp_path, job, output)
    whole = parts[1].read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], whole[:-100] + b"x" + whole[-99:], b"", whole[:9]):
        parts[1].write_bytes(damaged)
        with pytest.raises(FileError, match=r"1\.vsr is damaged"):
            job.join(str(url), str(output), parts)
        assert not list(tmp_path.glob("out*"))


def test_parts_of_another_encoder_are_refused(tmp_path: Path, job: UpscaleJob) -> None:
    output = tmp_path / "out.mp4"
    url, parts = _two_parts(tmp_path, job, output)
    config = UpscaleConfig(("a",), None, NetworkOptions("bicubic"), sink=SinkOptions(encoder="mpeg4"))
    with UpscaleJob(config) as other, pytest.raises(FileError, match="another encoder"):
        other.join(str(url), str(output), parts)


@pytest.mark.parametrize(
    ("name", "encoder", "why"),
    [
        ("out.webm", "libvpx-vp9", "alpha of vp9"),
        ("out.gif", None, "animation"),
        ("%03d.png", None, "pictures"),
        ("-", None, "pipe"),
        ("null:", None, "nothing"),
        ("out.mov", "prores_ks", ""),
    ],
)
def test_what_is_made_as_a_whole_says_why(name: str, encoder: str | None, why: str, tmp_path: Path) -> None:
    url = clips.make("alpha.mov", "-c:v", "png", "-vf", "format=rgba", source=SOURCE)
    output = name if name in ("-", "null:") else str(tmp_path / name)
    config = UpscaleConfig(("a",), None, NetworkOptions("bicubic"), sink=SinkOptions(encoder=encoder))
    with UpscaleJob(config) as job:
        index = job.index(str(url), output)
        assert why in index.uncuttable
        assert bool(index.times) == (why == "")
        if why.startswith("alpha"):
            with pytest.raises(EncodeError) as caught:
                job.run_part(str(url), output, tmp_path / "0.vsr", seek=None, begin=None, end=None)
            assert "--segment 0" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []
