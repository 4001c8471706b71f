"""The spec of a model package, and the contract of the frame graphs in it.

A package is a folder: `model.toml` (the spec), `card.md`, one weights file, and frame graphs `<layout>.onnx` that share
it. A frame graph takes planes and gives planes:

    planes   "y", "u", "v" | "y" | "g", "b", "r"   uint8 [N, 1, h, w x bytes_per_sample], each plane with its own h, w
    gain     float32 []    network luma = code x gain + bias, in units of BT.601 limited range / 255
    bias     float32 []
    max_code float32 []    the largest code of the samples, 255 for 8 bits
    luma_weights float32 [3]   of G, B, R, summing to 1        (for RGB planes, and networks on RGB)
    chroma_gain float32 []     Cb and Cr = (code - middle) x chroma_gain, in -0.5..0.5      (networks that see colour)
    strength float32 []        how much of what the network adds to bicubic is added, 0..1.5   (networks in colour)
    outputs  the plane names with "_out", uint8 [N, 1, h x scale, w x scale x bytes_per_sample]

Samples of more than 8 bits are little-endian byte pairs. Small inputs instead of constants let one graph serve every
matrix, range and depth.

The memory of a network is the last frame, as planes, and nothing else. A package that has "input", "output" or both in
`states` has further inputs. The luma planes are "y", or "g", "b", "r":

    "input"    the luma planes with "_before", as "y_before": the planes of the last frame, as they went into the graph
    "output"   the luma planes with "_out_before", as "y_out_before": the last frame's result, uint8
               [N, 1, h x scale, w x scale x bytes_per_sample]
    keep       float32 [N]: 1 where these planes are of the frame before, 0 where a sequence begins

Where keep is 0, the results are the same bytes whatever the planes of the memory hold. There are no further outputs: the
planes and results of one run are inputs of the next one. Where a picture is cut into tiles, so is the memory of the whole
picture.

Around a network on luma, chroma is enlarged by cubic convolution (Keys 1981, a = -0.5), where its samples lie. In a graph it is
exact to the code where `precision` is "fp32"; else kernels are rounded to 1/256, which bfloat16 holds. On a processor Upscalers
run the graph of luma alone, and `vsr.media.frames.enlarge` does chroma of up to 10 bits at x2 and x4, within one code.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vsr.core.color import ChromaLocation, Color
from vsr.core.errors import ConfigError, WeightsError, reason
from vsr.core.frame import PixelFormat
from vsr.core.tables import checked, filled, in_range, read_table, short

Siting = Literal["left", "center", "topleft"]
Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
"""What convolutions are computed in, the most exact first; int8 and fp8 (E4M3) where a package carries a calibration."""
MOST_STRENGTH = 1.5
"""Of a network in colour. At 1 it is as near to the original as it can be; above, it is sharper than that."""
CALIBRATED: tuple[Precision, ...] = ("int8", "fp8")
State = Literal["input", "output"]
"""A part of the last frame that a network with memory gets: its planes, or its result."""
SMALL_INPUTS = ("gain", "bias", "max_code", "luma_weights", "chroma_gain", "strength")
"""Inputs of a frame graph beside the planes; a graph may lack the inputs it has no use for."""
KEEP = "keep"
"""The input that says for each picture of a batch whether the memory is of the frame before."""
WEIGHTS_NAME = "weights.safetensors"
"""Of the weights file in every package, and in a folder of `vsr train`; graphs refer to it."""


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """The planes that a frame graph of a package takes: their kind, bytes or byte pairs, and the siting of chroma."""

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

    @property
    def luma_names(self) -> tuple[str, ...]:
        """The planes that luma comes from, which are the planes of a memory."""
        return self.plane_names if self.kind == "rgb" else ("y",)

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
    """The content of `model.toml`.

    id: name on the command line. scale: whole factor per side, 1..16. domain: the network's input: "luma", "rgb", or "ycbcr"
    for a network in colour, whose strength can be chosen. size_multiple: LR width and height must be multiples of it (inputs
    are padded), 1..256. halo: LR pixels to each side on which an output pixel depends, in this frame and the last one,
    0..65536. macs_per_pixel: multiply-adds of the convolutions per LR pixel. precision: "any"; "fp32" if lower precisions are
    not enough; or "shown" if vsr uses, unasked, only fp32 and the precisions in `holds`. holds: for a network from another
    program, the precisions among bf16, fp16 and int8 that make the picture of float32, as a test run showed. states: the
    parts of the last frame that the network gets; empty for a network without memory. single: for a network with memory, the
    id of the network of the same family and scale without one, which enlarges single pictures. strength: of a network in
    colour, unless another one is asked for, 0..1.5. calibration: for int8, the
    least and the largest value of each tensor that is the input of a convolution, by its name in the graph; empty if the
    package has no int8 graphs. network, training, quality: free tables: architecture, provenance, measured figures. Raises
    ConfigError.
    """

    id: str
    title: str
    scale: int
    domain: Literal["luma", "rgb", "ycbcr"]
    size_multiple: int
    halo: int
    macs_per_pixel: int
    parameters: int
    precision: Literal["any", "fp32", "shown"]
    licence: str
    folder: Path
    holds: tuple[Precision, ...] = ()
    states: tuple[State, ...] = ()
    single: str = ""
    strength: float = 1.0
    calibration: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        in_range("scale", self.scale, 1, 16)
        in_range("size_multiple", self.size_multiple, 1, 256)
        in_range("halo", self.halo, 0, 1 << 16)
        in_range("macs_per_pixel", self.macs_per_pixel, 0, 1 << 62)
        in_range("parameters", self.parameters, 0, 1 << 62)
        in_range("strength", self.strength, 0, MOST_STRENGTH)
        if bool(self.states) != bool(self.single):
            raise ConfigError(
                "states and single go together",
                hint="a network with memory names the network that enlarges single pictures",
            )

    def graph(self, layout: GraphLayout, *, int8: bool = False) -> Path:
        """Path of the frame graph for a layout. Raises WeightsError if the package has none."""
        path = self.folder / f"{layout.name}{'-int8' if int8 else ''}.onnx"
        if not path.is_file():
            raise WeightsError(
                f"model package {self.id} has no frame graph {path.name}", hint=f"looked in {self.folder}"
            )
        return path

    def remembered(self, layout: GraphLayout) -> dict[str, str]:
        """For each plane of a memory, by input, the input or output of the last run that it was."""
        parts = (("input", ""), ("output", "_out"))
        return {
            f"{name}{end}_before": f"{name}{end}"
            for state, end in parts
            if state in self.states
            for name in layout.luma_names
        }

    def memory_shapes(
        self, layout: GraphLayout, shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, tuple[int, ...]]:
        """The shapes of a memory's planes and of KEEP, by input, for planes of these shapes; none for a network without
        memory. A side of -1, for any, stays so."""

        def larger(side: int) -> int:
            return side if side < 0 else side * self.scale

        found: dict[str, tuple[int, ...]] = {}
        for name, was in self.remembered(layout).items():
            count, one, height, width = shapes[was.removesuffix("_out")]
            is_input = was in shapes
            found[name] = shapes[was] if is_input else (count, one, larger(height), larger(width))
        return {**found, KEEP: shapes[layout.luma_names[0]][:1]} if found else {}

    @property
    def numbers_hash(self) -> str:
        """Hash of the package's table and weights, which are all files except the graphs. Raises OSError."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.suffix != ".onnx" and path.is_file():
                digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]

    @property
    def card(self) -> str:
        """The text of `card.md`, empty where there is none."""
        path = self.folder / "card.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values, with the text of the card."""
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
            "holds": list(self.holds),
            "licence": self.licence,
            "states": list(self.states),
            "single": self.single,
            "strength": self.strength,
            "calibration": dict(self.calibration),
            "network": dict(self.network),
            "training": dict(self.training),
            "quality": dict(self.quality),
            "folder": str(self.folder),
            "card": self.card,
        }


