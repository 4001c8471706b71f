"""A network with memory as ONNX nodes: what `vsr.models.archs.temporal` computes, with the motion between the frames in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.motion import (
    BLOCK,
    add_inside,
    add_mean_around,
    add_motion,
    add_spread,
    add_windows,
)
from vsr.models.graphs.networks import add_convolution, add_filtered
from vsr.models.graphs.past import (
    ACTIVITY_FLOOR,
    ACTIVITY_WINDOW,
    BANK,
    LINEAR,
    MATCH_WINDOW,
    OFF_SCALE,
    PHASES,
)
from vsr.models.spec import State

if TYPE_CHECKING:
    from vsr.models.archs.temporal import TemporalSpec


@dataclass(frozen=True)
class Memory:
    """Tensors of the last frame in a frame graph.

    luma: float32 [N, 1, h, w] in units of the network. result: [N, 1, h x scale, w x scale]. keep: [N, 1, 1, 1].
    """

    luma: str
    result: str
    keep: str


@dataclass(frozen=True)
class TemporalNetwork:
    """A folded network with memory (`vsr.models.archs.temporal`) whose weights lie in `weights_file`."""

    spec: TemporalSpec
    weights_file: Path
    domain: ClassVar[str] = "luma"
    states: ClassVar[tuple[State, ...]] = ("input", "output")

    @property
    def scale(self) -> int:
        return self.spec.scale

    @property
    def halo(self) -> int:
        return self.spec.halo

    @property
    def size_multiple(self) -> int:
        return self.spec.size_multiple

    @property
    def macs_per_pixel(self) -> int:
        return round(self.spec.macs_per_pixel)

    @property
    def parameters(self) -> int:
        return self.spec.parameters

    def table(self) -> Mapping[str, Any]:
        return {"arch": "temporal", "channels": self.spec.channels, "depth": self.spec.depth}

    def add_with_memory(self, graph: GraphBuilder, luma: str, memory: Memory) -> str:
        """Add the nodes. `luma` and the result are those of `Network.add_to`."""
        scale = self.scale
        linear = add_filtered(graph, luma, graph.weight("linear.weight"), LINEAR // 2, "net/linear")
        vectors = add_motion(graph, luma, memory.luma, "motion")
        whole = graph.add("Round", [vectors], "past/whole")
        phase = graph.add("Sub", [vectors, whole], "past/phase")
        back = graph.add("Neg", [phase], "past/back")
        gathered = add_windows(graph, memory.luma, whole, BLOCK, BLOCK, 1.0, "past/gathered", "nearest")
        expected = add_windows(graph, luma, back, BLOCK, BLOCK, 1.0, "past/expected", "bicubic")
        lacking = graph.add("Sub", [gathered, expected], "past/lacking")
        off = add_mean_around(graph, graph.add("Abs", [lacking], "past/apart"), MATCH_WINDOW, "past/off")
        known = add_inside(graph, "past/gathered", "past/inside")
        trust = self._trust(graph, luma, off, graph.add("Mul", [known, memory.keep], "past/known"))
        weights = add_spread(graph, self._phase_weights(graph, back), BLOCK, "past/weights")
        weighed = graph.add("Mul", [lacking, trust], "past/weighed")
        spread = graph.add("Mul", [weights, weighed], "past/spread")
        longer = graph.add("Mul", [vectors, graph.constant("scale", scale)], "past/longer")
        side = BLOCK * scale
        moved = add_windows(graph, memory.result, longer, side, side, 1.0, "past/moved")
        packed = graph.add("SpaceToDepth", [moved], "past/packed", blocksize=scale)
        base = graph.add("Add", [linear, luma], "past/base")
        taken = graph.add("Sub", [packed, base], "past/taken")
        trusted = graph.add("Mul", [taken, trust], "past/trusted")
        seen = graph.add("Concat", [spread, trusted], "past/seen", axis=1)
        kept = graph.add("Mul", [memory.keep, graph.constant("off-scale", OFF_SCALE)], "past/kept")
        mismatch = graph.add("Mul", [off, kept], "past/mismatch")
        features = graph.add("Concat", [luma, seen, trust, mismatch], "net/features", axis=1)
        for conv in range(self.spec.depth + 2):
            features = add_convolution(
                graph, features, conv, self.spec.channels if conv <= self.spec.depth else 0
            )
        ends = ["net/made", "net/share"]
        graph.split(features, ends, axis=1)
        pads = [BANK // 2] * 4
        filtered = graph.add("Conv", [seen, graph.weight("bank.weight")], "past/filtered", pads=pads)
        made = graph.add("Add", [ends[0], filtered], "past/all")
        share = graph.add("Mul", [graph.add("Sigmoid", [ends[1]], "past/likely"), trust], "past/share")
        change = graph.add("Mul", [share, graph.add("Sub", [taken, made], "past/change")], "past/changed")
        mixed = graph.add("Add", [made, change], "past/mixed")
        return graph.add("Add", [mixed, linear], "net/both")

    def _trust(self, graph: GraphBuilder, luma: str, off: str, known: str) -> str:
        around = add_mean_around(graph, luma, ACTIVITY_WINDOW, "past/around")
        differs = graph.add("Abs", [graph.add("Sub", [luma, around], "past/differs")], "past/differing")
        activity = add_mean_around(graph, differs, MATCH_WINDOW, "past/activity")
        floored = graph.add(
            "Add", [activity, graph.constant("activity-floor", ACTIVITY_FLOOR)], "past/active"
        )
        ratio = graph.add("Div", [off, floored], "past/ratio")
        graph.split(graph.weight("trust"), ["trust/first", "trust/second"], axis=0)
        doubt = graph.add("Mul", [ratio, "trust/second"], "past/doubt")
        certain = graph.add(
            "Sigmoid", [graph.add("Sub", ["trust/first", doubt], "past/belief")], "past/certain"
        )
        return graph.add("Mul", [certain, known], "past/trust")

    def _phase_weights(self, graph: GraphBuilder, back: str) -> str:
        """For each block the weights of the nine places, row by row: [N, 9, h/4, w/4]."""
        near: list[str] = []
        parts = ["past/across", "past/down"]
        graph.split(back, parts, axis=1)
        for part in parts:
            places = graph.constant("phases", [[[p]] for p in PHASES])
            away = graph.add("Abs", [graph.add("Sub", [part, places], f"{part}/from")], f"{part}/away")
            doubled = graph.add("Mul", [away, graph.constant("two", 2.0)], f"{part}/doubled")
            less = graph.add("Sub", [graph.constant("one", 1.0), doubled], f"{part}/less")
            near.append(graph.add("Relu", [less], f"{part}/near"))
        columns = graph.add("Concat", [near[0]] * len(PHASES), "past/columns", axis=1)
        # Each row's weight beside each of its columns'.
        rows = graph.add(
            "Gather",
            [near[1], graph.constant("rows", [0, 0, 0, 1, 1, 1, 2, 2, 2], "int64")],
            "past/rows",
            axis=1,
        )
        return graph.add("Mul", [columns, rows], "past/near")
