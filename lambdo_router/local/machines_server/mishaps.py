"""
What goes wrong at Fly itself, on purpose and repeatably.

Faults of the connection, throttling and error codes are the business of `dev.faults`, which stands
before any server. Here is what only a Machines API can do: create a Machine and answer 408 all the
same, take one that never runs, or that fails and stays, kill one for its memory, or show a list or
events that lag behind.

As there, the n-th call meets the same mishap in every run with the same seed. Where a scenario is
about certain Machines, those of one route perhaps, `chosen` decides by the Machine itself.
"""

import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lambdo_router.local.machines_server.record import MachineRecord

CreateMishap = Literal["late_answer", "never_runs", "out_of_memory", "fails"]
"""
408 although the Machine is created; destroyed without an exit; killed, exit code 137; `failed`
instead of started, and destroyed by nobody.
"""
ListMishap = Literal["empty_list", "stale_list"]
"""No Machines at all, as Fly's list once did; the Machines as they were `stale_by` seconds ago."""
EventsMishap = Literal["stale_events"]
"""A Machine's events as they were `stale_by` seconds ago; before there were any, 404."""
Mishap = CreateMishap | ListMishap | EventsMishap

CREATE_MISHAPS: Final[tuple[CreateMishap, ...]] = (
    "late_answer",
    "never_runs",
    "out_of_memory",
    "fails",
)
LIST_MISHAPS: Final[tuple[ListMishap, ...]] = ("empty_list", "stale_list")
EVENTS_MISHAPS: Final[tuple[EventsMishap, ...]] = ("stale_events",)
_ACTIONS: Final[Mapping[str, Sequence[Mishap]]] = {
    "create": CREATE_MISHAPS,
    "list": LIST_MISHAPS,
    "events": EVENTS_MISHAPS,
}


@dataclass(frozen=True, slots=True)
class Happened:
    """
    A mishap of the `number`-th create, list or events (from 1); a list's has no `machine_id`.

    A create whose mishap was chosen for its Machine counts like any other.
    """

    mishap: Mishap
    number: int
    machine_id: str
    at: float = field(default=0.0, compare=False)
    """Unix seconds."""


@dataclass(slots=True)
class Mishaps:
    """Which share (0 to 1) of calls meets which mishap. Changeable at any time."""

    seed: int = 0
    shares: Mapping[Mishap, float] = field(default_factory=dict)
    stale_by: float = 5.0
    """Seconds that a stale list, or stale events, lag behind."""
    chosen: Callable[[MachineRecord], CreateMishap | None] = lambda _: None
    """What the create of this Machine meets, before anything else counts."""
    happened: list[Happened] = field(default_factory=list)
    _scripted: defaultdict[str, deque[Mishap]] = field(
        default_factory=lambda: defaultdict(deque), repr=False
    )
    _calls: Counter[str] = field(default_factory=Counter, repr=False)

    def script(self, *mishaps: Mishap) -> None:
        """The next calls meet these, each action's in order, before any share counts."""
        for mishap in mishaps:
            action = next(name for name, possible in _ACTIONS.items() if mishap in possible)
            self._scripted[action].append(mishap)

    def on_create(self, record: MachineRecord) -> CreateMishap | None:
        """What the create of this Machine meets."""
        mishap = self._next("create", record.id, self.chosen(record))
        return mishap if mishap in CREATE_MISHAPS else None

    def on_list(self) -> ListMishap | None:
        """What the next list meets."""
        mishap = self._next("list", "")
        return mishap if mishap in LIST_MISHAPS else None

    def on_events(self, machine_id: str) -> EventsMishap | None:
        """What the next look at this Machine's events meets."""
        mishap = self._next("events", machine_id)
        return mishap if mishap in EVENTS_MISHAPS else None

    def _next(self, action: str, machine_id: str, chosen: Mishap | None = None) -> Mishap | None:
        self._calls[action] += 1
        number = self._calls[action]
        if chosen is not None:
            mishap: Mishap | None = chosen
        elif self._scripted[action]:
            mishap = self._scripted[action].popleft()
        else:
            mishap = self._drawn(f"{self.seed}/{action}/{number}", _ACTIONS[action])
        if mishap is not None:
            self.happened.append(Happened(mishap, number, machine_id, time.time()))
        return mishap

    def _drawn(self, seed: str, possible: Sequence[Mishap]) -> Mishap | None:
        left = random.Random(seed).random()  # noqa: S311 - repeatable on purpose, no secret
        for mishap in possible:
            left -= self.shares.get(mishap, 0.0)
            if left < 0:
                return mishap
        return None
