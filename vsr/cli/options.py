"""Values that options take."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any, TypeVar, get_args

import click

from vsr.backends.devices import GRAMMAR
from vsr.core.errors import ConfigError
from vsr.jobs.config import MAX_BITRATE, MAX_SECONDS, MAX_TERM
from vsr.jobs.size import OutputSize, Size
from vsr.models import Precision
from vsr.upscale.options import MAX_BATCH, MAX_SCALE, MAX_THREADS, MAX_TILE, NetworkOptions

F = TypeVar("F", bound=Callable[..., Any])


class SizeType(click.ParamType[tuple[int, int]]):
    """WIDTHxHEIGHT in pixels."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)[xX×](\d+)", str(value))
        size = (int(match[1]), int(match[2])) if match else (0, 0)
        if min(size) < 1:
            self.fail(f"{value!r} is not a size like 1920x1080", param, ctx)
        return size


class OutputSizeType(click.ParamType[Size]):
    """WIDTHxHEIGHT, one of both, or the shorter side as 1080p."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        try:
            size = OutputSize.read(value)
        except ConfigError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)
        return (size.width, size.height) if size.width and size.height else str(size)


class SecondsType(click.ParamType[float]):
    """Seconds, or [hours:]minutes:seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", str(value)):
            self.fail(f"{value!r} is not a time like 90, 1:30 or 0:01:30.5", param, ctx)
        seconds = 0.0
        for part in str(value).split(":"):
            seconds = 60 * seconds + float(part)
        if seconds > MAX_SECONDS:
            self.fail(f"{value!r} is not a time of at most {MAX_SECONDS} seconds", param, ctx)
        return seconds


class BitrateType(click.ParamType[int]):
    """Bits a second, with k or M for thousands or millions."""

    name = "BITS/S"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", str(value))
        bits = float(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()] if match else 0.0
        if bits > MAX_BITRATE:
            self.fail(f"{value!r} is not a bit rate of at most {MAX_BITRATE // 1_000_000}M", param, ctx)
        if round(bits) < 1:
            self.fail(f"{value!r} is not a bit rate like 8M, 800k or 2500000", param, ctx)
        return round(bits)


class RateType(click.ParamType[Fraction]):
    """Frames a second, as a number or a fraction."""

    name = "FPS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        if isinstance(value, Fraction):
            return value
        try:
            rate = Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if rate <= 0:
            self.fail(f"{value!r} is not a frame rate like 25, 29.97 or 30000/1001", param, ctx)
        if max(rate.numerator, rate.denominator) > MAX_TERM:
            self.fail(f"{value!r} is not a frame rate of so few digits as 29.97 or 30000/1001", param, ctx)
        return rate


class KeyValueType(click.ParamType[tuple[str, str]]):
    """KEY=VALUE."""

    name = "K=V"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, separator, text = str(value).partition("=")
        if not key or not separator:
            self.fail(f"{value!r} is not an option like tune=film", param, ctx)
        return key, text


class AmountType(click.ParamType[tuple[float | None, int | None]]):
    """A time (s, m, h, d) or a size (k, M, G, T): one of (seconds, bytes)."""

    name = "TIME|SIZE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float | None, int | None]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdkMGT])", str(value))
        amount = float(match[1]) if match else 0.0
        if not match or amount <= 0:
            self.fail(f"{value!r} is not a time or size like 30s, 10m, 7d, 500M or 2G", param, ctx)
        if match[2] in "smhd":
            return amount * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]], None
        return None, round(amount * {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[match[2]])


class MinutesType(click.ParamType[float]):
    """Minutes, as seconds."""

    name = "MINUTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return 60 * float(click.FLOAT.convert(value, param, ctx))


SIZE = SizeType()
OUTPUT_SIZE = OutputSizeType()
MINUTES = MinutesType()
SECONDS = SecondsType()
BITRATE = BitrateType()
RATE = RateType()
KEY_VALUE = KeyValueType()
AMOUNT = AmountType()


def group(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in this order in the help."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


video_stream = click.option(
    "--video-stream", type=click.IntRange(0), metavar="N", help="Which video stream, from 0."
)
model = click.option(
    "--model",
    default="auto",
    show_default=True,
    help="Name of a model or path of a package; several, with commas between them, run one after another.",
)
scale = click.option(
    "--scale",
    type=click.FloatRange(1, MAX_SCALE),
    help="Factor per side.  [default: the model's own; 2 for auto]",
)
own_scale = click.option(
    "--scale",
    type=click.FloatRange(1, MAX_SCALE),
    help="Factor per side.  [default: the model's own]",
)
DEVICES = GRAMMAR.replace(", ", "|").replace(" or ", "|")
backend = group(
    click.option(
        "--backend", default="auto", show_default=True, help="Runtime of the network; see `vsr doctor`."
    ),
    click.option(
        "--device",
        metavar=DEVICES,
        default="auto",
        show_default=True,
        help="Device of the network; see `vsr doctor`. OpenVINO runs on gpu and npu, TensorRT and PyTorch on cuda.",
    ),
)
batch = click.option(
    "--batch",
    type=click.IntRange(1, MAX_BATCH),
    help="Frames in a run of the network.  [default: the backend's choice]",
)
precision = click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Precision of the network.  [default: the fastest on this machine]",
)
tile = click.option(
    "--tile",
    type=click.IntRange(0, MAX_TILE),
    help="Side of tiles in pixels, 0 for none.  [default: auto]",
)
threads = click.option(
    "--threads", type=click.IntRange(0, MAX_THREADS), default=0, help="Processor threads.  [default: all]"
)
no_build = click.option(
    "--no-build",
    "build",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Fail if a TensorRT engine would have to be built first.",
)
running = group(tile, threads, precision, no_build)


def network(values: Mapping[str, Any]) -> NetworkOptions:
    """The network that the options of a command describe. Raises ConfigError."""
    names = [field.name for field in fields(NetworkOptions)]
    return NetworkOptions(**{name: values[name] for name in names if name in values})
