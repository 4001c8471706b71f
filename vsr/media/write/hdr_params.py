"""HDR10 metadata in the words of the encoders that write it: x264, x265 and SVT-AV1."""

from __future__ import annotations

from fractions import Fraction

from vsr.media.types import ContentLight, MasteringDisplay


def hdr_options(
    encoder: str, mastering: MasteringDisplay | None, light: ContentLight | None
) -> dict[str, str] | None:
    """Encoder options that carry the metadata; empty where there is none, None where the encoder has no way."""
    if mastering is None and light is None:
        return {}
    if encoder == "libx265":
        params = _joined(":", _x26x_display("master-display", mastering), _light("max-cll", light))
        return {"x265-params": f"{params}:hdr10=1"}
    if encoder == "libx264":
        return {
            "x264-params": _joined(":", _x26x_display("mastering-display", mastering), _light("cll", light))
        }
    if encoder == "libsvtav1":
        return {"svtav1-params": _joined(":", _svt_display(mastering), _light("content-light", light))}
    return None


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


def _x26x_display(key: str, display: MasteringDisplay | None) -> str:
    """Chromaticities in steps of 0.00002, luminance in steps of 0.0001 cd/m2, as the SEI message stores them."""
    if display is None:
        return ""

    def point(xy: tuple[Fraction, Fraction]) -> str:
        return f"({round(xy[0] * 50000)},{round(xy[1] * 50000)})"

    red, green, blue = display.primaries
    luminance = f"({round(display.max_luminance * 10000)},{round(display.min_luminance * 10000)})"
    return f"{key}=G{point(green)}B{point(blue)}R{point(red)}WP{point(display.white_point)}L{luminance}"


def _svt_display(display: MasteringDisplay | None) -> str:
    if display is None:
        return ""

    def point(xy: tuple[Fraction, Fraction]) -> str:
        return f"({float(xy[0]):.5f},{float(xy[1]):.5f})"

    red, green, blue = display.primaries
    luminance = f"({float(display.max_luminance):.4f},{float(display.min_luminance):.4f})"
    places = f"G{point(green)}B{point(blue)}R{point(red)}WP{point(display.white_point)}L{luminance}"
    return f"mastering-display={places}"


def _light(key: str, light: ContentLight | None) -> str:
    return "" if light is None else f"{key}={light.max_content},{light.max_average}"
