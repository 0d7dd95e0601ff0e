"""
Whether a profile may launch at all: before it waits for a slot of its app.

Two things can be in the way: `max_machines`, and a circuit that is open because Fly refuses the
profile. While it waits here a batch goes on taking events, and its leases are renewed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchError
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.snapshot import FailingSnapshot
from lambdo_router.core.throttle import CircuitBreaker
from lambdo_router.engine.machine_tracker import MachineTracker

_REMEMBERED = 1000
"""Failing profiles; senders who name images can make any number of them."""


@dataclass(slots=True)
class Gates:
    """The gates of all profiles; shared by all consumers of a router."""

    tracker: MachineTracker
    observe: journal.Observer
    jitter: Callable[[], float]
    machines_per_app: int | None = None
    # By the resolved profile: an image that a sender chose must not close the way for the others.
    _circuits: dict[Profile, CircuitBreaker] = field(default_factory=dict)

    def room(self, profile: Profile) -> int | None:
        """How many batches of this profile would pass now, in any of its apps; None: any number."""
        if not profile.more_apps:
            return self.room_within(profile)
        rooms = [self.room_within(profile.within(app)) for app in profile.apps]
        bounded = [room for room in rooms if room is not None]
        if len(bounded) < len(rooms):
            return None
        if self.tracker.limit_of(profile) is not None:
            return max(bounded)  # it counts the Machines of all apps
        return sum(bounded)

    def room_within(self, profile: Profile) -> int | None:
        """The same for the first app of the profile alone."""
        circuit = self._circuits.get(profile) if self._circuits else None
        if circuit is not None and circuit.wait(asyncio.get_running_loop().time()) > 0.0:
            return 0
        return self.tracker.room(profile, self.machines_per_app)

    async def enter(self, profile: Profile, nearest: Callable[[Profile], str]) -> Profile:
        """
        Wait until the profile may launch in one of its apps; the profile within that app.

        To be followed by `launched`, `refused` or `leave`. `nearest` names the app to try first; it
        is asked again whenever that may have changed.
        """
        while True:
            within = profile.within(nearest(profile))
            if self.room_within(within) != 0:
                break
            probe = self._next_probe(profile)
            await self.tracker.until_freed(profile, self.machines_per_app, probe)
        circuit = self._circuits.get(within)
        if circuit is not None:
            circuit.probing(asyncio.get_running_loop().time())
        self.tracker.reserve(within)
        return within

    def _next_probe(self, profile: Profile) -> float | None:
        """When the first of its apps that Fly refuses it in may be tried; None if there is none."""
        now = asyncio.get_running_loop().time()
        circuits = [self._circuits.get(profile.within(app)) for app in profile.apps]
        waits = [circuit.wait(now) for circuit in circuits if circuit is not None]
        return min((now + wait for wait in waits if wait > 0.0), default=None)

    def leave(self, profile: Profile) -> None:
        """Nothing was launched, for a reason that is not the profile's."""
        self.tracker.unreserve(profile)

    def launched(self, profile: Profile, machine_id: str, deadline: float) -> None:
        """Fly has accepted a Machine; `deadline` in unix seconds."""
        self.tracker.unreserve(profile)
        self.tracker.launched(profile.app, machine_id, profile.name, deadline)
        if self._circuits.pop(profile, None) is not None:
            self.observe(journal.ProfileRecovered(profile.name, profile.app))

    def refused(self, profile: Profile, error: LaunchError) -> None:
        """Fly has refused the profile: the next batches wait, and one of them probes."""
        self.tracker.unreserve(profile)
        circuit = self._circuits.setdefault(profile, CircuitBreaker())
        if len(self._circuits) > _REMEMBERED:
            del self._circuits[next(iter(self._circuits))]
        now = asyncio.get_running_loop().time()
        circuit.refused(now, self.jitter())
        self.observe(journal.ProfileFailing(profile.name, profile.app, error, circuit.wait(now)))

    def failing(self) -> Iterator[FailingSnapshot]:
        """The profiles that Fly refuses at the moment."""
        refused = Counter((profile.app, profile.name) for profile in self._circuits)
        for (app, profile), variants in sorted(refused.items()):
            yield FailingSnapshot(app, profile, variants)

    def forget_all_but(self, table: RoutingTable) -> None:
        """After a reload: a profile that was changed has a clean record."""
        for profile in tuple(self._circuits):
            if not table.routes_with(profile):
                del self._circuits[profile]
