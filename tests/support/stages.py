"""Two stages that tests of the pipeline run, and how long they wait for a thread."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.processes import PATIENCE_S

WAIT_S = PATIENCE_S


def plus_one(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        yield item + 1


def pairs(items: Iterator[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for item in items:
        batch.append(item)
        if len(batch) == 2:
            yield batch
            batch = []
    if batch:
        yield batch
