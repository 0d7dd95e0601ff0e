"""
The router's Machines in one app, as far as they are known.

A Machine launched here is known from its launch. One that another router launched, or this one
before a restart, appears in a list, and is known once its metadata was read. Pure: time is an
argument, in unix seconds, since deadlines are shared with other routers through Fly.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lambdo_router.core.machine_metadata import Label
from lambdo_router.core.ports import MachineSummary

# A list may lag behind a create by a few seconds.
_FRESH = 5.0


@dataclass(slots=True)
class _KnownMachine:
    profile: str
    deadline: float
    since: float
    launched: bool
    """Whether it was launched, or taken over, here."""
    listed: MachineSummary | None = None
    """The Machine in the last list, if it was there."""

    @property
    def at_rest(self) -> bool:
        return self.listed is not None and self.listed.at_rest


@dataclass(frozen=True, slots=True)
class Sweep:
    """The Machines that a list calls for a closer look at."""

    vanished: tuple[str, ...]
    """Known, and missing or destroyed in the list: they may have ended."""
    unknown: tuple[str, ...]
    """The router's, and not known yet: their metadata says more."""
    overdue: tuple[str, ...]
    """Alive after their deadline."""
    resting: tuple[str, ...] = ()
    """At rest in two lists in a row, which no Machine on its way to another state is: they may have
    ended, and nobody destroys them."""
    lingering: tuple[str, ...] = ()
    """Known to have ended, and still at rest."""


class AppMachines:
    """The Machines that run in one app."""

    def __init__(self) -> None:
        self._known: dict[str, _KnownMachine] = {}
        self._spent: set[str] = set()

    def __contains__(self, machine_id: str) -> bool:
        return machine_id in self._known

    def launched(self, machine_id: str, profile: str, deadline: float, now: float) -> None:
        """Add a Machine that was launched, or taken over, here."""
        self._known[machine_id] = _KnownMachine(profile, deadline, now, launched=True)
        self._spent.discard(machine_id)

    def learned(self, machine_id: str, label: Label, now: float) -> None:
        """Add an unknown Machine by its label."""
        known = _KnownMachine(label.profile, label.deadline, now, launched=False)
        self._known.setdefault(machine_id, known)

    def ended(self, machine_id: str) -> None:
        """Forget a Machine that has ended."""
        self._known.pop(machine_id, None)

    def spent(self, machine_id: str) -> None:
        """Forget a Machine that has ended, though lists show it until it is destroyed."""
        self.ended(machine_id)
        self._spent.add(machine_id)

    def swept(self, living: Iterable[MachineSummary], now: float) -> Sweep:
        """Compare what is known with a list of living Machines."""
        listed = {summary.id: summary for summary in living if not summary.ended}
        alive = listed.keys()
        rested = [machine_id for machine_id, known in self._known.items() if known.at_rest]
        for machine_id, known in self._known.items():
            known.listed = listed.get(machine_id)
        self._spent &= alive
        return Sweep(
            vanished=tuple(
                machine_id
                for machine_id, known in self._known.items()
                if machine_id not in alive and now >= known.since + _FRESH
            ),
            unknown=tuple(sorted(alive - self._known.keys() - self._spent)),
            overdue=tuple(
                machine_id
                for machine_id, known in self._known.items()
                if machine_id in alive and now > known.deadline
            ),
            resting=tuple(machine_id for machine_id in rested if self._known[machine_id].at_rest),
            lingering=tuple(sorted(id_ for id_ in self._spent if listed[id_].at_rest)),
        )

    def has_launched(self) -> bool:
        """Return whether a Machine that was launched here is known to run."""
        return any(known.launched for known in self._known.values())

    def listed(self, machine_id: str) -> MachineSummary | None:
        """Return a known Machine as the last list showed it; None if it did not."""
        known = self._known.get(machine_id)
        return None if known is None else known.listed

    def running(self, profile: str | None = None) -> int:
        """Return how many are known to run, of one profile or of all."""
        if profile is None:
            return len(self._known)
        return sum(1 for known in self._known.values() if known.profile == profile)

    def profiles(self) -> frozenset[str]:
        """Return the profiles of running Machines; "" for those whose metadata names none."""
        return frozenset(known.profile for known in self._known.values())
