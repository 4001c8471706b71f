"""The state of a session or of one of its sinks, and its beginning."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

State = Literal["connecting", "streaming", "stalled", "reconnecting", "stopped"]

# Number of remembered changes: a stream that flaps for weeks must not grow the report.
_KEPT = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One change of state. at: seconds of Unix time. why: empty where the state says it all. of: a sink's name, else empty."""

    state: State
    at: float
    why: str = ""
    of: str = ""

    def as_dict(self) -> dict[str, Any]:
        said = {
            "state": self.state,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
        }
        return said | ({"why": self.why} if self.why else {})


class StateLog:
    """The state now, the changes that led to it, and how often each was entered. For any thread."""

    def __init__(
        self,
        on_change: Callable[[Change], None] = lambda _change: None,
        clock: Callable[[], float] = time.time,
        of: str = "",
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._of = of
        self._on_change = on_change
        self._changes: deque[Change] = deque(maxlen=_KEPT)
        self._counts: Counter[State] = Counter()
        self._add("connecting", "")

    @property
    def now(self) -> State:
        return self._changes[-1].state

    @property
    def since(self) -> float:
        """Seconds of Unix time."""
        return self._changes[-1].at

    @property
    def why(self) -> str:
        return self._changes[-1].why

    def enter(self, state: State, why: str = "") -> None:
        """Go to a state. Another reason for the same state is reported, but not counted; after `stopped` nothing happens."""
        with self._lock:
            if self.now == "stopped" or (self.now == state and why in ("", self.why)):
                return
            change = self._add(state, why)
        self._on_change(change)

    def count(self, state: State) -> int:
        """How often the state was entered."""
        return self._counts[state]

    def changes(self) -> list[Change]:
        """The last ones, oldest first."""
        with self._lock:
            return list(self._changes)

    def _add(self, state: State, why: str) -> Change:
        self._counts[state] += not self._changes or self.now != state
        change = Change(state, self._clock(), why, self._of)
        self._changes.append(change)
        return change
