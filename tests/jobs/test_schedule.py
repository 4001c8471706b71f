"""Who makes which segment, tried with virtual runners on a virtual clock."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path

import pytest

from tests.support.clock import PretendedClock
from tests.support.job_parts import WHOLE, Recorded, content_of, report_of, run_segment
from tests.support.tiers import slow
from vsr.core.clock import Waitable
from vsr.core.control import Control
from vsr.core.errors import InferenceError
from vsr.jobs.runners import Failed, Made
from vsr.jobs.schedule import Schedule
from vsr.jobs.segments import SegmentPlan, plan_segments
from vsr.jobs.tasks import SegmentDone, SegmentTask
from vsr.media.read.index import VideoIndex


@dataclass
class Node:
    """speed: frames a second, by the time it begins a segment."""

    speed: Callable[[float], float]
    task: SegmentTask | None = None
    begun: int = 0


class ItsClock:
    """Time as a cluster has it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def now(self) -> float:
        return self._cluster.time

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps")

    def wait(self, for_what: Waitable, timeout_s: float | None = None) -> bool:
        raise AssertionError("nobody waits by it")


@dataclass
class Cluster:
    """Virtual nodes. events: (time, number, what happens), of which those of dropped segments come to nothing."""

    events: list[tuple[float, int, Callable[[], Made | Failed | None]]] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    begun: Counter[int] = field(default_factory=Counter)
    ended: Counter[int] = field(default_factory=Counter)
    time: float = 0.0
    _order: count[int] = field(default_factory=count)

    # Runners

    def free(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.task is None]

    def start(self, runner: str, task: SegmentTask) -> None:
        node = self.nodes[runner]
        node.task, node.begun = task, node.begun + 1
        self.begun[task.segment.number] += 1
        number = node.begun

        def end() -> Made | Failed | None:
            if self.nodes.get(runner) is not node or node.begun != number or node.task is not task:
                return None
            node.task = None
            self.ended[task.segment.number] += 1
            task.path.write_bytes(content_of(task.segment)[:64])
            return Made(runner, SegmentDone(task.segment.number, report_of(task.segment.frames)))

        self.at(self.time + task.segment.frames / node.speed(self.time), end)

    def wait(self, timeout_s: float | None) -> list[Made | Failed]:
        if timeout_s is not None and self.events and self.events[0][0] > self.time + timeout_s:
            self.time += timeout_s
            return []
        self.time, _, happens = heapq.heappop(self.events)
        event = happens()
        return [event] if event else []

    def drop(self, runner: str) -> None:
        if runner in self.nodes:
            self.nodes[runner].task = None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    # What happens

    def at(self, time: float, happens: Callable[[], Made | Failed | None]) -> None:
        heapq.heappush(self.events, (time, next(self._order), happens))

    def joins(self, name: str, time: float, speed: Callable[[float], float]) -> None:
        self.at(time, lambda: self.nodes.update({name: Node(speed)}))

    def dies(self, name: str, time: float) -> None:
        def die() -> Failed | None:
            del self.nodes[name]
            return Failed(name, InferenceError(f"{name} is gone"), gone=True)

        self.at(time, die)


def plan_of(count: int, rng: random.Random) -> SegmentPlan:
    """So many segments of an input of 25 frames a second with keyframes at odd places, or nearly so many."""
    frames = count * 750
    keyframes, tick = [0], 0
    while tick < frames:
        tick += rng.randint(25, 250)
        keyframes.append(tick)
    return plan_segments(VideoIndex(Fraction(1, 25), tuple(range(frames)), tuple(keyframes)), 750)


def least_time(frames: int, speeds: list[tuple[float, float, float]]) -> float:
    """When so many frames would be made if no runner ever waited. speeds: from, until, frames a second."""
    low, high = 0.0, 1e9
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        made = sum(max(0.0, min(until, middle) - since) * speed for since, until, speed in speeds)
        low, high = (middle, high) if made < frames else (low, middle)
    return high


@pytest.fixture
def _nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no power cut here, and thousands of files."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def busy_cluster(nodes: int, rng: random.Random) -> tuple[Cluster, list[tuple[float, float, float]]]:
    """Of ten nodes one dies, one comes late, and one is slow, from the beginning or later. And the speeds of all."""
    cluster, speeds = Cluster(), list[tuple[float, float, float]]()
    for number in range(nodes):
        name, speed, since, until, slow_from = f"node{number}", rng.uniform(20, 30), 0.0, 1e9, 1e9
        if number % 10 == 1:
            until = rng.uniform(0, 350)
            cluster.dies(name, until)
        elif number % 10 == 2:
            since = rng.uniform(0, 200)
        elif number % 20 == 3:
            speed /= 10
        elif number % 20 == 13:
            slow_from = rng.uniform(0, 300)
        cluster.joins(name, since, lambda now, fast=speed, then=slow_from: fast if now < then else fast / 10)
        speeds += [(since, min(until, slow_from), speed), (slow_from, until, speed / 10)]
    return cluster, speeds


