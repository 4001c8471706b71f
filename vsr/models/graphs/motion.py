"""Motion between two frames as ONNX nodes: what `vsr.models.archs.motion` computes, of operators that every runtime has.

All of it is float32. Sizes are dynamic; a runtime that knows them folds the coordinates into constants.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from vsr.models.graphs.builder import GraphBuilder

BLOCK = 4
"""Side of a block, in samples."""
REACH = 4
"""The coarse match's, in samples at a quarter of the size: 16 of the frame."""
COARSE = 9
"""Side of the coarse match's windows, in the same samples."""
LEAST = 0.1 / 255
"""A shift must be better than none by this for each sample of its length."""
LEVELS = ((4, 2, 5, 1.0), (2, 1, 6, 1.0), (1, 2, 7, 1.6))
"""Of the steps: (factor of shrinking, steps, samples along a side of a window, distance of the samples)."""
LONGEST_STEP = 1.0
HALVING = (0.125, 0.375, 0.375, 0.125)
"""Taps of halving: 1, 2, 1 and the mean of two."""
FLOOR = 2e-5
"""Added to the squares of gradients: flat windows stay where they are."""
MOTION_HALO = 40
"""The reach of a vector in both frames, and of a sample that it points at, in samples."""


def shifts() -> list[tuple[int, int]]:
    """The shifts (x, y) of the coarse match, in the order of its table."""
    return [(x, y) for y in range(-REACH, REACH + 1) for x in range(-REACH, REACH + 1)]


