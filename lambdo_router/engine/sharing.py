"""
How the profiles of one queue share `max_waiting`.

SQS cannot be asked for the messages of one profile. If one profile of a queue may launch nothing
(its Machines run, or Fly refuses it) and another may, messages of both are received. The first
holds its share of `max_waiting`; messages beyond that are parked: hidden for a long time, and made
visible once the share has a free place. So a full profile starves nobody, and costs its own
messages few receives.

A sender's overrides make variants of a profile, each of which Fly may refuse. The variants of a
profile share one share, beside that of the profile as written.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from lambdo_router.core import journal
from lambdo_router.core.admission import QueueRoutes
from lambdo_router.core.batch import BatchKey
from lambdo_router.core.errors import QueueError
from lambdo_router.core.parking import Group, ParkingLot, WaitingMessages
from lambdo_router.core.ports import MessageQueue
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.permits import LaunchPermits

_LOOK_EVERY = 1.0
"""Seconds; Fly accepts about one Machine a second, and a share holds the events of many."""
_PER_CALL = 100


@dataclass(slots=True)
class Sharing:
    """The shares of one queue's profiles."""

    queue: MessageQueue
    held_messages: HeldMessages
    waiting: WaitingMessages
    permits: LaunchPermits
    observe: journal.Observer
    current: Callable[[], QueueRoutes | None]
    """Returns the queue in the current table; None if no route reads it now."""
    withdraw: Callable[[str], str | None]
    """Takes a waiting message out of its batch and returns its route; None if it is in none."""
    _lot: ParkingLot = field(default_factory=ParkingLot)
    _parking: set[asyncio.Task[None]] = field(default_factory=set)
    """Calls that hide messages."""
    _needed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a message is parked, or while there is no room."""

    def room(self, routes: QueueRoutes) -> int:
        """
        Return how many more messages are worth receiving.

        If all profiles of the queue may launch only a limited number of Machines now, that is as
        many as fit into those, and one batch for each profile that may launch none. Further
        receives would count against their messages for nothing.
        """
        waiting, useful, missing, shut = self.held_messages.waiting, 0, 0, True
        free = routes.queue.max_waiting - waiting
        if free <= 0:
            self._needed.set()
        for profile in routes.table.profiles_of(routes.queue.name):
            room = self.permits.room(profile)
            if room is None:
                return free
            shut = shut and room == 0
            worth = max(1, room) * profile.batch_size
            useful += worth
            missing += max(0, worth - self._waiting_for(profile.name))
        return min(free, useful - waiting if shut else missing)

    def admit(self, routes: QueueRoutes, key: BatchKey, message_ids: Iterable[str]) -> bool:
        """
        Count messages as waiting for their profile; return False if they must be parked.

        They must if the profile may launch nothing and its share is full.
        """
        group, ids = _group_of(key), tuple(message_ids)
        shared = routes.table.sharers_of(routes.queue.name) > 1
        if shared and self.permits.room(key.profile) == 0:
            new = not self.waiting.all_wait_for(ids, group)
            if new and self._missing(routes, group) == 0:
                return False
        self.waiting.add([i for i in ids if i in self.held_messages], group)
        return True

    def arrived(self, message_id: str) -> None:
        """Forget that a message was parked: it was received again."""
        self._lot.arrived(message_id)

    async def park(self, key: BatchKey, message_id: str, *, weight: int = 1) -> None:
        """
        Hide a message until its profile has places for it and for what comes with it.

        `weight` is how many messages a receive will bring then, this one included.
        """
        await self._park(_group_of(key), {message_id: key.route.name}, weight)

    async def run(self) -> None:
        """Make parked messages visible when there is a place for them, until cancelled."""
        while True:
            await self._needed.wait()
            await asyncio.sleep(_LOOK_EVERY)
            routes = self.current()
            if routes is None:
                continue
            if self.held_messages.waiting >= routes.queue.max_waiting:
                await self._park_excess(routes)
            for group in self._lot.groups():
                places = min(self._missing(routes, group), self.room(routes))
                await self._recall(group, max(0, places))
            if not len(self._lot) and self.held_messages.waiting < routes.queue.max_waiting:
                self._needed.clear()

    async def recall_all(self) -> None:
        """Make all parked messages visible: this router stops reading the queue."""
        if self._parking:
            await asyncio.wait(self._parking)
        for group in self._lot.groups():
            while await self._recall(group, _PER_CALL):
                pass

    def _waiting_for(self, profile: str) -> int:
        """Return how many messages wait for a profile, as written or with overrides."""
        groups = (Group(profile, overridden) for overridden in (False, True))
        return sum(map(self.waiting.count, groups))

    def _missing(self, routes: QueueRoutes, group: Group) -> int:
        """Return the free places of a group's share, minus those kept for recalled messages."""
        now = asyncio.get_running_loop().time()
        taken = self.waiting.count(group) + self._lot.awaited(group, now)
        return max(0, _share(routes) - taken)

    async def _park_excess(self, routes: QueueRoutes) -> None:
        """Park what profiles that may launch nothing hold beyond their share."""
        profiles = routes.table.profiles_of(routes.queue.name)
        shut = {Group(profile.name) for profile in profiles if self.permits.room(profile) == 0}
        if len(shut) == len(profiles):
            return
        for group in shut:
            excess = self.waiting.count(group) - _share(routes)
            newest = self.waiting.newest(group, max(0, excess))
            route_of = {message_id: self.withdraw(message_id) for message_id in newest}
            withdrawn = {i: route for i, route in route_of.items() if route is not None}
            await self._park(group, withdrawn)

    async def _park(self, group: Group, route_of: dict[str, str], weight: int = 1) -> None:
        """Hide messages; where the stop cancels this, `recall_all` waits for it and shows them."""
        parking = asyncio.create_task(self._hide(group, route_of, weight))
        self._parking.add(parking)
        parking.add_done_callback(self._parking.discard)
        await asyncio.shield(parking)

    async def _hide(self, group: Group, route_of: dict[str, str], weight: int) -> None:
        parked = await self.held_messages.park(route_of)
        self._lot.park(group, (replace(each, weight=weight) for each in parked))
        self._needed.set()

    async def _recall(self, group: Group, count: int) -> int:
        """Make parked messages of a group visible; return how many."""
        now = asyncio.get_running_loop().time()
        messages = self._lot.recall(group, min(count, _PER_CALL), now)
        if not messages:
            return 0
        shown = False
        try:
            # A refused one was received meanwhile, or has reached its retention period.
            await self.queue.set_visibility({each.receipt: 0.0 for each in messages})
            shown = True
        except QueueError as error:
            self.observe(journal.QueueFailed(self.queue.name, "show", error, _LOOK_EVERY))
        finally:
            if not shown:  # also where the stop cancels the call: `recall_all` makes it again
                self._lot.park(group, messages)
        return len(messages) if shown else 0


def _group_of(key: BatchKey) -> Group:
    return Group(key.profile.name, overridden=key.profile is not key.route.profile)


def _share(routes: QueueRoutes) -> int:
    queue = routes.queue
    return max(1, queue.max_waiting // max(1, routes.table.sharers_of(queue.name)))
