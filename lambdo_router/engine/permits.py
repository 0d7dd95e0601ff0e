"""
Permits to launch: a place for one more Machine of a profile, and a launch slot of its app.

A place is missing while `max_machines` run, or while the circuit breaker of a profile that Fly
refuses is open. Slots follow Fly's launch limit per app. The route that was served longest ago gets
the next slot, so a route with a flood of batches does not starve a quiet one. While a batch waits
here it goes on taking events, and its leases are renewed.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

from lambdo_router.core import journal
from lambdo_router.core.batch import BatchKey
from lambdo_router.core.errors import LaunchError
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.snapshot import FailingSnapshot
from lambdo_router.core.throttle import CircuitBreaker, TokenBucket
from lambdo_router.engine.machine_tracker import MachineTracker

_REMEMBERED = 1000
"""Failing profiles. Senders who name images can make any number of them."""
_CHOOSE_AGAIN = 5.0
"""Seconds that a batch waits for a slot of one app before it looks at the others again."""
_WORTH_LEAVING = 2.0
"""Seconds that it must gain by going to another app."""
# A wait below the resolution of the loop's clock would return at the same time, for ever.
_SHORTEST_WAIT = 0.001


class LaunchSlots:
    """The launch slots of one app, on the running event loop's clock."""

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: dict[str, int] = {}
        self._grants = 0
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, route: str) -> None:
        """Wait for a slot. Cancelling the wait costs nobody a slot."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(route, deque()).append(turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            else:
                self._leave(route, turn)
            raise

    def expected_wait(self) -> float:
        """Return the seconds that a new request would wait behind those that wait now."""
        waiting = sum(map(len, self._waiting.values()))
        return self._bucket.wait_behind(waiting, asyncio.get_running_loop().time())

    def release(self) -> None:
        """Return a slot that is not needed after all."""
        self._bucket.release()
        self._grant()

    def pause(self, seconds: float) -> None:
        """Grant nothing for so many seconds, because Fly asked for it."""
        self._bucket.pause(asyncio.get_running_loop().time() + seconds)

    def _grant(self) -> None:
        """Grant what the bucket allows, and set a timer for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            wait = self._bucket.wait(loop.time())
            if wait > 0:
                self._timer = loop.call_later(max(wait, _SHORTEST_WAIT), self._grant)
                return
            route = min(self._waiting, key=lambda waiting: self._served.get(waiting, 0))
            turn = self._waiting[route].popleft()
            if not self._waiting[route]:
                del self._waiting[route]
            if not turn.done():  # else its waiter was cancelled and has yet to notice
                self._grants += 1
                self._served[route] = self._grants
                self._bucket.take(loop.time())
                turn.set_result(None)

    def _leave(self, route: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(route)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[route]


@dataclass(slots=True)
class LaunchPermit:
    """The right to launch one batch in an app. Leaving its block returns what was not used."""

    profile: Profile
    """The profile within the app that the permit is for."""
    waited: float
    """Seconds that it took to get."""
    _permits: "LaunchPermits"
    _has_place: bool = True
    _has_slot: bool = True

    @property
    def app(self) -> str:
        """The app that the batch may be launched in."""
        return self.profile.app

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._has_slot:
            self._permits.slots(self.app).release()
        if self._has_place:
            self._permits.return_place(self.profile)
        self._has_slot = self._has_place = False

    def hand_over(self) -> "LaunchPermit":
        """Return the same permit for the block of another task; this one becomes void."""
        handed = LaunchPermit(
            *(self.profile, self.waited, self._permits, self._has_place, self._has_slot)
        )
        self._has_slot = self._has_place = False
        return handed

    def use_slot(self) -> None:
        """Note that a create goes out."""
        self._has_slot = False

    def launched(self, machine_id: str, deadline: float) -> None:
        """Give the place to a Machine that Fly has accepted; `deadline` in unix seconds."""
        self._has_place = False
        self._permits.launched(self.profile, machine_id, deadline)

    def refused(self, error: LaunchError) -> None:
        """Open the circuit of the profile, which Fly has refused."""
        self._has_place = False
        self._permits.refused(self.profile, error)


@dataclass(slots=True)
class LaunchPermits:
    """The permits of all apps and profiles; one for a router."""

    tracker: MachineTracker
    observe: journal.Observer
    jitter: Callable[[], float]
    new_bucket: Callable[[], TokenBucket]
    """Makes the launch budget of an app."""
    machines_per_app: int | None = None
    # By the resolved profile: an image that a sender chose must not stop the others.
    _circuits: dict[Profile, CircuitBreaker] = field(default_factory=dict)
    _slots: dict[str, LaunchSlots] = field(default_factory=dict)

    async def permit(self, key: BatchKey) -> LaunchPermit:
        """Wait until a batch of this key may be launched in one of its apps."""
        began = asyncio.get_running_loop().time()
        slot = False
        while True:
            profile = await self._take_place(key.profile)
            try:
                slot = await self._slot_for(profile, key.route.name)
            finally:
                if not slot:
                    self.return_place(profile)
            if slot:
                return LaunchPermit(profile, asyncio.get_running_loop().time() - began, self)

    def room(self, profile: Profile) -> int | None:
        """Return how many batches may launch now in any app of a profile; None: any number."""
        if not profile.more_apps:
            return self._room_within(profile)
        rooms = [self._room_within(profile.within(app)) for app in profile.apps]
        bounded = [room for room in rooms if room is not None]
        if len(bounded) < len(rooms):
            return None
        if self.tracker.limit_of(profile) is not None:
            return max(bounded)  # it counts the Machines of all apps
        return sum(bounded)

    def slots(self, app: str) -> LaunchSlots:
        """Return the launch slots of an app."""
        if app not in self._slots:
            self._slots[app] = LaunchSlots(self.new_bucket())
        return self._slots[app]

    def return_place(self, profile: Profile) -> None:
        """Return a place that was taken; nothing was launched, for no fault of the profile."""
        self.tracker.unreserve(profile)

    def launched(self, profile: Profile, machine_id: str, deadline: float) -> None:
        """Give a place to a Machine; `deadline` in unix seconds."""
        self.tracker.unreserve(profile)
        self.tracker.launched(profile.app, machine_id, profile.name, deadline)
        if self._circuits.pop(profile, None) is not None:
            self.observe(journal.ProfileRecovered(profile.name, profile.app))

    def refused(self, profile: Profile, error: LaunchError) -> None:
        """Note that Fly refused the profile: its batches wait, and one of them probes."""
        self.tracker.unreserve(profile)
        circuit = self._circuits.setdefault(profile, CircuitBreaker())
        if len(self._circuits) > _REMEMBERED:
            del self._circuits[next(iter(self._circuits))]
        now = asyncio.get_running_loop().time()
        circuit.refused(now, self.jitter())
        self.observe(journal.ProfileFailing(profile.name, profile.app, error, circuit.wait(now)))

    def failing(self) -> Iterator[FailingSnapshot]:
        """Yield the profiles that Fly refuses at the moment."""
        refused = Counter((profile.app, profile.name) for profile in self._circuits)
        for (app, profile), variants in sorted(refused.items()):
            yield FailingSnapshot(app, profile, variants)

    def keep_only(self, table: RoutingTable) -> None:
        """Close the circuits of profiles that the new table has not, or has changed."""
        for profile in tuple(self._circuits):
            if not table.routes_with(profile):
                del self._circuits[profile]

    def _room_within(self, profile: Profile) -> int | None:
        """Return the room in the first app of the profile alone."""
        circuit = self._circuits.get(profile) if self._circuits else None
        if circuit is not None and circuit.wait(asyncio.get_running_loop().time()) > 0.0:
            return 0
        return self.tracker.room(profile, self.machines_per_app)

    async def _take_place(self, profile: Profile) -> Profile:
        """Wait for a place in one of the profile's apps; return the profile within that app."""
        while True:
            # Asked again whenever it may have changed which app takes a Machine first.
            within = profile.within(self._first_app(profile))
            if self._room_within(within) != 0:
                break
            probe = self._next_probe(profile)
            await self.tracker.until_freed(profile, self.machines_per_app, probe)
        circuit = self._circuits.get(within)
        if circuit is not None:
            circuit.probing(asyncio.get_running_loop().time())
        self.tracker.reserve(within)
        return within

    def _next_probe(self, profile: Profile) -> float | None:
        """Return when the first app whose circuit is open may be tried; None if none is."""
        now = asyncio.get_running_loop().time()
        circuits = [self._circuits.get(profile.within(app)) for app in profile.apps]
        waits = [circuit.wait(now) for circuit in circuits if circuit is not None]
        return min((now + wait for wait in waits if wait > 0.0), default=None)

    async def _slot_for(self, profile: Profile, route: str) -> bool:
        """Wait for a slot of the profile's app; False if another of its apps has one sooner."""
        slots = self.slots(profile.app)
        if not profile.more_apps:
            await slots.acquire(route)
            return True
        acquiring = asyncio.ensure_future(slots.acquire(route))
        try:
            while not acquiring.done() and not self._is_sooner_elsewhere(profile):
                await asyncio.wait({acquiring}, timeout=_CHOOSE_AGAIN)
        except asyncio.CancelledError:
            if not acquiring.cancel():
                slots.release()
            raise
        # A slot that is granted while the wait for it is cancelled is returned by `acquire`.
        return not acquiring.cancel()

    def _is_sooner_elsewhere(self, profile: Profile) -> bool:
        """Return whether another app has room, and a slot much sooner than the first."""
        waits = (
            self.slots(app).expected_wait()
            for app in profile.apps[1:]
            if self._room_within(profile.within(app)) != 0
        )
        mine = self.slots(profile.app).expected_wait()
        return min(waits, default=mine) + _WORTH_LEAVING < mine

    def _first_app(self, profile: Profile) -> str:
        """Return the app of the profile that will take a Machine first."""
        if not profile.more_apps:
            return profile.app
        return min(
            profile.apps,
            key=lambda app: (
                self._room_within(profile.within(app)) == 0,
                self.slots(app).expected_wait(),
            ),
        )
