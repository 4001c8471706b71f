"""The spec of a model package, and the contract of the frame graphs in it.

A package is a folder: `model.toml` (the spec), `card.md`, one weights file, and frame graphs `<layout>.onnx` that share
it. A frame graph takes planes and gives planes:

    planes   "y", "u", "v" | "y" | "g", "b", "r"   uint8 [N, 1, h, w x bytes_per_sample], each plane with its own h, w
    gain     float32 []    network luma = code x gain + bias, in units of BT.601 limited range / 255
    bias     float32 []
    max_code float32 []    the largest code of the samples, 255 for 8 bits
    luma_weights float32 [3]   of G, B, R, summing to 1        (for RGB planes, and networks on RGB)
    chroma_gain float32 []     Cb and Cr = (code - middle) x chroma_gain, in -0.5..0.5      (networks on RGB)
    outputs  the plane names with "_out", uint8 [N, 1, h x scale, w x scale x bytes_per_sample]

Samples of more than 8 bits are little-endian byte pairs. Small inputs instead of constants let one graph serve every
matrix, range and depth.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from vsr.core.color import ChromaLocation, Color
from vsr.core.errors import WeightsError, reason
from vsr.core.frame import PixelFormat

Choice = TypeVar("Choice", bound=str)
Siting = Literal["left", "center", "topleft"]
Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
"""What convolutions are computed in; int8 and fp8 (E4M3) where a package carries a calibration."""
CALIBRATED: tuple[Precision, ...] = ("int8", "fp8")
WEIGHTS_NAME = "weights.safetensors"
"""Of the weights file in every package, and in a folder of `vsr train`; graphs refer to it."""


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """Which frame graph of a package: planes of what kind, in bytes or byte pairs, with chroma sited where."""

    kind: Literal["yuv", "gray", "rgb"]
    bytes_per_sample: int
    siting: Siting = "center"

    @property
    def name(self) -> str:
        """File name without suffix: gray8, rgb16, yuv8-left."""
        depth = 8 * self.bytes_per_sample
        return f"{self.kind}{depth}-{self.siting}" if self.kind == "yuv" else f"{self.kind}{depth}"

    @property
    def plane_names(self) -> tuple[str, ...]:
        return {"yuv": ("y", "u", "v"), "gray": ("y",), "rgb": ("g", "b", "r")}[self.kind]

    @staticmethod
    def of(format: PixelFormat, color: Color) -> GraphLayout:
        """The layout for frames of a format; alpha is not part of it.

        Chroma that is not subsampled lies on the luma samples whatever the tag says; subsampled only horizontally, it can
        only be left or centred; untagged counts as left, as H.264 and HEVC have it.
        """
        siting: Siting = "center"
        if format.kind == "yuv" and format.log2_chroma != (0, 0):
            vertical = format.log2_chroma[1] > 0
            match color.chroma_location:
                case ChromaLocation.CENTER | ChromaLocation.TOP | ChromaLocation.BOTTOM:
                    siting = "center"
                case ChromaLocation.TOPLEFT if vertical:
                    siting = "topleft"
                case _:
                    siting = "left"
        return GraphLayout(format.kind, format.bytes_per_sample, siting)


_KINDS: tuple[tuple[Literal["yuv", "gray", "rgb"], Siting], ...] = (
    ("yuv", "left"),
    ("yuv", "center"),
    ("yuv", "topleft"),
    ("gray", "center"),
    ("rgb", "center"),
)
ALL_LAYOUTS = tuple(GraphLayout(kind, depth, siting) for depth in (1, 2) for kind, siting in _KINDS)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `model.toml` says.

    id: name on the command line. scale: whole factor per side, 1..16. domain: what the network sees ("luma" or "rgb").
    size_multiple: LR width and height must be multiples (inputs are padded), 1..256. halo: LR pixels around an output pixel
    that it depends on, 0..65536. macs_per_pixel: multiply-adds of the convolutions per LR pixel. precision: "any", or "fp32"
    where less is not enough.
    calibration: for int8, the least and the largest value of each tensor that a convolution takes, by its name in the graph;
    empty where the package has no int8 graphs.
    network, training, quality: free tables: architecture, provenance, measured figures.
    """

    id: str
    title: str
    scale: int
    domain: str
    size_multiple: int
    halo: int
    macs_per_pixel: int
    parameters: int
    precision: Literal["any", "fp32"]
    licence: str
    folder: Path
    calibration: Mapping[str, tuple[float, float]]
    network: Mapping[str, Any]
    training: Mapping[str, Any]
    quality: Mapping[str, Any]

    def graph(self, layout: GraphLayout, *, int8: bool = False) -> Path:
        """Path of the frame graph for a layout. Raises WeightsError where the package lacks it."""
        path = self.folder / f"{layout.name}{'-int8' if int8 else ''}.onnx"
        if not path.is_file():
            raise WeightsError(
                f"model package {self.id} has no frame graph {path.name}", hint=f"looked in {self.folder}"
            )
        return path

    @property
    def card(self) -> str:
        """The text of `card.md`, empty where there is none."""
        path = self.folder / "card.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def as_dict(self) -> dict[str, Any]:
        """For printing as JSON."""
        return {
            "id": self.id,
            "title": self.title,
            "scale": self.scale,
            "domain": self.domain,
            "size_multiple": self.size_multiple,
            "halo": self.halo,
            "macs_per_pixel": self.macs_per_pixel,
            "parameters": self.parameters,
            "precision": self.precision,
            "licence": self.licence,
            "calibration": dict(self.calibration),
            "network": dict(self.network),
            "training": dict(self.training),
            "quality": dict(self.quality),
        }


