"""Which encoder, which pixel format, and the options the user's few words become for it."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

import av
from av.codec.context import CodecContext

from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import ConfigError, DecodeError, EncoderUnavailableError
from vsr.core.frame import PixelFormat
from vsr.media.frames.color import color_after
from vsr.media.frames.hwaccel import SEMI_PLANAR
from vsr.media.frames.planes import is_direct, pixel_format
from vsr.media.types import SinkOptions

X264_PRESETS = (
    "ultrafast superfast veryfast faster fast medium slow slower veryslow placebo".split()
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """How an encoder is told about quality and speed.

    crf_option: the option `crf` goes to; "qscale" is FFmpeg's fixed quantiser, None where there is no such thing.
    crf_range, crf: what it takes and vsr's default. preset_option, presets, preset: likewise for speed; no presets listed
    means whatever the encoder itself accepts. bitrate: it can be given a rate. even: 4:2:0 needs even sides (and 4:2:2 even
    widths). lossless: neither quality nor rate. counts_frames: its clock is the frame rate, nothing finer.
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

# "veryfast" costs a third of "medium" in x264 and less still in x265: on the few cores an upscaler leaves over, the encoder
# must not be what the network waits for. Quality is held by the crf; only the size of the file pays.
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

# Codecs whose decoders hand alpha back, among those whose encoders list a format with it.
_ALPHA = frozenset(
    "prores_ks ffv1 png apng qtrle libvpx libvpx-vp9 libwebp libwebp_anim utvideo magicyuv ffvhuff huffyuv rawvideo "
    "tiff bmp qoi jpeg2000 cfhd exr dpx hap".split()
)


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """An encoder with everything it will be told.

    pix_fmt: FFmpeg's name; format and color: what the frames are brought to. qscale: fixed quantiser, None without.
    warnings: what of the source's samples the encoder cannot hold.
    """

    name: str
    pix_fmt: str
    format: PixelFormat
    color: Color
    traits: Traits
    options: dict[str, str]
    bitrate: int | None
    qscale: float | None
    warnings: tuple[str, ...]

    @property
    def takes_device_frames(self) -> bool:
        """Whether the encoder takes frames where they lie on a GPU."""
        return (
            self.name.endswith("_nvenc")
            and self.format.log2_chroma == (1, 1)
            and self.format.bits in SEMI_PLANAR
        )


@lru_cache(maxsize=1)
def available_encoders() -> tuple[str, ...]:
    """Names of all video encoders in this FFmpeg build."""
    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "video" and codec.name == name:
            names.append(name)
    return tuple(names)


def encoder_named(name: str) -> str:
    """The name of that video encoder, or of the one FFmpeg takes for a codec of that name: libx265 for "hevc".

    Raises EncoderUnavailableError where this build has none.
    """
    try:
        codec = av.Codec(name, "w")
        if codec.type == "video":
            return codec.name
    except ValueError:
        pass
    known = available_encoders()
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.4)
    close += [n for n in known if n not in close and (name.lower() in n or n in name.lower())]
    usual = [n for n in ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "prores_ks", "ffv1") if n in known]
    raise EncoderUnavailableError(
        f"this FFmpeg build has no video encoder {name!r}",
        hint=f"it has, among {len(known)}: {', '.join(dict.fromkeys([*close[:6], *usual]))}",
    )


def plan_encoder(
    name: str, fmt: PixelFormat, color: Color, width: int, height: int, options: SinkOptions
) -> EncoderPlan:
    """Settle everything about the encoder for frames of that format, colour and size.

    Raises EncoderUnavailableError for unknown encoders, ConfigError for values they don't take.
    """
    name = encoder_named(name)
    traits = TRAITS.get(name) or _guessed_traits(name)
    pix_fmt = options.pix_fmt or best_pix_fmt(name, fmt)
    _check_pix_fmt(name, pix_fmt)
    target = pixel_format(pix_fmt)
    warnings = lost_samples(name, fmt, target)
    if traits.even:
        _check_even(name, target, width, height)
    settings = dict(traits.options)
    bitrate, qscale = _rate(name, traits, settings, options)
    _preset(name, traits, settings, options)
    if target.alpha and name == "libvpx-vp9":
        settings["auto-alt-ref"] = "0"  # the encoder refuses alpha with hidden frames
    settings = merged(merged(settings, options.encoder_options), safe_options(name, width))
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it prints its banner past FFmpeg's log
    return EncoderPlan(
        name, pix_fmt, target, encoded_color(name, fmt, target, color, width, height), traits, settings, bitrate, qscale,
        tuple(warnings),
    )  # fmt: skip


