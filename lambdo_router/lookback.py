"""
A redelivered message, before anything is launched for it: it may have been launched already.

Its newest Machine decides. Still running: the Machine is taken over. Ended well, and not reported
as failed: the message is deleted. Otherwise it is launched again. Where Fly does not say, nothing
is launched: the message goes back with a delay, and the next delivery asks again.
"""

from dataclasses import dataclass

from lambdo_router import journal
from lambdo_router.backoff import backoff
from lambdo_router.batching import BatchKey
from lambdo_router.completion import Ended
from lambdo_router.errors import LaunchError
from lambdo_router.events import Message
from lambdo_router.flights import Flights
from lambdo_router.leases import LONGEST_VISIBILITY
from lambdo_router.ports import MachineEnd
from lambdo_router.recall import Holder
from lambdo_router.settlement import Acknowledge, Retry, Settlement, retry_delay
from lambdo_router.waiting import set_within

_LOOKS = 4


@dataclass(frozen=True, slots=True)
class LookBack:
    """Settles redelivered messages of one queue by what was launched before."""

    flights: Flights

    async def settle(self, key: BatchKey, message: Message) -> bool | None:
        """
        Settle the message by an earlier Machine, if there is one that decides.

        True: the queue has it no more. False: it was given back, or will come again. None: nothing
        was launched for it, or what was has failed, and it is to be launched.
        """
        around, holdings = self.flights.around, self.flights.holdings
        try:
            holder = await self._holder(key, message)
            if holder is None:
                return None
            around.observe(journal.TakenOver(key.queue, message.id, holder.machine_id))
            if key.profile.acknowledge == "launch":
                done = Acknowledge("launched")
                return await holdings.acknowledge((message.id,), key.route.name, done)
            if holder.end is None:
                return await self._take_over(key, message, holder)
            settlement = await self._by_the_past(key, message, holder, holder.end)
            if settlement is None:
                return None
            return await holdings.settle(message, key.route.name, settlement)
        except LaunchError as error:
            held_for = holdings.held_for(message.id)
            delay = retry_delay(message.receive_count, jitter=around.jitter(), held_for=held_for)
            await holdings.settle(message, key.route.name, Retry(delay, str(error)))
            return False

    async def is_due(self, key: BatchKey, message: Message) -> bool:
        """Whether `settle` would say None: it may be launched, together with others."""
        try:
            holder = await self._holder(key, message)
            if holder is None:
                return True
            if key.profile.acknowledge == "launch" or holder.end is None:
                return False
            return await self._by_the_past(key, message, holder, holder.end) is None
        except LaunchError:
            return False

    async def _holder(self, key: BatchKey, message: Message) -> Holder | None:
        """The Machine that decides. Tries a few times before it raises LaunchError."""
        around = self.flights.around
        first = message.first_received_at
        if first is None:
            first = around.wall() - LONGEST_VISIBILITY
        holders = [await self._holder_in(app, key, message, first) for app in key.profile.apps]
        known = [holder for holder in holders if holder is not None]
        return max(known, key=lambda holder: holder.created_at, default=None)

    async def _holder_in(
        self, app: str, key: BatchKey, message: Message, first: float
    ) -> Holder | None:
        around = self.flights.around
        attempt = 0
        while True:
            attempt += 1
            try:
                return await around.recall.holder_of(app, key.route.name, message.id, first)
            except LaunchError as error:
                pause = backoff(attempt, first=1.0, longest=10.0, jitter=around.jitter())
                around.observe(journal.WatchFailed(app, None, error, pause))
                if attempt == _LOOKS or await set_within(self.flights.stopping, pause):
                    raise

    async def _take_over(self, key: BatchKey, message: Message, holder: Holder) -> bool:
        """Wait for the end of a Machine that another router, or an earlier life, has launched."""
        there = key.within(holder.app)
        ended = await self.flights.end_of(there, (message.id,), holder.machine_id, holder.deadline)
        if ended is None:
            return False
        reported = await self._reported(holder, ended, message)
        settlement = self.flights.verdict(key, message, ended, reported=reported)
        return await self.flights.holdings.settle(message, key.route.name, settlement)

    async def _by_the_past(
        self, key: BatchKey, message: Message, holder: Holder, end: MachineEnd
    ) -> Settlement | None:
        """What a Machine that has ended decides; None: it failed, and another may be launched."""
        ended = Ended(end)
        reported = await self._reported(holder, ended, message)
        settlement = self.flights.verdict(key, message, ended, reported=reported)
        most = key.profile.max_attempts
        used_up = most is not None and message.receive_count > most
        return settlement if isinstance(settlement, Acknowledge) or used_up else None

    async def _reported(self, holder: Holder, ended: Ended, message: Message) -> bool:
        """Whether the Machine reported this message as failed. Raises LaunchError."""
        recall = self.flights.around.recall
        return ended.succeeded and await recall.reported_failed(holder, message.id)
