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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from lambdo_router.core import journal
from lambdo_router.core.batch import Batcher, BatchKey
from lambdo_router.core.machine import entry_of, room_for_entries
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.routing import Queue, Refused, Routed, RoutingTable, decide
from lambdo_router.core.settlement import Settlement, of_refusal, of_too_large
from lambdo_router.engine.context import Context
from lambdo_router.engine.queue_reader import QueueReader
from lambdo_router.engine.redelivery import TakeOver
from lambdo_router.engine.sharing import Current
from lambdo_router.engine.waiting import set_by


class Consumer(QueueReader):
    """Reads one standard queue until told to stop."""

    MOST_POLLS = 8

    def __init__(self, queue: MessageQueue, context: Context, current: Current) -> None:
        super().__init__(queue, context, current)
        self._batcher = Batcher(room_for_entries)
        self._serving: dict[BatchKey, asyncio.Task[None]] = {}
        self._grown: dict[BatchKey, asyncio.Event] = {}

    async def run(self) -> None:
        """Receive, route, batch, launch and settle until `stop`."""
        self._context.observe(journal.QueueOpened(self._name))
        async with asyncio.TaskGroup() as upkeep:
            renewing = upkeep.create_task(self._held_messages.keep_alive(self._batcher.drop))
            sharing = upkeep.create_task(self._sharing.run())
            async with asyncio.TaskGroup() as work:
                polling = work.create_task(
                    self._intake.run(lambda *received: self._take(work, *received))
                )
                await self._stopping.wait()
                for serving in tuple(self._serving.values()):
                    serving.cancel()
                sharing.cancel()
                await self._give_back_batches()
                await self._sharing.recall_all()
                await polling
            await self._sharing.recall_all()  # what was about to be parked
            renewing.cancel()
        self._context.observe(journal.QueueClosed(self._name))

    def _batched(self) -> Mapping[str, int]:
        return self._batcher.waiting_by_route()

    # From a message to its batch

    def _take(
        self,
        work: asyncio.TaskGroup,
        table: RoutingTable,
        queue: Queue,
        messages: Sequence[Message],
    ) -> None:
        for message in messages:
            try:
                self._route(work, table, queue, message)
            except Exception as error:  # noqa: BLE001 - a defect costs one message, not the queue
                self._context.observe(journal.InternalError(queue.name, (message.id,), error))
                self._held_messages.drop((message.id,))

    def _route(
        self, work: asyncio.TaskGroup, table: RoutingTable, queue: Queue, message: Message
    ) -> None:
        decision = decide(table, queue, message)
        self._context.observe(journal.Decided(queue.name, message.id, decision))
        if isinstance(decision, Refused):
            route = decision.route.name if decision.route is not None else None
            settlement = of_refusal(decision, queue, message, self._context.clock())
            self._settle_soon(work, message, route, settlement)
            return
        key = BatchKey(queue.name, decision.route, decision.profile)
        if message.receive_count > 1:
            looking = partial(self._look_first, work, table, queue, key, message, decision)
            work.create_task(self._guarded((message.id,), looking))
        else:
            self._add(work, table, queue, key, message, decision)

    async def _look_first(
        self,
        work: asyncio.TaskGroup,
        table: RoutingTable,
        queue: Queue,
        key: BatchKey,
        message: Message,
        routed: Routed,
    ) -> None:
        """Before anything is launched for a redelivered message: it may have been."""
        looked = await self._redelivery.settle(key, message)
        if isinstance(looked, TakeOver):
            del message, routed  # as in _guarded
            await self._redelivery.wait_for_end(looked)
            return
        if looked is not None:
            return
        if self._stopping.is_set():
            await self._held_messages.release((message.id,))
        elif self._held_messages.is_lost(message.id):
            self._held_messages.drop((message.id,))
        else:
            self._add(work, table, queue, key, message, routed)

    def _add(
        self,
        work: asyncio.TaskGroup,
        table: RoutingTable,
        queue: Queue,
        key: BatchKey,
        message: Message,
        routed: Routed,
    ) -> None:
        if not self._sharing.admit(table, queue, key, (message.id,)):
            parking = partial(self._sharing.park, key, message.id)
            work.create_task(self._guarded((message.id,), parking))
            return
        entry = entry_of(message, routed.event)
        if self._batcher.add(key, entry, asyncio.get_running_loop().time()):
            self._serve_soon(key, work)
        else:
            too_large = of_too_large(key, entry, queue, self._context.clock())
            self._settle_soon(work, message, key.route.name, too_large)

    def _withdraw(self, message_id: str) -> str | None:
        return self._batcher.withdraw(message_id)

    def _settle_soon(
        self,
        work: asyncio.TaskGroup,
        message: Message,
        route: str | None,
        settlement: Settlement,
    ) -> None:
        settling = partial(self._held_messages.settle, message, route, settlement)
        work.create_task(self._guarded((message.id,), settling))

    # From a batch to its Machine

    def _serve_soon(self, key: BatchKey, work: asyncio.TaskGroup) -> None:
        if key not in self._serving:
            self._grown[key] = asyncio.Event()
            self._serving[key] = work.create_task(self._serve(key, work))
        self._grown[key].set()

    async def _serve(self, key: BatchKey, work: asyncio.TaskGroup) -> None:
        """Launch the batches of one key, each when it is due and a slot of its app is free."""
        grown = self._grown[key]
        try:
            while (due_at := self._batcher.due_at(key)) is not None:
                if due_at > asyncio.get_running_loop().time():
                    grown.clear()
                    await set_by(grown, due_at)
                    continue
                async with await self._context.launcher.permit(key) as permit:
                    # While the slot was awaited the batch went on growing, or lost all its leases.
                    batch = self._batcher.take(key)
                    if batch is not None:
                        running = partial(self._runner.run, batch, permit.hand_on())
                        work.create_task(self._guarded(batch.message_ids, running))
                        del batch, running  # as in _guarded
        finally:
            del self._serving[key], self._grown[key]

    async def _give_back_batches(self) -> None:
        waiting = [i for batch in self._batcher.drain() for i in batch.message_ids]
        await self._held_messages.release(waiting)

    async def _guarded(
        self, message_ids: tuple[str, ...], unit: Callable[[], Awaitable[object]]
    ) -> None:
        """A defect in the handling of one batch or message costs that unit only."""
        try:
            doing = unit()
            del unit  # it holds the batch, whose bodies are to be let go while its Machine runs
            await doing
        except Exception as error:  # noqa: BLE001 - the boundary that the docstring speaks of
            self._context.observe(journal.InternalError(self._name, message_ids, error))
            self._held_messages.drop(message_ids)