def safe_options(encoder: str, width: int) -> dict[str, str]:
    """Options without which an encoder damages memory. x265 4.2's cuTree writes its costs four blocks of 16 pixels at a
    time, past the end of a buffer as narrow as the picture (valgrind shows it at up to 48 pixels)."""
    return {"x265-params": "cutree=0"} if encoder == "libx265" and width <= 48 else {}


def merged(options: dict[str, str], more: dict[str, str]) -> dict[str, str]:
    """Options with others over them; the `-params` lists of x264, x265 and SVT-AV1 are joined rather than replaced."""
    result = dict(options)
    for key, value in more.items():
        joins = key.endswith("-params") and result.get(key)
        result[key] = f"{result[key]}:{value}" if joins else value
    return result


def best_pix_fmt(encoder: str, wanted: PixelFormat) -> str:
    """The format of the encoder's that loses least, and of those the one that wastes least."""
    formats = av.Codec(encoder, "w").video_formats
    if not formats:
        from vsr.media.frames.planes import av_name

        return av_name(wanted)
    best: tuple[float, str] | None = None
    for video_format in formats:
        name = video_format.name
        if name.startswith("yuvj"):
            continue
        try:
            cost = _cost(wanted, pixel_format(name), alpha=encoder in _ALPHA)
        except DecodeError:
            continue  # lies on a device
        if video_format.is_bit_stream or video_format.has_palette or video_format.bits_per_pixel < 8:
            cost += 500
        if not is_direct(name):
            cost += 0.01
        if best is None or cost < best[0]:
            best = cost, name
    if best is None:
        raise EncoderUnavailableError(
            f"encoder {encoder} takes frames in device memory only", hint="choose one that encodes on the CPU"
        )
    return best[1]


def _cost(wanted: PixelFormat, offered: PixelFormat, *, alpha: bool) -> float:
    """How much worse `offered` is; losing colour, depth, chroma and alpha in that order, then waste."""
    cost = 0.0
    if wanted.kind != offered.kind:
        cost += {"yuvrgb": 30, "rgbyuv": 5, "yuvgray": 1000, "rgbgray": 1000, "grayyuv": 1, "grayrgb": 3}[
            wanted.kind + offered.kind
        ]
    if offered.bits < wanted.bits:
        cost += 40 + 10 * (wanted.bits - offered.bits)
    else:
        cost += 0.2 * (offered.bits - wanted.bits)
    chroma = (1, 1) if wanted.kind == "gray" else wanted.log2_chroma
    if offered.kind != "gray":
        for have, want in zip(offered.log2_chroma, chroma, strict=True):
            cost += 15 * (have - want) if have > want else 0.5 * (want - have)
    if wanted.alpha and not (offered.alpha and alpha):
        cost += 100
    if offered.alpha and not wanted.alpha:
        cost += 2 if alpha else 200
    return cost


def _check_pix_fmt(encoder: str, pix_fmt: str) -> None:
    formats = [f.name for f in av.Codec(encoder, "w").video_formats or ()]
    if pix_fmt in formats or not formats:
        try:
            av.VideoFormat(pix_fmt, 16, 16)
        except ValueError:
            raise ConfigError(
                f"unknown pixel format {pix_fmt!r}", hint="such as yuv420p or yuv422p10le"
            ) from None
        return
    raise ConfigError(
        f"encoder {encoder} does not take pixel format {pix_fmt!r}", hint=f"it takes {', '.join(formats)}"
    )


def lost_samples(encoder: str, fmt: PixelFormat, target: PixelFormat) -> list[str]:
    """Sentences for what of the samples gets lost on the way to `target`."""
    lost = []
    if fmt.alpha and not target.alpha:
        lost.append(
            f"{encoder} carries no alpha: the alpha channel is dropped; prores_ks, ffv1 and libvpx-vp9 carry it"
        )
    if fmt.kind != "gray" and target.kind == "gray":
        lost.append(f"{encoder} writes gray here: colour is dropped")
    if target.bits < fmt.bits:
        lost.append(f"{encoder} holds {target.bits} bits here, the source has {fmt.bits}")
    if fmt.kind == "rgb" and target.kind == "yuv":
        rare = (
            "" if target.log2_chroma == (1, 1) else ", which few players take (pixel format yuv420p is safe)"
        )
        lost.append(f"RGB is converted to {target.name} for {encoder}{rare}; ffv1 or libx264rgb keep RGB")
    elif fmt.kind == "yuv" and target.kind == "rgb":
        lost.append(f"{fmt.name} is converted to RGB for {encoder}")
    if (
        fmt.kind != "gray"
        and target.kind == "yuv"
        and any(have > want for have, want in zip(target.log2_chroma, fmt.log2_chroma, strict=True))
    ):
        lost.append(f"{encoder} holds chroma at {target.name}, the source has {fmt.name}")
    return lost