def load_spec(folder: Path) -> ModelSpec:
    """The spec of the package in a folder. Raises WeightsError where `model.toml` is missing or says what cannot be."""
    path = folder / "model.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return ModelSpec(
            id=_text(table, "id"),
            title=_text(table, "title"),
            scale=_whole(table, "scale", 1, 16),
            domain=_one_of(table, "domain", ("luma", "rgb")),
            size_multiple=_whole(table, "size_multiple", 1, 256),
            halo=_whole(table, "halo", 0, 1 << 16),
            macs_per_pixel=_whole(table, "macs_per_pixel", 0, 1 << 62),
            parameters=_whole(table, "parameters", 0, 1 << 62),
            precision=_one_of(table, "precision", ("any", "fp32")),
            licence=_text(table, "licence"),
            folder=folder,
            calibration={name: _ends(name, ends) for name, ends in _table(table, "calibration").items()},
            network=_table(table, "network"),
            training=_table(table, "training"),
            quality=_table(table, "quality"),
        )
    except OSError as error:
        raise WeightsError(
            f"no model package in {folder}: {reason(error)}", hint="a package has a model.toml"
        ) from error
    except KeyError as error:
        raise WeightsError(f"{path} is not a whole model spec: it has no {error.args[0]}") from error
    except RecursionError as error:
        raise WeightsError(f"{path} is not a whole model spec: its values are nested too deeply") from error
    except ValueError as error:
        raise WeightsError(f"{path} is not a whole model spec: {error}") from error


def _text(table: Mapping[str, Any], name: str) -> str:
    if not isinstance(table[name], str):
        raise ValueError(f"{name} is {table[name]!r}, not a text")
    return str(table[name])


def _whole(table: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = table[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, not a whole number from {least} to {most}")
    return value


def _one_of(table: Mapping[str, Any], name: str, choices: tuple[Choice, ...]) -> Choice:
    for choice in choices:
        if table[name] == choice:
            return choice
    raise ValueError(f"{name} is {table[name]!r}, not {' or '.join(map(repr, choices))}")


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r}, not a table")
    return value


def _ends(name: str, ends: Any) -> tuple[float, float]:
    try:
        least, most = map(float, ends)
    except (TypeError, ValueError, OverflowError):
        least, most = math.nan, math.nan
    if not -math.inf < least <= most < math.inf:
        raise ValueError(f"calibration of {name} is {ends!r}, not two finite numbers, the lesser first")
    return least, most