def add_motion(graph: GraphBuilder, now: str, before: str, name: str) -> str:
    """Vectors [N, 2, h/4, w/4] in samples, from luma 0 to 1 [N, 1, h, w], both sides multiples of 4."""
    sizes = {1: (now, before)}
    for shrunk in (2, 4):
        larger = sizes[shrunk // 2]
        sizes[shrunk] = (
            _halved(graph, larger[0], f"{name}/now{shrunk}"),
            _halved(graph, larger[1], f"{name}/before{shrunk}"),
        )
    found = _coarse(graph, *sizes[4], f"{name}/coarse")
    for shrunk, steps, side, apart in LEVELS:
        found = _stepped(graph, *sizes[shrunk], found, shrunk, steps, side, apart, f"{name}/at{shrunk}")
    return found


def add_windows(
    graph: GraphBuilder,
    plane: str,
    vectors: str,
    block: int,
    side: int,
    apart: float,
    name: str,
    mode: str = "bilinear",
) -> str:
    """The windows around all blocks of a plane side by side, [N, C, rows * side, columns * side].

    vectors: by how much each block's window is moved, [N, 2, rows, columns] in samples of the plane, whose blocks have a side
    of `block`. side: samples along a side of a window; apart: their distance. The edge of the plane goes on beyond it.
    """
    sizes = add_sizes(graph, vectors)
    _, _, height, width = add_sizes(graph, plane)
    kind = f"{plane}/windows-{block}-{side}"
    if not graph.has(f"{kind}/share"):
        # GridSample has the plane from -1 to 1.
        both = graph.add("Concat", [width, height], f"{kind}/sizes", axis=0)
        real = graph.add("Cast", [both], f"{kind}/real", to=TensorProto.FLOAT)
        share = graph.add("Div", [graph.constant("two", 2.0), real], f"{kind}/share")
        _places(graph, sizes[3], block, side, apart, share, 0, f"{kind}/x")
        _places(graph, sizes[2], block, side, apart, share, 1, f"{kind}/y")
    last = graph.add("Transpose", [vectors], f"{name}/last", perm=[0, 2, 3, 1])
    scaled = graph.add("Mul", [last, f"{kind}/share"], f"{name}/scaled")
    blocks = graph.add("Unsqueeze", [scaled, graph.constant("axes-24", [2, 4], "int64")], f"{name}/blocks")
    down = graph.add("Add", [blocks, f"{kind}/y"], f"{name}/down")
    at = graph.add("Add", [down, f"{kind}/x"], f"{name}/at")
    counts = [sizes[0], f"{kind}/y/count", f"{kind}/x/count", graph.constant("pair", [2], "int64")]
    grid = graph.add("Reshape", [at, graph.add("Concat", counts, f"{name}/counts", axis=0)], f"{name}/grid")
    return graph.add("GridSample", [plane, grid], name, mode=mode, padding_mode="border", align_corners=0)


def add_inside(graph: GraphBuilder, sampled: str, name: str) -> str:
    """1 where the windows of `sampled`, made by `add_windows`, lie within the plane, else 0: [N, 1, rows, columns]."""
    left = graph.add(
        "Sub",
        [graph.constant("one", 1.0), graph.add("Abs", [f"{sampled}/grid"], f"{name}/from")],
        f"{name}/left",
    )
    least = graph.add("ReduceMin", [left, graph.constant("axis-3", [3], "int64")], f"{name}/least")
    within = graph.add("LessOrEqual", [graph.constant("zero", 0.0), least], f"{name}/within")
    real = graph.add("Cast", [within], f"{name}/real", to=TensorProto.FLOAT)
    return graph.add("Transpose", [real], name, perm=[0, 3, 1, 2])


def _places(
    graph: GraphBuilder, blocks: str, block: int, side: int, apart: float, share: str, axis: int, name: str
) -> None:
    """Where the samples of windows lie along an axis, for GridSample: [1, 1, 1, blocks, side, 2] for x and
    [1, blocks, side, 1, 1, 2] for y, each with 0 in the other axis' place. Also how many they are."""
    graph.add("Mul", [blocks, graph.constant(f"side-{side}", [side], "int64")], f"{name}/count")
    end = graph.add("Squeeze", [blocks, graph.constant("axis-0", [0], "int64")], f"{name}/end")
    ends = [graph.constant("from", 0, "int64"), end, graph.constant("by", 1, "int64")]
    number = graph.add("Range", ends, f"{name}/number")
    real = graph.add("Cast", [number], f"{name}/real", to=TensorProto.FLOAT)
    starts = graph.add("Mul", [real, graph.constant(f"block-{block}", block)], f"{name}/starts")
    starts = graph.add("Unsqueeze", [starts, graph.constant("axis-1", [1], "int64")], f"{name}/apart")
    inside = (block - 1) / 2 + (np.arange(side) - (side - 1) / 2) * apart + 0.5
    at = graph.add("Add", [starts, graph.constant(f"inside-{block}-{side}", inside[None])], f"{name}/at")
    axes = graph.constant(f"axes-of-{axis}", [0, 1, 2, 5] if axis == 0 else [0, 3, 4, 5], "int64")
    at = graph.add("Unsqueeze", [at, axes], f"{name}/spread")
    scaled = graph.add("Mul", [at, share], f"{name}/scaled")
    ahead = graph.add("Sub", [scaled, graph.constant("one", 1.0)], f"{name}/ahead")
    graph.add("Mul", [ahead, graph.constant(f"only-{axis}", np.eye(2)[axis])], name)


def add_sizes(graph: GraphBuilder, plane: str) -> list[str]:
    """Batch, channels, rows and columns of a plane, each int64 [1]."""
    names = [f"{plane}/size{axis}" for axis in range(4)]
    if not graph.has(names[0]):
        graph.split(graph.add("Shape", [plane], f"{plane}/shape"), names, axis=0)
    return names


def add_spread(graph: GraphBuilder, planes: str, factor: int, name: str) -> str:
    """Each sample repeated `factor` times both ways."""
    scales = graph.constant(f"times-{factor}", [1.0, 1.0, factor, factor])
    return graph.add(
        "Resize",
        [planes, "", scales],
        name,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def add_padded(graph: GraphBuilder, plane: str, sides: Sequence[int], name: str) -> str:
    """The edge repeated to left, right, top and bottom."""
    left, right, top, bottom = sides
    pads = graph.constant(
        f"pads-{left}-{right}-{top}-{bottom}", [0, 0, top, left, 0, 0, bottom, right], "int64"
    )
    return graph.add("Pad", [plane, pads], name, mode="edge")


def add_mean_around(graph: GraphBuilder, planes: str, window: int, name: str) -> str:
    """Means over windows of an odd side around each sample; the edge is repeated beyond the picture."""
    padded = add_padded(graph, planes, [window // 2] * 4, f"{name}/pad")
    return graph.add("AveragePool", [padded], name, kernel_shape=[window, window])


def _halved(graph: GraphBuilder, plane: str, name: str) -> str:
    padded = add_padded(graph, plane, [1, 1, 1, 1], f"{name}/pad")
    taps = graph.constant("halving", np.outer(HALVING, HALVING)[None, None])
    return graph.add("Conv", [padded, taps], name, strides=[2, 2])


def _coarse(graph: GraphBuilder, now: str, before: str, name: str) -> str:
    side, table = 2 * REACH + 1, np.array(shifts(), np.float32)
    # Copies at all shifts, by kernels of a single 1.
    kernels = np.zeros((side**2, 1, side, side), np.float32)
    kernels[np.arange(side**2), 0, table[:, 1].astype(int) + REACH, table[:, 0].astype(int) + REACH] = 1.0
    padded = add_padded(graph, before, [REACH] * 4, f"{name}/pad")
    copies = graph.add("Conv", [padded, graph.constant("shifts", kernels)], f"{name}/copies")
    apart = graph.add("Abs", [graph.add("Sub", [copies, now], f"{name}/differences")], f"{name}/apart")
    means = add_mean_around(graph, apart, COARSE, f"{name}/means")
    lengths = graph.constant("lengths", LEAST * np.hypot(table[:, 0], table[:, 1])[None, :, None, None])
    costs = graph.add("Add", [means, lengths], f"{name}/costs")
    # The mean of the best ones: there is one, or several that are equal.
    least = graph.add("ReduceMin", [costs, graph.constant("axis-1", [1], "int64")], f"{name}/least")
    best = graph.add("LessOrEqual", [costs, least], f"{name}/which")
    chosen = graph.add("Cast", [best], f"{name}/best", to=TensorProto.FLOAT)
    sums = graph.add(
        "Conv", [chosen, graph.constant("table", BLOCK * table.T[..., None, None])], f"{name}/sums"
    )
    count = graph.add("Conv", [chosen, graph.constant("each", np.ones((1, side**2, 1, 1)))], f"{name}/count")
    return graph.add("Div", [sums, count], name)


def _stepped(
    graph: GraphBuilder,
    now: str,
    before: str,
    vectors: str,
    shrunk: int,
    steps: int,
    side: int,
    apart: float,
    name: str,
) -> str:
    def pooled(plane: str) -> str:
        return graph.add(
            "AveragePool", [plane], f"{plane}/mean", kernel_shape=[side, side], strides=[side, side]
        )

    def product(left: str, right: str, made: str) -> str:
        return graph.add("Mul", [left, right], f"{name}/{made}")

    block = BLOCK // shrunk
    still = graph.add("Mul", [vectors, graph.constant("zero", 0.0)], f"{name}/still")
    gradients = _gradients(graph, now, f"{name}/gradients")
    seen = graph.add("Concat", [now, gradients], f"{name}/seen", axis=1)
    at_rest = add_windows(graph, seen, still, block, side, apart, f"{name}/all")
    shown, x, y = f"{name}/shown", f"{name}/x", f"{name}/y"
    graph.split(at_rest, [shown, x, y], axis=1)
    floor = graph.constant("floor", FLOOR)
    xx = graph.add("Add", [pooled(product(x, x, "xx")), floor], f"{name}/xx+")
    yy = graph.add("Add", [pooled(product(y, y, "yy")), floor], f"{name}/yy+")
    xy = pooled(product(x, y, "xy"))
    determinant = graph.add("Sub", [product(xx, yy, "xxyy"), product(xy, xy, "xyxy")], f"{name}/determinant")
    ends = [graph.constant("-step", -LONGEST_STEP), graph.constant("+step", LONGEST_STEP)]
    for step in range(steps):
        now_at = f"step{step}"
        scaled = graph.add(
            "Div", [vectors, graph.constant(f"by-{shrunk}", shrunk)], f"{name}/{now_at}/vectors"
        )
        there = add_windows(graph, before, scaled, block, side, apart, f"{name}/{now_at}/there")
        late = graph.add("Sub", [shown, there], f"{name}/{now_at}/late")
        along_x = pooled(product(x, late, f"{now_at}/x"))
        along_y = pooled(product(y, late, f"{now_at}/y"))
        across = graph.add(
            "Sub",
            [product(yy, along_x, f"{now_at}/a"), product(xy, along_y, f"{now_at}/b")],
            f"{name}/{now_at}/across",
        )
        down = graph.add(
            "Sub",
            [product(xx, along_y, f"{now_at}/c"), product(xy, along_x, f"{now_at}/d")],
            f"{name}/{now_at}/down",
        )
        both = graph.add("Concat", [across, down], f"{name}/{now_at}/both", axis=1)
        taken = graph.add("Div", [both, determinant], f"{name}/{now_at}/taken")
        clipped = graph.add("Clip", [taken, *ends], f"{name}/{now_at}/clipped")
        longer = graph.add(
            "Mul", [clipped, graph.constant(f"by-{shrunk}", shrunk)], f"{name}/{now_at}/longer"
        )
        vectors = graph.add("Add", [vectors, longer], f"{name}/{now_at}")
    return vectors


def _gradients(graph: GraphBuilder, plane: str, name: str) -> str:
    """Along x and y, by central differences [N, 2, h, w]."""
    kernels = np.zeros((2, 1, 3, 3), np.float32)
    kernels[0, 0, 1, 0], kernels[0, 0, 1, 2] = -0.5, 0.5
    kernels[1, 0, 0, 1], kernels[1, 0, 2, 1] = -0.5, 0.5
    padded = add_padded(graph, plane, [1, 1, 1, 1], f"{name}/pad")
    return graph.add("Conv", [padded, graph.constant("central", kernels)], name)
