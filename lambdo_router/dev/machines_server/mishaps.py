"""
What goes wrong at Fly itself, on purpose and repeatably.

Faults of the connection, throttling and error codes are the business of `dev.faults`, which stands
before any server. Here is what only a Machines API can do: create a Machine and answer 408 all the
same, take one that never runs, kill one for its memory, or show a list that lags behind.

As there, the n-th call meets the same mishap in every run with the same seed.
"""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

CreateMishap = Literal["late_answer", "never_runs", "out_of_memory"]
"""408 although the Machine is created; destroyed without an exit; killed, exit code 137."""
ListMishap = Literal["empty_list", "stale_list"]
"""No Machines at all, as Fly's list once did; the Machines as they were `stale_by` seconds ago."""
Mishap = CreateMishap | ListMishap

CREATE_MISHAPS: Final[tuple[CreateMishap, ...]] = ("late_answer", "never_runs", "out_of_memory")
LIST_MISHAPS: Final[tuple[ListMishap, ...]] = ("empty_list", "stale_list")


@dataclass(frozen=True, slots=True)
class Happened:
    """A mishap of the `number`-th create or list (from 1); `machine_id` is empty for a list."""

    mishap: Mishap
    number: int
    machine_id: str


@dataclass(slots=True)
class Mishaps:
    """Which share (0 to 1) of creates and lists meets which mishap. Changeable at any time."""

    seed: int = 0
    shares: Mapping[Mishap, float] = field(default_factory=dict)
    stale_by: float = 5.0
    """Seconds that a stale list lags behind."""
    happened: list[Happened] = field(default_factory=list)
    _scripted: defaultdict[str, deque[Mishap]] = field(
        default_factory=lambda: defaultdict(deque), repr=False
    )
    _calls: Counter[str] = field(default_factory=Counter, repr=False)

    def script(self, *mishaps: Mishap) -> None:
        """The next creates and lists meet these, in order, before any share counts."""
        for mishap in mishaps:
            self._scripted["create" if mishap in CREATE_MISHAPS else "list"].append(mishap)

    def on_create(self, machine_id: str) -> CreateMishap | None:
        """What the create of this Machine meets."""
        mishap = self._next("create", CREATE_MISHAPS, machine_id)
        return mishap if mishap in CREATE_MISHAPS else None

    def on_list(self) -> ListMishap | None:
        """What the next list meets."""
        mishap = self._next("list", LIST_MISHAPS, "")
        return mishap if mishap in LIST_MISHAPS else None

    def _next(self, action: str, possible: Sequence[Mishap], machine_id: str) -> Mishap | None:
        self._calls[action] += 1
        number = self._calls[action]
        mishap = (
            self._scripted[action].popleft()
            if self._scripted[action]
            else self._drawn(f"{self.seed}/{action}/{number}", possible)
        )
        if mishap is not None:
            self.happened.append(Happened(mishap, number, machine_id))
        return mishap

    def _drawn(self, seed: str, possible: Sequence[Mishap]) -> Mishap | None:
        left = random.Random(seed).random()  # noqa: S311 - repeatable on purpose, no secret
        for mishap in possible:
            left -= self.shares.get(mishap, 0.0)
            if left < 0:
                return mishap
        return None
