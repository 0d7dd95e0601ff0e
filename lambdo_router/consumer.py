r"""
One queue, from receipt to settlement: read this first.

    poll -> decide -> batch -> wait for a launch slot -> launch -> watch -> settle
              \-> refuse: reject, leave or drop
              \-> look back: a redelivered message may be in a Machine already

The order of a stop can be read from the indentation of `run`: leases are renewed to the very end,
launches and settlements outlive the intake, and what was received and not used is given back.
Everything with a choice in it is decided in the pure modules (routing, batching, leases,
settlement); here it is awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lambdo_router import journal
from lambdo_router.backoff import backoff
from lambdo_router.batching import Batch, Batcher, BatchKey
from lambdo_router.dispatch import Dispatch, NotLaunched
from lambdo_router.errors import LaunchRejected, QueueError, QueueRefused, QueueUnavailable
from lambdo_router.events import Message
from lambdo_router.flights import Aloft, Flights, lightened
from lambdo_router.gates import Gates
from lambdo_router.holding import Holdings
from lambdo_router.launching import batch_id_of, entry_of, machine_request, room_for_entries
from lambdo_router.ports import MessageQueue
from lambdo_router.routing import Queue, Refused, Routed, RoutingTable, decide
from lambdo_router.settlement import (
    Acknowledge,
    Retry,
    Settlement,
    of_launch_failure,
    of_refusal,
    of_too_large,
    retry_delay,
)

MOST_PER_RECEIVE = 10
"""SQS hands out at most ten messages a call."""
# A server that answers "nothing" at once, or a wait of 0 seconds, must not become a busy loop.
_SHORTEST_POLL = 0.25
_LOOK_AGAIN = 5.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all consumers of a router share."""

    dispatch: Dispatch
    gates: Gates
    aloft: Aloft
    table: Callable[[], RoutingTable]
    """The current routing table; read once per receive and passed down."""
    reject_queue: Callable[[str], Awaitable[MessageQueue]]
    """Connects a queue of the routes file to send rejected messages to; may raise QueueError."""
    observe: journal.Observer
    jitter: Callable[[], float]
    """A number from 0.0 to 1.0, for pauses that must not fall in step."""
    wall: Callable[[], float]
    """Unix seconds: what is told to SQS and Fly is in their time."""