def _check_even(encoder: str, fmt: PixelFormat, width: int, height: int) -> None:
    if fmt.kind != "yuv":
        return
    step_w, step_h = 1 << fmt.log2_chroma[0], 1 << fmt.log2_chroma[1]
    if width % step_w == 0 and height % step_h == 0:
        return
    nearest = f"{max(step_w, width - width % step_w)}x{max(step_h, height - height % step_h)}"
    raise ConfigError(
        f"{encoder} cannot encode {width}x{height} in {fmt.name}: the sides must be even",
        hint=f"ask for {nearest}, or use a pixel format without subsampling such as yuv444p",
    )


def encoded_color(
    encoder: str, fmt: PixelFormat, target: PixelFormat, color: Color, width: int, height: int
) -> Color:
    """The colour of the frames as the encoder gets them: the source's, wherever the format allows."""
    color = color_after(color, fmt, target, (width, height))
    if encoder == "mjpeg":
        # JPEG is BT.601 in full range; its decoders know nothing else.
        color = replace(color, matrix=5, range=Range.FULL)
    if target.kind != "yuv" or target.log2_chroma != (1, 1):
        color = replace(color, chroma_location=ChromaLocation.UNSPECIFIED)
    return color


def _guessed_traits(name: str) -> Traits:
    """For encoders nobody wrote down: what their own option table says."""
    context = CodecContext.create(name, "w")
    private = {option.name for option in context.supported_options.private}
    if name.endswith(("_v4l2m2m", "_amf")):
        return Traits()
    return Traits(
        crf_option="crf" if "crf" in private else None,
        crf_range=(0, 63),
        preset_option="preset" if "preset" in private else None,
    )


def _rate(
    name: str, traits: Traits, settings: dict[str, str], options: SinkOptions
) -> tuple[int | None, float | None]:
    """(bit rate, quantiser); crf goes into settings."""
    if options.crf is not None and options.bitrate is not None:
        raise ConfigError("crf and bitrate exclude each other", hint="give one of them")
    if options.bitrate is not None:
        if not traits.bitrate:
            raise ConfigError(f"encoder {name} takes no bitrate", hint=_takes(name, traits))
        if options.bitrate <= 0:
            raise ConfigError(f"bitrate {options.bitrate} is not above 0", hint="such as 8000000")
        if name.endswith("_nvenc"):
            settings["rc"] = "vbr"
        return options.bitrate, None
    crf = options.crf if options.crf is not None else traits.crf
    if crf is None:
        return None, None
    if traits.crf_option is None:
        raise ConfigError(f"encoder {name} takes no crf", hint=_takes(name, traits))
    low, high = traits.crf_range
    if not low <= crf <= high:
        raise ConfigError(f"crf {crf:g} is out of range for {name}", hint=f"it takes {low:g} to {high:g}")
    if traits.crf_option == "qscale":
        return None, crf
    settings[traits.crf_option] = f"{crf:g}"
    if name in ("libvpx-vp9", "libvpx"):
        # VP8 has no quality mode without a ceiling on the rate, VP9 none with one.
        return (0, None) if name == "libvpx-vp9" else (50_000_000, None)
    return None, None


def _preset(name: str, traits: Traits, settings: dict[str, str], options: SinkOptions) -> None:
    preset = options.preset if options.preset is not None else traits.preset
    if preset is None:
        return
    if traits.preset_option is None:
        raise ConfigError(f"encoder {name} takes no preset", hint=_takes(name, traits))
    if name in ("libvpx-vp9", "libvpx") and preset in ("best", "good", "realtime"):
        settings["deadline"] = preset
        return
    if traits.presets and preset not in traits.presets:
        raise ConfigError(f"{name} has no preset {preset!r}", hint=f"it has {', '.join(traits.presets)}")
    settings[traits.preset_option] = preset


def _takes(name: str, traits: Traits) -> str:
    """What an encoder can be told, for hints."""
    words = []
    if traits.crf_option:
        words.append(f"crf {traits.crf_range[0]:g} to {traits.crf_range[1]:g}")
    if traits.bitrate:
        words.append("a bitrate")
    if traits.preset_option:
        words.append(f"presets {', '.join(traits.presets) or 'of its own'}")
    if traits.lossless:
        words.append("nothing of the kind: it is lossless")
    private = [option.name for option in CodecContext.create(name, "w").supported_options.private]
    extra = f"; encoder options {', '.join(private[:12])}" if private else ""
    return f"{name} takes {' and '.join(words) or 'none of crf, bitrate and preset'}{extra}"


def frame_rate_or_default(frame_rate: Fraction | None) -> Fraction:
    """A rate to tell encoders that insist on one; it decides no timestamp."""
    return frame_rate if frame_rate and 0 < frame_rate <= 1000 else Fraction(25)
