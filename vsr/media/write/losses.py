"""Properties of a video or a picture that an output cannot hold, beside the encoder's losses in samples."""

from __future__ import annotations

from vsr.core.video import VideoInfo
from vsr.media.pictures.files import PNG, SUFFIXES, PictureFormat
from vsr.media.types import Carried, PictureTags, SinkOptions
from vsr.media.write.animation import muxer_options
from vsr.media.write.cicp import needs_cicp
from vsr.media.write.containers import Container
from vsr.media.write.copy import describe
from vsr.media.write.encoders import EncoderPlan
from vsr.media.write.hdr_params import hdr_options

# The code for an unspecified matrix, primaries or transfer.
_UNSPECIFIED = 2
# Codecs whose streams state the colours of their samples.
_TELLS_COLOR = frozenset("h264 hevc av1 vp9 mpeg2video".split())
# Codecs whose streams do not state the shape of a sample.
_NO_SAR = frozenset(
    "vp8 vp9 av1 prores utvideo huffyuv ffvhuff qtrle png rawvideo magicyuv jpeg2000 cfhd".split()
)


def lost_by_video(
    plan: EncoderPlan, codec: str, container: Container, carried: Carried, info: VideoInfo
) -> list[str]:
    """Sentences about properties of the video, beside its samples, that the output cannot hold."""
    lost = []
    if (info.rotation or info.mirrored) and not container.rotation:
        lost.append(f"rotation by {info.rotation} degrees is left out: {container.format} cannot hold it")
    if info.sar != 1 and (not container.sar or (container.takes_sar_from_codec and codec in _NO_SAR)):
        lost.append(
            f"the sample aspect ratio {info.sar} is left out: {container.format} cannot hold it with {codec}"
        )
    if plan.format.kind != "rgb" and not container.tags_color and codec not in _TELLS_COLOR:
        told = (plan.color.primaries, plan.color.transfer, plan.color.matrix)
        if plan.color.full_range or set(told) != {_UNSPECIFIED}:
            lost.append(
                f"matrix, range and the like are left out, and players will guess them: {container.format} cannot hold "
                f"them with {codec}"
            )
    plays = carried.picture_tags.plays if carried.picture_tags else None
    if plays not in (None, 1) and muxer_options(container.format, 1) is None:
        often = f"{plays} times" if plays else "endlessly"
        lost.append(f"that it plays {often} is left out: {container.format} has no place for it")
    if hdr_options(plan.name, carried.mastering_display, carried.content_light) is None:
        lost.append(
            f"mastering display and content light metadata are left out: encoder {plan.name} cannot write them"
        )
    if carried.picture_tags and carried.picture_tags.icc_profile:
        lost.append("the ICC profile is left out: videos carry colour tags only")
    return lost


def lost_by_picture(
    kind: PictureFormat, tags: PictureTags, options: SinkOptions, carried: Carried, info: VideoInfo
) -> list[str]:
    """Sentences about properties that a picture of that format cannot hold. tags: the tags it gets."""
    fmt, name = info.format, kind.name
    lost = [
        f"{option} is for video and has no effect on {name} pictures"
        for option in ("encoder", "crf", "bitrate", "preset", "pix_fmt")
        if getattr(options, option) is not None
    ]
    if fmt.alpha and not kind.alpha:
        lost.append(f"{name} carries no alpha: the alpha channel is dropped; PNG, TIFF and WebP carry it")
    if fmt.bits > kind.bits:
        lost.append(f"{name} holds 8 bits, the source has {fmt.bits}; PNG and TIFF hold 16")
    if not kind.tags and (tags.icc_profile or tags.exif):
        lost.append(f"the ICC profile and EXIF are left out: {name} is written without")
    elif kind is SUFFIXES[".tif"] and carried.picture_tags and carried.picture_tags.exif:
        lost.append("EXIF is left out but for the orientation: TIFF is written without")
    if kind is not PNG and needs_cicp(info.color, tags):
        lost.append(
            f"the marks of HDR or wide gamut colours are left out: {name} has no place for them; PNG has"
        )
    if carried.mastering_display or carried.content_light:
        lost.append(f"mastering display and content light metadata are left out: {name} is written without")
    if info.sar != 1:
        lost.append(f"the sample aspect ratio {info.sar} is left out: pictures have square pixels")
    lost += [f"{describe(stream)} is left out: pictures hold nothing beside" for stream in carried.copied]
    return lost