@pytest.mark.usefixtures("_nothing_is_synced")
@pytest.mark.parametrize(
    ("nodes", "seed"), [(20, 0), *(pytest.param(100, seed, marks=slow) for seed in range(3))]
)
def test_ten_segments_a_node_are_made_nearly_as_soon_as_can_be(nodes: int, seed: int, tmp_path: Path) -> None:
    """Nodes die, come late, are slow and become so; the planner, the journal and the scheduler are the real ones."""
    rng = random.Random(seed)
    plan = plan_of(10 * nodes, rng)
    cluster, speeds = busy_cluster(nodes, rng)
    report = Recorded(tmp_path / "out.mp4", plan=plan, runners=cluster, clock=ItsClock(cluster)).run()
    assert report.frames_out == plan.frames
    assert cluster.time < 1.1 * least_time(plan.frames, speeds)
    assert set(cluster.ended) == {segment.number for segment in plan.segments}
    # Once more for each that dies, and for some that are slow at the end.
    assert sum(cluster.begun.values()) <= len(plan.segments) + nodes // 5
    assert max(cluster.begun.values()) <= 3


def test_segments_come_in_order_and_what_failed_comes_again_first() -> None:
    schedule = Schedule({3: 10, 1: 10, 2: 10})
    assert [schedule.take(name, 0) for name in "abcd"] == [1, 2, 3, None]
    assert schedule.failed("a", "why") is None
    assert schedule.take("d", 1) == 1
    assert schedule.lost("d", "gone") is None
    assert schedule.made("b", 1) == []
    assert schedule.take("b", 1) == 1
    assert schedule.failed("b", "the third reason") == "the third reason"
    assert not schedule.done


def test_an_idle_runner_copies_what_is_late_and_the_first_counts() -> None:
    schedule = Schedule(dict.fromkeys(range(3), 10))
    assert [schedule.take(name, 0) for name in "ab"] == [0, 1]
    assert schedule.made("a", 10) == []
    assert schedule.take("a", 10) == 2
    assert schedule.made("a", 20) == []
    assert schedule.take("a", 20) == 1  # b has needed twice as long as a, and is not done
    assert schedule.take("c", 20) is None
    assert schedule.made("a", 30) == ["b"]
    assert schedule.done
    assert schedule.made("b", 31) is None


def test_a_slow_runner_gets_nothing_that_others_would_make_sooner() -> None:
    schedule = Schedule(dict.fromkeys(range(5), 10))
    assert [schedule.take(name, 0) for name in ("fast", "slow")] == [0, 1]
    for number, now in ((2, 1), (3, 2), (4, 3)):
        schedule.made("fast", now)
        if number == 4:
            schedule.made("slow", now)  # 3 times as long
        assert schedule.take("fast", now) == number
    assert schedule.take("slow", 3) is None
    assert schedule.lost("fast", "gone") is None
    assert schedule.take("slow", 3) == 4


class Three:
    """Three runners that take turns. fails: what the first says of a segment, by its number."""

    def __init__(self, fails: dict[int, InferenceError], control: Control | None = None) -> None:
        self._fails, self._control = fails, control
        self._tasks: dict[str, SegmentTask] = {}

    def free(self) -> list[str]:
        return [name for name in "abc" if name not in self._tasks]

    def start(self, runner: str, task: SegmentTask) -> None:
        self._tasks[runner] = task

    def wait(self, timeout_s: float | None) -> list[Made | Failed]:
        runner, task = next(iter(self._tasks.items()))
        del self._tasks[runner]
        if self._control is not None and task.segment.number == 1:
            self._control.stop()
        if error := self._fails.get(task.segment.number):
            return [Failed(runner, error)]
        return [Made(runner, run_segment(task))]

    def drop(self, runner: str) -> None:
        raise AssertionError("nothing is made twice")

    def __enter__(self) -> Three:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._tasks.clear()


def test_a_segment_that_fails_three_times_stops_the_job_which_keeps_the_rest(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    one = Recorded(output, runners=Three({1: InferenceError("no such kernel")}), clock=PretendedClock())
    with pytest.raises(InferenceError, match="no such kernel") as caught:
        one.run()
    assert "the same command continues: " in str(caught.value.hint)
    assert [said.partition(":")[2] for said in one.said] == [" no such kernel; its segment is made again"] * 2
    again = Recorded(output)
    again.run()
    assert 1 in again.made
    assert 0 not in again.made
    assert output.read_bytes() == WHOLE


def test_stopped_all_runners_finish_what_they_make(tmp_path: Path) -> None:
    control = Control()
    output = tmp_path / "out.mp4"
    report = Recorded(output, runners=Three({}, control), control=control, clock=PretendedClock()).run()
    assert report.stopped_early
    again = Recorded(output)
    again.run()
    assert again.made == [4]
    assert output.read_bytes() == WHOLE