class Consumer:
    """Reads one queue until told to stop."""

    def __init__(self, queue: MessageQueue, surroundings: Surroundings) -> None:
        self._queue = queue
        self._around = surroundings
        self._observe = surroundings.observe
        self._holdings = Holdings(
            queue, surroundings.reject_queue, surroundings.observe, surroundings.jitter
        )
        self._batcher = Batcher(room_for_entries)
        self._serving: dict[BatchKey, asyncio.Task[None]] = {}
        self._grown: dict[BatchKey, asyncio.Event] = {}
        self._stopping = asyncio.Event()
        self._flights = Flights(
            self._holdings,
            surroundings.aloft,
            surroundings.observe,
            surroundings.jitter,
            surroundings.wall,
            self._stopping,
        )
        self._aloft = 0
        """Messages whose Machine runs: of them only ids and receipts are kept."""

    @property
    def held(self) -> int:
        """Messages received and not settled yet."""
        return len(self._holdings)

    def stop(self) -> None:
        """Take no more; `run` returns when what is under way has ended."""
        self._stopping.set()
        self._holdings.released.set()  # wakes an intake that waits for room

    async def run(self) -> None:
        """Receive, route, batch, launch and settle until `stop`."""
        self._observe(journal.QueueOpened(self._queue.name))
        async with asyncio.TaskGroup() as upkeep:
            renewing = upkeep.create_task(self._holdings.keep_alive(self._batcher.drop))
            async with asyncio.TaskGroup() as work:
                polling = work.create_task(self._poll(work))
                await self._stopping.wait()
                for serving in tuple(self._serving.values()):
                    serving.cancel()
                await self._give_back_batches()
                await polling
            renewing.cancel()
        self._observe(journal.QueueClosed(self._queue.name))

    # Intake

    async def _poll(self, work: asyncio.TaskGroup) -> None:
        failures = 0
        while not self._stopping.is_set():
            table = self._around.table()
            queue = table.queues.get(self._queue.name)
            room = self._room(table, queue) if queue is not None else 0
            if queue is None or room <= 0:
                await self._until_released()
                continue
            asked_at = asyncio.get_running_loop().time()
            try:
                limit = min(MOST_PER_RECEIVE, room)
                messages = await self._queue.receive(limit, queue.visibility)
            except QueueError as error:
                failures += 1
                await self._pause_after(error, failures)
                continue
            failures = 0
            if messages:
                await self._take(work, queue, messages)
            else:
                await self._stopped_by(asked_at + _SHORTEST_POLL)

    def _room(self, table: RoutingTable, queue: Queue) -> int:
        """
        How many more messages may be taken.

        Where all profiles of the queue may launch only so many Machines now, no more is worth
        holding than goes into those, and a batch of each that may launch none: further receives
        would only be burnt.
        """
        waiting = self.held - self._aloft
        profiles = {route.profile for route in table.routes_of(queue.name)}
        worth = 0
        for profile in profiles:
            room = self._around.gates.room(profile)
            if room is None:
                return queue.max_waiting - waiting
            worth += max(1, room) * profile.batch_size
        return min(queue.max_waiting, worth) - waiting

    async def _until_released(self) -> None:
        """Wait until something is held no more; but not for long, since gates open by time."""
        self._holdings.released.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._holdings.released.wait()

    async def _take(
        self, work: asyncio.TaskGroup, queue: Queue, messages: Sequence[Message]
    ) -> None:
        """Lease what came and send each on its way; when stopping, give it back instead."""
        new = []
        for message in messages:
            if self._holdings.hold(message, queue.visibility):
                new.append(message)
                self._observe(journal.Received(queue.name, message))
            else:
                self._observe(journal.Redelivered(queue.name, message.id))
        if self._stopping.is_set():
            await self._holdings.give_back(message.id for message in new)
            return
        table = self._around.table()
        for message in new:
            try:
                self._route(work, table, queue, message)
            except Exception as error:  # noqa: BLE001 - a defect costs one message, not the queue
                self._observe(journal.UnitFailed(queue.name, (message.id,), error))
                self._holdings.forget((message.id,))

    def _route(
        self, work: asyncio.TaskGroup, table: RoutingTable, queue: Queue, message: Message
    ) -> None:
        decision = decide(table, queue, message)
        self._observe(journal.Decided(queue.name, message.id, decision))
        if isinstance(decision, Refused):
            settlement = of_refusal(decision, queue, message, self._around.wall())
            route = decision.route.name if decision.route is not None else None
        else:
            key = BatchKey(queue.name, decision.route, decision.profile)
            if message.receive_count > 1:
                looking = self._look_back(work, queue, key, message, decision)
                work.create_task(self._guarded((message.id,), looking))
            else:
                self._add(work, queue, key, message, decision)
            return
        settling = self._holdings.settle(message, route, settlement)
        work.create_task(self._guarded((message.id,), settling))

    async def _look_back(
        self,
        work: asyncio.TaskGroup,
        queue: Queue,
        key: BatchKey,
        message: Message,
        routed: Routed,
    ) -> None:
        """Before anything is launched for a redelivered message: it may have been."""
        if await self._flights.look_back(key, message, queue.reject_to):
            return
        if self._stopping.is_set():
            await self._holdings.give_back((message.id,))
        else:
            self._add(work, queue, key, message, routed)

    def _add(
        self,
        work: asyncio.TaskGroup,
        queue: Queue,
        key: BatchKey,
        message: Message,
        routed: Routed,
    ) -> None:
        entry = entry_of(message, routed.event)
        if self._crowds_out(queue, key):
            delay = retry_delay(message.receive_count, jitter=self._around.jitter())
            settlement: Settlement = Retry(delay, "its profile may not launch at the moment")
        elif self._batcher.add(key, entry, asyncio.get_running_loop().time()):
            self._serve_soon(key, work)
            return
        else:
            settlement = of_too_large(key, entry, queue, self._around.wall())
        settling = self._holdings.settle(message, key.route.name, settlement)
        work.create_task(self._guarded((message.id,), settling))

    def _crowds_out(self, queue: Queue, key: BatchKey) -> bool:
        """Whether a profile that may not launch already holds its share of what may wait."""
        if self._around.gates.room(key.profile) != 0:
            return False
        routes = self._around.table().routes_of(queue.name)
        share = max(key.profile.batch_size, queue.max_waiting // max(1, len(routes)))
        return len(routes) > 1 and self._batcher.waiting(key.route.name) >= share

    async def _pause_after(self, error: QueueError, failures: int) -> None:
        """A refusal is for a person to mend: ask again slowly. The rest may pass: ask sooner."""
        first = 15.0 if isinstance(error, QueueRefused) else 1.0
        pause = backoff(failures, first=first, longest=60.0, jitter=self._around.jitter())
        if isinstance(error, QueueUnavailable):
            pause = max(pause, error.retry_after or 0.0)
        self._observe(journal.QueueFailed(self._queue.name, "receive", error, pause))
        await self._stopped_by(asyncio.get_running_loop().time() + pause)

    async def _stopped_by(self, at: float) -> None:
        """Wait until that time of the loop, or until the stop if it comes first."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._stopping.wait()

    # Batches

    def _serve_soon(self, key: BatchKey, work: asyncio.TaskGroup) -> None:
        if key not in self._serving:
            self._grown[key] = asyncio.Event()
            self._serving[key] = work.create_task(self._serve(key, work))
        self._grown[key].set()

    async def _serve(self, key: BatchKey, work: asyncio.TaskGroup) -> None:
        """Launch the batches of one key, each when it is ripe and a slot of its app is free."""
        gates = self._around.gates
        slots = self._around.dispatch.slots(key.profile.app)
        grown = self._grown[key]
        try:
            while (ripe_at := self._batcher.ripe_at(key)) is not None:
                if ripe_at > asyncio.get_running_loop().time():
                    grown.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(ripe_at):
                            await grown.wait()
                    continue
                await gates.enter(key.profile)
                try:
                    await slots.acquire(key.route.name)
                except asyncio.CancelledError:
                    gates.leave(key.profile)
                    raise
                # While the slot was awaited the batch went on growing, or lost all its leases.
                batch = self._batcher.take(key)
                if batch is None:
                    slots.give_back()
                    gates.leave(key.profile)
                else:
                    work.create_task(self._guarded(batch.message_ids, self._finish(batch)))
        finally:
            del self._serving[key], self._grown[key]

    async def _finish(self, batch: Batch) -> None:
        """Launch a closed batch and settle its messages."""
        key, profile = batch.key, batch.key.profile
        closed_at = asyncio.get_running_loop().time()
        margin = self._holdings.margin(batch.message_ids)
        deadline = self._around.wall() + profile.timeout
        batch_id = batch_id_of(batch)
        reports = self._around.aloft.reports
        report = None
        if profile.acknowledge == "success":
            report = reports.open(batch_id, profile.app, batch.message_ids)
        generation = self._around.table().generation
        request = machine_request(batch, generation=generation, deadline=deadline, report=report)
        outcome = await self._around.dispatch.launch(batch, request, self._stopping)
        if isinstance(outcome, NotLaunched):
            reports.close(batch_id)
            await self._settle_unlaunched(batch, outcome)
            return
        machine, attempts = outcome
        self._around.gates.launched(profile, machine.id, deadline)
        reports.launched(batch_id, machine.id)
        seconds = asyncio.get_running_loop().time() - closed_at
        self._observe(journal.Launched(batch, machine, seconds, attempts, margin))
        if profile.acknowledge == "launch":
            done = Acknowledge("launched")
            await self._holdings.acknowledge(batch.message_ids, key.route.name, done)
            return
        light = lightened(batch)
        del batch, request  # the bodies are at Fly now
        await self._see_through(light, batch_id, machine.id, deadline)

    async def _see_through(
        self, batch: Batch, batch_id: str, machine_id: str, deadline: float
    ) -> None:
        self._aloft += len(batch.entries)
        self._holdings.released.set()  # they wait no more
        try:
            queue = self._around.table().queues.get(batch.key.queue)
            reject_to = queue.reject_to if queue is not None else None
            await self._flights.see_through(batch, batch_id, machine_id, deadline, reject_to)
        finally:
            self._aloft -= len(batch.entries)

    async def _settle_unlaunched(self, batch: Batch, outcome: NotLaunched) -> None:
        if isinstance(outcome.error, LaunchRejected):
            self._around.gates.refused(batch.key.profile, outcome.error)
        else:
            self._around.gates.leave(batch.key.profile)
        if outcome.interrupted:
            await self._holdings.give_back(batch.message_ids)
            return
        queue = self._around.table().queues.get(batch.key.queue)
        jitter, wall = self._around.jitter(), self._around.wall()
        settlements = [
            of_launch_failure(
                outcome.error,
                batch.key,
                entry.message,
                reject_to=queue.reject_to if queue is not None else None,
                held_for=self._holdings.held_for(entry.message.id),
                jitter=jitter,
                wall=wall,
            )
            for entry in batch.entries
        ]
        messages = [entry.message for entry in batch.entries]
        await self._holdings.settle_all(
            list(zip(messages, settlements, strict=True)), batch.key.route.name
        )

    async def _give_back_batches(self) -> None:
        waiting = [i for batch in self._batcher.drain() for i in batch.message_ids]
        await self._holdings.give_back(waiting)

    async def _guarded(self, message_ids: tuple[str, ...], unit: Awaitable[None]) -> None:
        """A defect in the handling of one batch or message costs that unit only."""
        try:
            await unit
        except Exception as error:  # noqa: BLE001 - the boundary that the docstring speaks of
            self._observe(journal.UnitFailed(self._queue.name, message_ids, error))
            self._holdings.forget(message_ids)
