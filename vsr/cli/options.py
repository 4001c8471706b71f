"""Values that options take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

import click

from vsr.backends.devices import GRAMMAR
from vsr.core import quantities
from vsr.core.errors import ConfigError
from vsr.jobs.size import OutputSize, Size
from vsr.models import Precision
from vsr.models.registry import Temporal
from vsr.upscale.options import MAX_BATCH, MAX_SCALE, MAX_THREADS, MAX_TILE, NetworkOptions

F = TypeVar("F", bound=Callable[..., Any])


class Quantity(click.ParamType[Any]):
    """A quantity that a function of vsr.core.quantities reads."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ConfigError as error:
            self.fail(error.message, param, ctx)


class OutputSizeType(click.ParamType[Size]):
    """WIDTHxHEIGHT, one of both, or the shorter side as 1080p."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        try:
            size = OutputSize.read(value)
        except ConfigError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)
        return (size.width, size.height) if size.width and size.height else str(size)


class MinutesType(click.ParamType[float]):
    """Minutes, as seconds."""

    name = "MINUTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return 60 * float(click.FLOAT.convert(value, param, ctx))


SIZE = Quantity("WxH", quantities.size)
OUTPUT_SIZE = OutputSizeType()
MINUTES = MinutesType()
SECONDS = Quantity("TIME", quantities.seconds)
BITRATE = Quantity("BITS/S", quantities.bitrate)
RATE = Quantity("FPS", quantities.rate)
KEY_VALUE = Quantity("K=V", quantities.key_value)
AMOUNT = Quantity("TIME|SIZE", quantities.amount)


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
temporal = click.option(
    "--temporal",
    type=click.Choice(get_args(Temporal)),
    default="auto",
    show_default=True,
    help="Whether video goes through the network with memory that belongs to the model: auto where there is one and the "
    "machine is fast enough. Pictures never do.",
)
strength = click.option(
    "--strength",
    type=float,
    metavar="0..1.5",
    help="How much of what `restore` or `anime` adds to bicubic is added: 0 is bicubic, 1 is nearest to the original, more is "
    "sharper. [default: 1.2, and 1 where auto finds noise or JPEG]",
)
running = group(tile, threads, precision, no_build, temporal, strength)


def network(values: Mapping[str, Any]) -> NetworkOptions:
    """The network that the options of a command describe. Raises ConfigError."""
    names = [field.name for field in fields(NetworkOptions)]
    return NetworkOptions(**{name: values[name] for name in names if name in values})
