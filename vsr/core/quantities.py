"""Quantities as users write them: on the command line, and in files of options. Each function raises ConfigError."""

from __future__ import annotations

import re
from fractions import Fraction

from vsr.core.errors import ConfigError

MAX_SECONDS = 10**9
MAX_BITRATE = 10**11
# FFmpeg's rational numbers have terms of 32 bits.
MAX_TERM = 2**31 - 1


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT in pixels."""
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text)
    found = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(found) < 1:
        raise ConfigError(f"{text!r} is not a size like 1920x1080")
    return found


def seconds(text: str) -> float:
    """Seconds, or [hours:]minutes:seconds."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        raise ConfigError(f"{text!r} is not a time like 90, 1:30 or 0:01:30.5")
    found = 0.0
    for part in text.split(":"):
        found = 60 * found + float(part)
    if found > MAX_SECONDS:
        raise ConfigError(f"{text!r} is not a time of at most {MAX_SECONDS} seconds")
    return found


def bitrate(text: str) -> int:
    """Bits a second, with k or M for thousands or millions."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text)
    bits = float(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()] if match else 0.0
    if bits > MAX_BITRATE:
        raise ConfigError(f"{text!r} is not a bit rate of at most {MAX_BITRATE // 1_000_000}M")
    if round(bits) < 1:
        raise ConfigError(f"{text!r} is not a bit rate like 8M, 800k or 2500000")
    return round(bits)


def rate(text: str) -> Fraction:
    """Frames a second, as a number or a fraction."""
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if found <= 0:
        raise ConfigError(f"{text!r} is not a frame rate like 25, 29.97 or 30000/1001")
    if max(found.numerator, found.denominator) > MAX_TERM:
        raise ConfigError(f"{text!r} is not a frame rate of so few digits as 29.97 or 30000/1001")
    return found


def key_value(text: str) -> tuple[str, str]:
    """KEY=VALUE."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise ConfigError(f"{text!r} is not an option like tune=film")
    return key, value


def amount(text: str) -> tuple[float | None, int | None]:
    """A time (s, m, h, d) or a size (k, M, G, T): one of (seconds, bytes)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdkMGT])", text)
    number = float(match[1]) if match else 0.0
    if not match or number <= 0:
        raise ConfigError(f"{text!r} is not a time or size like 30s, 10m, 7d, 500M or 2G")
    if match[2] in "smhd":
        return number * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]], None
    return None, round(number * {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[match[2]])
