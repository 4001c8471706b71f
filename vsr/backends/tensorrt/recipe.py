"""The settings of an engine: a TOML file as in `engines/recipes`, or a model's name and the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from vsr.backends.guarded import MIN_PSNR_DB
from vsr.core.errors import ConfigError, reason
from vsr.core.frame import PixelFormat
from vsr.core.tables import checked, filled, in_range, one_of, read_table, short
from vsr.models.spec import ALL_LAYOUTS, GraphLayout, ModelSpec, Precision

Library = Literal["tensorrt", "tensorrt_rtx"]
MAX_SIDE, MAX_BATCH = 16_384, 64
# Pixels of the largest frame. Larger frames are tiled, because TensorRT would need gigabytes to build an engine for them.
MAX_PIXELS = 1 << 28
Chroma = Literal["4:2:0", "4:2:2", "4:4:4", "4:4:0", "4:1:1", "4:1:0"]

ShapeExtent = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""The least, the best supported and the largest shape of an input, as in TensorRT's profiles."""

_MAX_MB = 1 << 20
_LAYOUTS = {layout.name: layout for layout in ALL_LAYOUTS}
# Luma samples across and down for one of chroma.
_SUBSAMPLED: Mapping[Chroma, tuple[int, int]] = {
    "4:2:0": (2, 2), "4:2:2": (2, 1), "4:4:4": (1, 1), "4:4:0": (1, 2), "4:1:1": (4, 1), "4:1:0": (4, 4)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extent:
    """The least, the best supported and the largest value of a side or a batch, as in TensorRT's profiles."""

    min: int
    opt: int
    max: int

    @staticmethod
    def of(value: Any, name: str) -> Extent:
        """The extent that `value` states, a number or a list of three. name: of the value, for messages. Raises ConfigError."""
        given = value if isinstance(value, list) else [value] * 3
        most = MAX_BATCH if name == "batch" else MAX_SIDE
        whole = len(given) == 3 and all(type(n) is int for n in given)
        if not whole or not 1 <= given[0] <= given[1] <= given[2] <= most:
            raise ConfigError(
                f"{name} must be a whole number from 1 to {most}, or three of them, [min, opt, max], got {short(value)}"
            )
        return Extent(*given)

    def includes(self, other: Extent) -> bool:
        """Whether all of `other` lies within."""
        return self.min <= other.min and other.max <= self.max


@dataclass(frozen=True, slots=True)
class EngineRecipe:
    """The settings of one engine.

    model: a name or the path of a package. layout: of the frames, by the names of frame graphs (yuv8-left). width, height: luma
    samples; batch: frames. precision of the network: "fp32", "fp16", "bf16", or "int8" or
    "fp8" for a calibrated package; "auto" for fp16, or fp32 if the package needs it. library: "tensorrt" or "tensorrt_rtx", or
    "auto" for the installed one. compute_capabilities: of the GPUs to build for, as "8.9", for TensorRT-RTX; empty for the GPU
    of this machine. keep_fp32: tensors, by their names in the network's graph, that stay in fp32. min_psnr_db: an engine below
    this PSNR against float32 is refused; 0 for 60, 50, 40 or 35 for fp32, fp16, bf16 or 8 bits. workspace_mb: device memory for
    the build, 0 for all free memory. optimization_level: 0 to 5. Raises ConfigError.
    """

    model: str
    layout: str = "yuv8-left"
    chroma: Chroma = "4:2:0"
    width: Extent = Extent(1280, 1280, 1280)
    height: Extent = Extent(720, 720, 720)
    batch: Extent = Extent(1, 1, 1)
    precision: Precision | Literal["auto"] = "auto"
    library: Library | Literal["auto"] = "auto"
    compute_capabilities: tuple[str, ...] = ()
    keep_fp32: tuple[str, ...] = ()
    min_psnr_db: int = 0
    workspace_mb: int = 0
    optimization_level: int = 3

    def __post_init__(self) -> None:
        one_of("layout", self.layout, _LAYOUTS)
        one_of("chroma", self.chroma, get_args(Chroma))
        one_of("precision", self.precision, (*get_args(Precision), "auto"))
        one_of("library", self.library, (*get_args(Library), "auto"))
        in_range("optimization_level", self.optimization_level, 0, 5)
        in_range("min_psnr_db", self.min_psnr_db, 0, 99)
        in_range("workspace_mb", self.workspace_mb, 0, _MAX_MB)
        if self.keep_fp32 and self.precision not in ("auto", "fp16", "bf16"):
            raise ConfigError(f"keep_fp32 is for fp16 and bf16, not {self.precision}")
        if self.batch.max * self.width.max * self.height.max > MAX_PIXELS:
            raise ConfigError(
                f"{self.batch.max} frames of {self.width.max}x{self.height.max} are too much for one engine",
                hint="`vsr upscale` cuts large frames into tiles of 1024, or as --tile says",
            )
        for capability in self.compute_capabilities:
            if not re.fullmatch("[0-9]{1,3}[.][0-9]{1,2}", capability):
                raise ConfigError(
                    f"{short(capability)} is not a compute capability",
                    hint="as NVIDIA writes them: 8.6, 8.9, 12.0",
                )

    @property
    def concrete_precision(self) -> Precision:
        """The precision of a recipe from which an engine was built, where "auto" has been resolved."""
        assert self.precision != "auto"
        return self.precision

    @property
    def psnr_limit_db(self) -> int:
        """`min_psnr_db`, or the default of the precision."""
        return self.min_psnr_db or MIN_PSNR_DB[self.concrete_precision]

    @property
    def graph_layout(self) -> GraphLayout:
        """The layout as a value."""
        return _LAYOUTS[self.layout]

    @property
    def pixel_format(self) -> PixelFormat:
        """The format of frames of this layout; deeper frames have 10 bits here."""
        layout = self.graph_layout
        across, down = _SUBSAMPLED[self.chroma] if layout.kind == "yuv" else (1, 1)
        log2 = across.bit_length() - 1, down.bit_length() - 1
        return PixelFormat(layout.kind, 8 if layout.bytes_per_sample == 1 else 10, log2)

    def input_shapes(self, spec: ModelSpec) -> dict[str, ShapeExtent]:
        """`plane_shapes`, and the same for the memory of a network that has one."""
        planes = self.plane_shapes()
        memories = [
            spec.memory_shapes(self.graph_layout, {name: shapes[which] for name, shapes in planes.items()})
            for which in range(3)
        ]
        return planes | {
            name: (memories[0][name], memories[1][name], memories[2][name]) for name in memories[0]
        }

    def plane_shapes(self) -> dict[str, ShapeExtent]:
        """Min, opt and max of each input plane's shape (batch, 1, height, width x bytes of a sample)."""
        layout = self.graph_layout
        shapes = {}
        for name in layout.plane_names:
            across, down = _SUBSAMPLED[self.chroma] if name in "uv" and layout.kind == "yuv" else (1, 1)
            shapes[name] = tuple(
                (
                    getattr(self.batch, which),
                    1,
                    -(-getattr(self.height, which) // down),
                    -(-getattr(self.width, which) // across) * layout.bytes_per_sample,
                )
                for which in ("min", "opt", "max")
            )
        return shapes  # type: ignore[return-value]

    def serves(self, other: EngineRecipe) -> bool:
        """Whether this recipe's engine can replace the engine of `other`, of the same package on the same GPU. `keep_fp32`,
        workspace and optimization level may differ."""
        alike = ("layout", "chroma", "precision")
        within = ("width", "height", "batch")
        return all(getattr(self, name) == getattr(other, name) for name in alike) and all(
            getattr(self, name).includes(getattr(other, name)) for name in within
        )

    def as_dict(self) -> dict[str, Any]:
        """The entries of a TOML file, with the defaults filled in."""
        values: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Extent):
                value = value.opt if value.min == value.max else [value.min, value.opt, value.max]
            values[field.name] = list(value) if isinstance(value, tuple) else value
        return values


def recipe_for(
    spec: ModelSpec, layout: GraphLayout, shapes: Mapping[str, tuple[int, ...]], precision: Precision
) -> EngineRecipe:
    """The recipe of an engine for planes of just these shapes, on the GPU that is here."""
    first = shapes[layout.plane_names[0]]
    recipes = (
        EngineRecipe(
            model=str(spec.folder.resolve()),
            layout=layout.name,
            chroma=chroma,
            width=Extent.of(first[3] // layout.bytes_per_sample, "width"),
            height=Extent.of(first[2], "height"),
            batch=Extent.of(first[0], "batch"),
            precision=precision,
        )
        for chroma in _SUBSAMPLED
    )
    for recipe in recipes:
        if all(recipe.plane_shapes()[name][1] == shapes[name] for name in layout.plane_names):
            return recipe
    raise ConfigError(f"no engine accepts planes of {dict(shapes)}", hint="use another backend")


def load_recipe(path: Path) -> EngineRecipe:
    """The recipe of a TOML file. Raises ConfigError that names the wrong entry."""
    try:
        return recipe_from_dict(read_table(path), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {reason(error)}") from error
    except ConfigError as error:
        raise ConfigError(error.message, hint=error.hint or "engines/recipes/ has examples") from error


def recipe_from_dict(table: Mapping[str, Any], name: str = "recipe") -> EngineRecipe:
    """A recipe from plain values, as `EngineRecipe.as_dict` returns them. Raises ConfigError that names the wrong entry."""
    sides = ("width", "height", "batch")
    parsers = {side: partial(Extent.of, name=side) for side in sides} | {
        texts: partial(_sorted, texts) for texts in ("compute_capabilities", "keep_fp32")
    }
    return filled(EngineRecipe, table, f"{name}: ", parsers=parsers)


def _sorted(name: str, value: Any) -> tuple[str, ...]:
    """Sorted by number: 8.9 comes before 12.0, and the order in the file does not matter."""
    texts = checked(name, value, tuple[str, ...])
    return tuple(
        sorted(set(texts), key=lambda text: ([int(n) for n in re.findall("[0-9]{1,9}", text)], text))
    )
