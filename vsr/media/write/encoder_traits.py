"""The options of each encoder for quality and speed, and vsr's defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from av.codec.context import CodecContext

X264_PRESETS = (
    "ultrafast superfast veryfast faster fast medium slow slower veryslow placebo".split()
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """How an encoder is told about quality and speed.

    crf_option: the option `crf` goes to; "qscale" is FFmpeg's fixed quantiser, None where there is no such thing. crf_range,
    crf: what it takes and vsr's default. preset_option, presets, preset: likewise for speed; no presets listed means whatever
    the encoder itself accepts. bitrate: it can be given a rate. even: 4:2:0 needs even sides (and 4:2:2 even widths). lossless:
    neither quality nor rate. counts_frames: its clock is the frame rate, nothing finer.
    """

    crf_option: str | None = None
    crf_range: tuple[float, float] = (0, 51)
    crf: float | None = None
    preset_option: str | None = None
    presets: tuple[str, ...] = ()
    preset: str | None = None
    bitrate: bool = True
    even: bool = False
    lossless: bool = False
    counts_frames: bool = False
    options: dict[str, str] = field(default_factory=dict)


_X264 = Traits("crf", (0, 51), 16, "preset", tuple(X264_PRESETS), "veryfast", even=True)
_MPEG = Traits("qscale", (1, 31), 2, counts_frames=True)
_NVENC = Traits("cq", (0, 51), 18, "preset", tuple(f"p{i}" for i in range(1, 8)), "p5", options={"rc": "vbr"})
_QSV = Traits("global_quality", (1, 51), 18, "preset", tuple(X264_PRESETS[2:9]), "medium")
_LOSSLESS = Traits(lossless=True, bitrate=False)

# "veryfast" costs a third of "medium" in x264 and even less in x265: on the few cores beside an upscaler, the network must not
# wait for the encoder. The crf keeps the quality; only the file gets larger.
TRAITS: dict[str, Traits] = {
    "libx264": _X264,
    "libx264rgb": _X264,
    "libx265": replace(_X264, crf=17, options={"x265-params": "log-level=error"}),
    "libsvtav1": Traits("crf", (0, 63), 18, "preset", tuple(str(i) for i in range(-1, 14)), "10", even=True),
    "libaom-av1": Traits("crf", (0, 63), 18, "cpu-used", tuple(str(i) for i in range(9)), "6"),
    "libvpx-vp9": Traits("crf", (0, 63), 18, "cpu-used", tuple(str(i) for i in range(-8, 9)), "4",
                         options={"deadline": "good", "row-mt": "1"}),
    "libvpx": Traits("crf", (4, 63), 8, "cpu-used", tuple(str(i) for i in range(-16, 17)), "4",
                     options={"deadline": "good"}),
    "h264_nvenc": _NVENC, "hevc_nvenc": _NVENC, "av1_nvenc": _NVENC,
    "h264_qsv": _QSV, "hevc_qsv": _QSV, "av1_qsv": _QSV, "vp9_qsv": _QSV,
    "mjpeg": Traits("qscale", (1, 31), 2),
    "mpeg4": _MPEG, "mpeg2video": _MPEG, "mpeg1video": _MPEG, "msmpeg4": _MPEG, "msmpeg4v2": _MPEG, "h263p": _MPEG,
    "flv": _MPEG, "wmv1": _MPEG, "wmv2": _MPEG, "h261": _MPEG, "h263": _MPEG,
    "prores_ks": Traits("qscale", (0, 64), bitrate=True), "prores": Traits(), "prores_aw": Traits(), "dnxhd": Traits(),
    "libwebp": Traits("quality", (0, 100), 95, "preset", ("none", "default", "picture", "photo", "drawing", "icon", "text"),
                      bitrate=False),
    "libwebp_anim": Traits("quality", (0, 100), 95, "preset",
                           ("none", "default", "picture", "photo", "drawing", "icon", "text"), bitrate=False),
    **dict.fromkeys("ffv1 utvideo huffyuv ffvhuff magicyuv png apng qtrle gif rawvideo wrapped_avframe v210 v410 r210 r10k "
                    "tiff bmp jpegls ljpeg qoi dpx exr zlib zmbv flashsv".split(), _LOSSLESS),
}  # fmt: skip


def traits_of(encoder: str) -> Traits:
    """The traits of a video encoder by FFmpeg's name; for an encoder that is not listed, guessed from its own option table."""
    return TRAITS.get(encoder) or _guessed_traits(encoder)


def _guessed_traits(name: str) -> Traits:
    context = CodecContext.create(name, "w")
    private = {option.name for option in context.supported_options.private}
    if name.endswith(("_v4l2m2m", "_amf")):
        return Traits()
    return Traits(
        crf_option="crf" if "crf" in private else None,
        crf_range=(0, 63),
        preset_option="preset" if "preset" in private else None,
    )