def check_ports(
    graph: Path,
    layout: GraphLayout,
    inputs: Collection[str],
    outputs: Collection[str],
    memory: Collection[str] = (),
) -> None:
    """Raise WeightsError unless a frame graph has the right inputs and outputs, by their names. memory: the inputs of its
    memory."""
    planes = (*layout.plane_names, *memory)
    larger = [f"{name}_out" for name in layout.plane_names]
    what = f"model package {graph.parent.name}: {graph.name}"
    hint = "rename them in the graph, or make the package again"
    if not set(planes) <= set(inputs) <= {*planes, *SMALL_INPUTS}:
        raise WeightsError(
            f"{what} has inputs {', '.join(inputs)}; expected {', '.join(planes)} "
            f"and some of {', '.join(SMALL_INPUTS)}",
            hint=hint,
        )
    if not set(larger) <= set(outputs):
        raise WeightsError(
            f"{what} has outputs {', '.join(outputs)}; expected {', '.join(larger)}", hint=hint
        )


def load_spec(folder: Path) -> ModelSpec:
    """The spec of the package in a folder. Raises WeightsError where `model.toml` is missing or has impossible values."""
    path = folder / "model.toml"
    try:
        table = read_table(path)
    except OSError as error:
        raise WeightsError(
            f"no model package in {folder}: {reason(error)}", hint="a package has a model.toml"
        ) from error
    except ConfigError as error:
        raise WeightsError(error.message, hint=error.hint) from error
    try:
        return filled(ModelSpec, table, parsers={"calibration": _calibration}, folder=folder)
    except ConfigError as error:
        raise WeightsError(f"{path} is not a whole model spec: {error.message}", hint=error.hint) from error


def _calibration(value: Any) -> dict[str, tuple[float, float]]:
    table = checked("calibration", value, Mapping[str, Any])
    return {name: _ends(name, ends) for name, ends in table.items()}


def _ends(name: str, ends: Any) -> tuple[float, float]:
    pair = checked(f"calibration of {name}", ends, tuple[float, ...])
    if len(pair) != 2 or not -math.inf < pair[0] <= pair[1] < math.inf:
        raise ConfigError(
            f"calibration of {name} must be two finite numbers, the lesser first, got {short(ends)}"
        )
    return float(pair[0]), float(pair[1])
