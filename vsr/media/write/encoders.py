"""Chooses the encoder and the pixel format, and turns the user's few words into options of the encoder."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
from av.codec.context import CodecContext

from vsr.core.color import Color
from vsr.core.errors import ConfigError, EncoderUnavailableError
from vsr.core.frame import PixelFormat
from vsr.media.frames.hwaccel import SEMI_PLANAR
from vsr.media.frames.planes import pixel_format
from vsr.media.types import SinkOptions
from vsr.media.write.encoder_formats import (
    best_pix_fmt,
    check_even,
    check_pix_fmt,
    encoded_color,
    lost_samples,
)
from vsr.media.write.encoder_traits import Traits, traits_of


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """An encoder with all of its settings.

    pix_fmt: FFmpeg's name; format and color: the frames are converted to these. qscale: fixed quantiser, None without.
    warnings: properties of the source's samples that the encoder cannot hold. has_list: the user gave a `-params` list, whose
    unknown entries FFmpeg only logs.
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
    has_list: bool

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
    """The name of a video encoder, or of FFmpeg's encoder for a codec of that name: libx265 for "hevc".

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
    traits = traits_of(name)
    pix_fmt = options.pix_fmt or best_pix_fmt(name, fmt)
    check_pix_fmt(name, pix_fmt)
    target = pixel_format(pix_fmt)
    warnings = lost_samples(name, fmt, target)
    if traits.even:
        check_even(name, target, width, height)
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
        tuple(warnings), any(key.endswith("-params") for key in options.encoder_options),
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


def _rate(
    name: str, traits: Traits, settings: dict[str, str], options: SinkOptions
) -> tuple[int | None, float | None]:
    """(bit rate, quantiser); crf goes into settings."""
    if options.crf is not None and options.bitrate is not None:
        raise ConfigError("crf and bitrate exclude each other", hint="give one of them")
    if options.bitrate is not None:
        if not traits.bitrate:
            raise ConfigError(f"encoder {name} has no bitrate", hint=_takes(name, traits))
        if options.bitrate <= 0:
            raise ConfigError(f"bitrate {options.bitrate} is not above 0", hint="such as 8000000")
        if name.endswith("_nvenc"):
            settings["rc"] = "vbr"
        return options.bitrate, None
    crf = options.crf if options.crf is not None else traits.crf
    if crf is None:
        return None, None
    if traits.crf_option is None:
        raise ConfigError(f"encoder {name} has no crf", hint=_takes(name, traits))
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
        raise ConfigError(f"encoder {name} has no preset", hint=_takes(name, traits))
    if name in ("libvpx-vp9", "libvpx") and preset in ("best", "good", "realtime"):
        settings["deadline"] = preset
        return
    if traits.presets and preset not in traits.presets:
        raise ConfigError(f"{name} has no preset {preset!r}", hint=f"it has {', '.join(traits.presets)}")
    settings[traits.preset_option] = preset


def _takes(name: str, traits: Traits) -> str:
    """The options of an encoder, for hints."""
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
    """A rate for encoders that need one; it changes no timestamp."""
    return frame_rate if frame_rate and 0 < frame_rate <= 1000 else Fraction(25)
