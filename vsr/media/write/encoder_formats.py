"""The pixel format for an encoder, the loss in samples, and their resulting colour."""

from __future__ import annotations

from dataclasses import replace

import av

from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import ConfigError, DecodeError, EncoderUnavailableError
from vsr.core.frame import PixelFormat
from vsr.media.frames.color import color_after
from vsr.media.frames.planes import av_name, is_direct, pixel_format
from vsr.media.write.encoder_traits import traits_of

# Encoders that list a format with alpha and whose decoders return the alpha.
_ALPHA = frozenset(
    "gif prores_ks ffv1 png apng qtrle libvpx libvpx-vp9 libwebp libwebp_anim utvideo magicyuv ffvhuff huffyuv rawvideo "
    "tiff bmp qoi jpeg2000 cfhd exr dpx hap".split()
)

# Formats that an encoder lists, but refuses without its option `strict=experimental`.
_REFUSED = {"libvpx-vp9": frozenset({"yuva422p", "yuva444p", "gbrap"})}


def best_pix_fmt(encoder: str, wanted: PixelFormat) -> str:
    """The encoder's format that loses least; among equal ones, the format that wastes least."""
    formats = av.Codec(encoder, "w").video_formats
    if encoder == "gif":
        return "pal8"  # The encoder's other formats have a fixed palette.
    if not formats:
        return av_name(wanted)
    best: tuple[float, str] | None = None
    for video_format in formats:
        name = video_format.name
        if name.startswith("yuvj") or name in _REFUSED.get(encoder, ()):
            continue
        try:
            cost = _cost(wanted, pixel_format(name), alpha=encoder in _ALPHA)
        except DecodeError:
            continue  # its samples lie on a device
        if video_format.is_bit_stream or video_format.has_palette or video_format.bits_per_pixel < 8:
            cost += 500
        if not is_direct(name):
            cost += 0.01
        if best is None or cost < best[0]:
            best = cost, name
    if best is None:
        raise EncoderUnavailableError(
            f"encoder {encoder} accepts frames in device memory only",
            hint="choose one that encodes on the CPU",
        )
    return best[1]


def played_pix_fmt(encoder: str, rgb: PixelFormat, size: tuple[int, int]) -> str | None:
    """The 4:2:0 format of 8 or 10 bits that players take, for RGB frames of a size; None if the sides or the encoder forbid it,
    or if the encoder is lossless."""
    name = best_pix_fmt(encoder, PixelFormat("yuv", min(rgb.bits, 10), (1, 1), rgb.alpha))
    halves = pixel_format(name).kind == "yuv" and pixel_format(name).log2_chroma == (1, 1)
    odd = size[0] % 2 or size[1] % 2
    return None if odd or not halves or traits_of(encoder).lossless else name


def _cost(wanted: PixelFormat, offered: PixelFormat, *, alpha: bool) -> float:
    """How much worse `offered` is than `wanted`: by loss of colour, depth, chroma and alpha in that order, then by waste."""
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


def check_pix_fmt(encoder: str, pix_fmt: str) -> None:
    """Raise ConfigError for a pixel format that the encoder does not take."""
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
    """Sentences about the loss in samples on conversion to `target`."""
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
            ", with colour at half its resolution (pixel format yuv444p keeps that, and few players take it)"
            if target.log2_chroma == (1, 1)
            else ", which few players take (pixel format yuv420p is safe)"
        )
        lost.append(f"RGB is converted to {target.name} for {encoder}{rare}; ffv1 or libx264rgb keep RGB")
    elif fmt.kind == "yuv" and target.kind == "rgb":
        lost.append(f"{fmt.name} is converted to RGB for {encoder}")
    if (
        fmt.kind == "yuv"
        and target.kind == "yuv"
        and any(have > want for have, want in zip(target.log2_chroma, fmt.log2_chroma, strict=True))
    ):
        lost.append(f"{encoder} holds chroma at {target.name}, the source has {fmt.name}")
    return lost


def check_even(encoder: str, fmt: PixelFormat, width: int, height: int) -> None:
    """Raise ConfigError where chroma of that format would not divide the sides."""
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
