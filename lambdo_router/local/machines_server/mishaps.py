"""
What goes wrong at Fly itself, deliberately and repeatably.

`local.faults` has faults of the connection, throttling and error codes, which any server can have.
Here is what only a Machines API can do. As there, the n-th call meets the same mishap in every run
with the same seed.
"""

import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Mishap = Literal[
    "late_answer",  # 408 although the Machine is created
    "never_runs",  # destroyed without an exit
    "out_of_memory",  # killed, exit code 137
    "fails",  # `failed` instead of started, and stays until somebody destroys it
    "empty_list",  # no Machines at all, as Fly's list once did
    "stale_list",  # the Machines as they were `stale_by` seconds ago
    "stale_events",  # events as they were `stale_by` seconds ago; 404 before there were any
]
_ACTIONS: Final[Mapping[Mishap, str]] = {
    "late_answer": "create",
    "never_runs": "create",
    "out_of_memory": "create",
    "fails": "create",
    "empty_list": "list",
    "stale_list": "list",
    "stale_events": "events",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """A mishap of a create, list or events; a list's has no `machine_id`. `at` in unix seconds."""

    mishap: Mishap
    machine_id: str
    at: float


@dataclass(slots=True)
class Mishaps:
    """Which share (0 to 1) of calls meets which mishap. Changeable at any time."""

    seed: int = 0
    shares: Mapping[Mishap, float] = field(default_factory=dict)
    stale_by: float = 5.0
    """Seconds that a stale list, or stale events, lag behind."""
    happened: list[Happened] = field(default_factory=list)
    _scripted: defaultdict[str, deque[Mishap]] = field(
        default_factory=lambda: defaultdict(deque), repr=False
    )
    _calls: Counter[str] = field(default_factory=Counter, repr=False)

    def script(self, *mishaps: Mishap) -> None:
        """Let the next calls meet these, each action's in order, before any share counts."""
        for mishap in mishaps:
            self._scripted[_ACTIONS[mishap]].append(mishap)

    def next(self, action: str, machine_id: str = "") -> Mishap | None:
        """Return what the next create, list or events call meets."""
        self._calls[action] += 1
        number = self._calls[action]
        scripted = self._scripted[action]
        mishap = scripted.popleft() if scripted else self._drawn(action, number)
        if mishap is not None:
            self.happened.append(Happened(mishap, machine_id, time.time()))
        return mishap

    def _drawn(self, action: str, number: int) -> Mishap | None:
        dice = random.Random(f"{self.seed}/{action}/{number}")  # noqa: S311 - repeatable, no secret
        left = dice.random()
        for mishap, of_action in _ACTIONS.items():
            left -= self.shares.get(mishap, 0.0) if of_action == action else 0.0
            if left < 0:
                return mishap
        return None
