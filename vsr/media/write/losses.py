"""What of a video, beside its samples, an output cannot hold."""

from __future__ import annotations

from vsr.core.video import VideoInfo
from vsr.media.types import Carried
from vsr.media.write.animation import muxer_options
from vsr.media.write.containers import Container
from vsr.media.write.encoders import EncoderPlan
from vsr.media.write.hdr_params import hdr_options

# Of matrix, primaries and transfer.
_UNSPECIFIED = 2
# Codecs whose streams say what colours the samples stand for.
_TELLS_COLOR = frozenset("h264 hevc av1 vp9 mpeg2video".split())
# Codecs whose streams do not say the shape of a sample.
_NO_SAR = frozenset(
    "vp8 vp9 av1 prores utvideo huffyuv ffvhuff qtrle png rawvideo magicyuv jpeg2000 cfhd".split()
)


def lost_facts(
    plan: EncoderPlan, codec: str, container: Container, carried: Carried, info: VideoInfo
) -> list[str]:
    """Sentences for what of the video, beside its samples, the output cannot hold."""
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
    plays = carried.image_tags.plays if carried.image_tags else None
    if plays not in (None, 1) and muxer_options(container.format, 1) is None:
        often = f"{plays} times" if plays else "endlessly"
        lost.append(f"that it plays {often} is left out: {container.format} has no place for it")
    if hdr_options(plan.name, carried.mastering_display, carried.content_light) is None:
        lost.append(
            f"mastering display and content light metadata are left out: encoder {plan.name} cannot write them"
        )
    if carried.image_tags and carried.image_tags.icc_profile:
        lost.append("the ICC profile is left out: videos carry colour tags only")
    return lost
