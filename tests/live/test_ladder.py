from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vsr.live.ladder import Ladder

INTERVAL_S = 1 / 25
COSTS = [0.030, 0.012, 0.002]


ROOM = 0.7


class Machine:
    """Frames at 25 a second on a clock of its own; `slowness` is what another program does to the costs."""

    def __init__(self, rung: int, costs: Sequence[float] = COSTS) -> None:
        self.costs = costs
        self.ladder = Ladder(len(costs), rung)
        self.measured: list[float] = []
        self.now = 100.0
        self.slowness = 1.0
        self.steps: list[tuple[float, int]] = []

    def run(self, seconds: float) -> list[int]:
        """The rungs stepped to."""
        before = len(self.steps)
        end = self.now + seconds
        while self.now < end:
            self.now += INTERVAL_S
            cost = self.costs[self.ladder.rung] * self.slowness
            self.ladder.worked(self.now, cost)
            if cost > INTERVAL_S:
                self.ladder.dropped(self.now)
            step = self.ladder.step(self.now, INTERVAL_S)
            if self.ladder.wants_measuring(self.now):
                self.measured.append(self.now)
                above = [cost * self.slowness for cost in self.costs[: self.ladder.rung]]
                fitting = [place for place, cost in enumerate(above) if cost <= ROOM * INTERVAL_S]
                best = min(fitting, default=self.ladder.rung)
                step = self.ladder.measured(self.now, best, took_s=0.1)
            if step is not None:
                assert step.why
                self.steps.append((self.now, step.after))
        return [rung for _, rung in self.steps[before:]]


def test_nothing_changes_where_all_fits() -> None:
    assert Machine(1).run(60) == []


def test_it_steps_down_under_load_and_up_again_after_it() -> None:
    machine = Machine(1)
    machine.slowness = 5.0
    assert machine.run(5) == [2]
    machine.slowness = 1.0
    assert machine.run(10) == [1]
    assert machine.run(60) == []


def test_a_start_on_a_busy_machine_is_made_good_in_one_step() -> None:
    """The first costs were twenty times what they are now, and said that nothing fits."""
    machine = Machine(3, [0.020, 0.012, 0.004, 0.001])
    machine.slowness = 20.0
    assert machine.run(5) == []
    machine.slowness = 1.0
    assert machine.run(15) == [0]
    assert machine.run(60) == []


def test_after_hours_of_load_it_is_back_up_within_15_seconds() -> None:
    machine = Machine(1)
    machine.slowness = 15.0
    assert machine.run(3600) == [2]
    machine.slowness = 1.0
    assert machine.run(15) == [1]


def test_what_never_fits_is_measured_now_and_then_only() -> None:
    machine = Machine(1)
    assert machine.run(3600) == []
    assert 300 < len(machine.measured) < 400
    long_to_measure = Machine(1)
    long_to_measure.ladder.measured(0.0, 1, took_s=60.0)
    assert long_to_measure.run(1300) == []
    assert not long_to_measure.measured


def test_it_goes_down_as_far_as_it_takes() -> None:
    machine = Machine(0)
    machine.slowness = 6.0
    assert machine.run(10) == [1, 2]


def test_late_frames_alone_take_it_down() -> None:
    ladder = Ladder(3, 1)
    for tick in range(50):
        ladder.worked(tick * INTERVAL_S, 0.010)
    ladder.dropped(2.0, 2)
    step = ladder.step(2.0, INTERVAL_S)
    assert step is not None
    assert (step.after, step.why) == (2, "2 frames were late")


def test_a_network_that_does_not_come_back_is_left() -> None:
    ladder = Ladder(3, 0)
    ladder.dropped(2.0, 30)
    step = ladder.step(2.0, INTERVAL_S)
    assert step is not None
    assert step.after == 1


def test_it_does_not_rise_to_what_would_not_fit() -> None:
    # The network above takes 75 % of the available time, which is more than what is left to it.
    machine = Machine(1)
    assert machine.run(120) == []


def test_rising_in_vain_is_tried_less_and_less_often() -> None:
    machine = Machine(2)
    rises: list[float] = []
    for _ in range(4):
        while not rises or machine.ladder.rung == 2:
            machine.slowness = 1.0
            if machine.run(0.04) == [1]:
                rises.append(machine.now)
                break
        machine.slowness = 4.0  # as soon as it has risen, it does not fit
        while machine.ladder.rung != 2:
            machine.run(0.04)
    waits = [after - before for before, after in pairwise(rises)]
    assert waits == sorted(waits)
    assert waits[-1] > 3 * waits[0]
