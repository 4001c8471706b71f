"""Compares two results: faster and slower figures, and figures that only one of them has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vsr.bench.result import BenchResult, Cell
from vsr.bench.statistics import Spread, Verdict, verdict


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both results. what: its name in words. ratio: above 1 if the second result is better, for frames a second
    as for seconds."""

    what: str
    unit: str
    before: Spread
    after: Spread
    ratio: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class BenchComparison:
    """Two results of `vsr bench`, figure by figure.

    changes: figures that both results have. only_before, only_after: names of figures that only one result has. differences:
    sentences about machines and versions that differ.
    """

    changes: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def regressed(self) -> bool:
        """Whether a figure is worse by more than its spread."""
        return any(change.verdict == "worse" for change in self.changes)


def compare_results(before: BenchResult, after: BenchResult) -> BenchComparison:
    """Compare the result `after` with the result `before`."""
    old, new = dict(_figures(before)), dict(_figures(after))
    changes = []
    for key, spread in old.items():
        if key in new and spread.median > 0 and new[key].median > 0:
            what, unit = key
            more_is_better = unit == "fps"
            ratio = new[key].median / spread.median
            changes.append(
                Change(
                    what,
                    unit,
                    spread,
                    new[key],
                    ratio if more_is_better else 1 / ratio,
                    verdict(spread, new[key], more_is_better=more_is_better),
                )
            )
    return BenchComparison(
        tuple(changes),
        tuple(f"{what}, {unit}" for what, unit in old if (what, unit) not in new),
        tuple(f"{what}, {unit}" for what, unit in new if (what, unit) not in old),
        tuple(_differences(before, after)),
    )


def _figures(result: BenchResult) -> Iterator[tuple[tuple[str, str], Spread]]:
    """Each compared figure, by its name and unit. A stage alone is named by the values that it depends on, so that it counts
    once for several cells."""
    for cell in result.cells:
        case = cell.case
        yield (f"{case.network} into {case.sink}", "fps"), cell.together.fps
        for stage, part in cell.alone.items():
            yield (_alone(cell, stage), "fps"), part.fps
        if cell.start is not None:
            yield (f"{case.network} into {case.sink}, to the first frame", "s"), cell.start.total


def _alone(cell: Cell, stage: str) -> str:
    case = cell.case
    if stage == "decode":
        return f"decode alone, {case.input}, {'x'.join(map(str, case.size))}"
    if stage == "encode":
        return f"encode alone, {case.sink}, {'x'.join(map(str, case.size_out))}"
    return f"{stage} alone, {case.network}"


def _differences(before: BenchResult, after: BenchResult) -> Iterator[str]:
    old, new = before.environment, after.environment
    if old.machine != new.machine:
        named = " and ".join(", ".join(filter(None, machine)) for machine in (old.machine, new.machine))
        yield f"these are two machines, so a ratio says nothing of the program: {named}"
    names = dict.fromkeys((*old.versions, *new.versions))
    other = [f"{name} {old.versions.get(name)} and {new.versions.get(name)}"
             for name in names if old.versions.get(name) != new.versions.get(name)]  # fmt: skip
    if other:
        yield f"versions differ: {', '.join(other)}"
    for name, result in (("first", before), ("second", after)):
        if result.load is not None and result.load.busy:
            yield f"the machine was busy during the {name}: {result.load}"
    packages = {cell.case.model: cell.package for cell in before.cells}
    changed = sorted(
        {c.case.model for c in after.cells if packages.get(c.case.model, c.package) != c.package}
    )
    if changed:
        yield f"the packages differ: {', '.join(changed)}"
