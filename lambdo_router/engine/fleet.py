"""
The Machines of one app, as far as they concern us.

Those launched here are known from their launch. Others of ours (of another router, or of this one
before a restart) are met in lists, and known once their metadata was read. Pure: time is an
argument, in unix seconds, since deadlines are shared with other routers by way of Fly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lambdo_router.core.ports import MachineSummary

DEADLINE = "lambdo_deadline"
PROFILE = "lambdo_profile"
# A list may lag behind a create by a few seconds.
_FRESH = 5.0


@dataclass(slots=True)
class _Known:
    profile: str
    deadline: float | None
    since: float
    launched: bool
    """Whether it was launched, or taken over, here."""
    seen: MachineSummary | None = None
    """As the last list showed it, if it did."""

    @property
    def rests(self) -> bool:
        return self.seen is not None and self.seen.at_rest


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a list gives reason to look at."""

    vanished: tuple[str, ...]
    """Known and not in the list, or destroyed in it: they may have ended."""
    strange: tuple[str, ...]
    """Of ours and not known yet: their metadata says more."""
    overdue: tuple[str, ...]
    """Alive after their deadline."""
    resting: tuple[str, ...] = ()
    """At rest in two lists in a row, as on its way to the next one no Machine is: they may have
    ended, and nobody destroys them."""
    lingering: tuple[str, ...] = ()
    """Known to have ended, and at rest all the same."""


class AppMachines:
    """What runs in one app."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._spent: set[str] = set()

    def __contains__(self, machine_id: str) -> bool:
        return machine_id in self._known

    def launched(self, machine_id: str, profile: str, deadline: float | None, now: float) -> None:
        """A Machine was launched, or taken over, here."""
        self._known[machine_id] = _Known(profile, deadline, now, launched=True)
        self._spent.discard(machine_id)

    def learned(self, machine_id: str, metadata: Mapping[str, str], now: float) -> None:
        """What the metadata of a strange Machine says."""
        deadline = metadata.get(DEADLINE, "")
        self._known.setdefault(
            machine_id,
            _Known(
                metadata.get(PROFILE, ""),
                float(deadline) if deadline.isdecimal() else None,
                now,
                launched=False,
            ),
        )

    def ended(self, machine_id: str) -> None:
        """A Machine runs no more."""
        self._known.pop(machine_id, None)

    def spent(self, machine_id: str) -> None:
        """A Machine runs no more, though lists show it until it is destroyed."""
        self.ended(machine_id)
        self._spent.add(machine_id)

    def swept(self, living: Iterable[MachineSummary], now: float) -> Sweep:
        """Compare what is known with a list of the living."""
        seen = {sighting.id: sighting for sighting in living if not sighting.ended}
        alive = seen.keys()
        rested = [machine_id for machine_id, known in self._known.items() if known.rests]
        for machine_id, known in self._known.items():
            known.seen = seen.get(machine_id)
        self._spent &= alive
        return Sweep(
            vanished=tuple(
                machine_id
                for machine_id, known in self._known.items()
                if machine_id not in alive and now >= known.since + _FRESH
            ),
            strange=tuple(sorted(alive - self._known.keys() - self._spent)),
            overdue=tuple(
                machine_id
                for machine_id, known in self._known.items()
                if machine_id in alive and known.deadline is not None and now > known.deadline
            ),
            resting=tuple(machine_id for machine_id in rested if self._known[machine_id].rests),
            lingering=tuple(sorted(id_ for id_ in self._spent if seen[id_].at_rest)),
        )

    def has_launched(self) -> bool:
        """Whether a Machine that was launched here is known to run."""
        return any(known.launched for known in self._known.values())

    def seen(self, machine_id: str) -> MachineSummary | None:
        """A known Machine as the last list showed it, if it did."""
        known = self._known.get(machine_id)
        return None if known is None else known.seen

    def running(self, profile: str | None = None) -> int:
        """How many are known to run, of one profile or of all."""
        if profile is None:
            return len(self._known)
        return sum(1 for known in self._known.values() if known.profile == profile)

    def profiles(self) -> frozenset[str]:
        """The profiles of what runs; "" for Machines whose metadata names none."""
        return frozenset(known.profile for known in self._known.values())
