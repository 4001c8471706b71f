"""Chroma planes brought to the luma's size, and back, in a frame graph.

Chroma is enlarged by cubic convolution and reduced by averaging, each where its samples lie.
"""

from __future__ import annotations

from vsr.models.graphs.builder import GraphBuilder

CHROMA_REACH = 10
"""Of chroma's way to the luma's size and back, in luma pixels: two samples of a quarter the width, and the reduction's
neighbours."""

HALF = 2
"""The chroma network takes so many pixels a side as one."""
MIDDLES, GAINS = (0.5, 0.0, 0.0), (1.0, 4.0, 4.0)
"""What the chroma network takes away from Y, Cb and Cr, and by what it multiplies the rest: all then have about the same size,
without which it learns ten times as slowly."""


def chroma_at_luma_size(graph: GraphBuilder, plane: str, luma: str, siting: str, name: str) -> str:
    """A float32 plane of chroma [N, 1, ...] at the size of `luma` [N, 1, h, w]."""
    for axis, key in ((3, "wide"), (2, "tall")):
        side = graph.add("Shape", [luma], f"{name}/{key}_size/side", start=axis, end=axis + 1)
        size = _with_side(graph, plane, side, axis, f"{name}/{key}_size")
        plane = _resized(graph, plane, size, _cosited(siting, axis), "cubic", f"{name}/{key}")
    return plane


def chroma_at_own_size(
    graph: GraphBuilder, large: str, before: str, scale: int, siting: str, name: str
) -> str:
    """Chroma [N, 1, h x scale, w x scale] at `scale` times the size of the plane `before`."""
    for axis, key in ((3, "narrow"), (2, "short")):
        cosited = _cosited(siting, axis)
        if cosited:
            large = _evened(graph, large, axis, f"{name}/{key}")
        part = graph.add("Shape", [before], f"{name}/{key}_before", start=axis, end=axis + 1)
        side = graph.add(
            "Mul", [part, graph.constant(f"times{scale}", [scale], "int64")], f"{name}/{key}_side"
        )
        wanted = _with_side(graph, large, side, axis, f"{name}/{key}_size")
        large = _resized(graph, large, wanted, cosited, "linear", f"{name}/{key}")
    return large


def _evened(graph: GraphBuilder, plane: str, axis: int, name: str) -> str:
    """Each sample with a quarter of both its neighbours along an axis: it lies between them, not between two samples. No
    convolution: OpenVINO keeps float32 only after the last of them."""
    pads = [0, 0, 0, 1, 0, 0, 0, 1] if axis == 3 else [0, 0, 1, 0, 0, 0, 1, 0]
    padded = graph.add(
        "Pad", [plane, graph.constant(f"pads{axis}", pads, "int64")], f"{name}_pad", mode="edge"
    )
    along = graph.constant(f"axis{axis}", [axis], "int64")
    before, after = (
        graph.add(
            "Slice",
            [
                padded,
                graph.constant(f"from{start}", [start], "int64"),
                graph.constant(f"to{end}", [end], "int64"),
                along,
            ],
            f"{name}_{side}",
        )
        for side, start, end in (("earlier", 0, -2), ("later", 2, 1 << 31))
    )
    both = graph.add("Add", [before, after], f"{name}_both")
    halves = [
        graph.add("Mul", [part, graph.constant(str(weight), weight)], f"{name}_{of}")
        for part, weight, of in ((plane, 0.5, "own"), (both, 0.25, "others"))
    ]
    return graph.add("Add", halves, f"{name}_even")


def _with_side(graph: GraphBuilder, plane: str, side: str, axis: int, name: str) -> str:
    """The shape of `plane` with another length along `axis`."""
    parts = [graph.add("Shape", [plane], f"{name}/before", end=axis), side]
    if axis == 2:
        parts.append(graph.add("Shape", [plane], f"{name}/after", start=3))
    return graph.add("Concat", parts, name, axis=0)


def _resized(graph: GraphBuilder, plane: str, size: str, cosited: bool, mode: str, name: str) -> str:
    return graph.add(
        "Resize",
        [plane, "", "", size],
        name,
        mode=mode,
        coordinate_transformation_mode="asymmetric" if cosited else "half_pixel",
        **({"cubic_coeff_a": -0.5} if mode == "cubic" else {}),
    )


def _cosited(siting: str, axis: int) -> bool:
    """Whether chroma samples lie on luma samples along an axis, rather than between two."""
    return siting == "topleft" or (siting == "left" and axis == 3)
