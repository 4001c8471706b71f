"""Results of a bench that measured nothing."""

from __future__ import annotations

from vsr.bench.result import BenchResult, Case, Cell, Part
from vsr.bench.statistics import FrameTimes, Spread
from vsr.machine.environment import Environment

HERE = Environment("EPYC", 2, 8.0, "Linux x86_64", "3.11", flags=("avx2",), versions={"openvino": "1"})


def around(median: float) -> Spread:
    return Spread(median, 0.99 * median, 1.01 * median, 16)


def part(fps: float) -> Part:
    return Part(around(fps), around(1000 / fps), FrameTimes(1.0, 2.0, 3.0, 100))


def cell(fps: float, encoder: str = "null", *, infer: float = 20.0, decode: float = 500.0) -> Cell:
    case = Case("fast-x2", 2, (960, 540), (1920, 1080), "openvino", "fp32", encoder=encoder)
    alone = {"decode": part(decode), "infer": part(infer)}
    if encoder != "null":
        alone["encode"] = part(80.0)
    return Cell(case, part(fps), alone, package="ab")


def result(*cells: Cell, environment: Environment = HERE) -> BenchResult:
    return BenchResult("2026-01-01T00:00:00+00:00", "vsr bench", environment, cells)
