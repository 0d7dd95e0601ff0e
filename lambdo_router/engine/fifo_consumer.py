"""
One FIFO queue: the order of each message group is kept, from SQS to the ends of its Machines.

What a receive brings of one group is a sequence. It is cut into batches where route, size or bytes
change, and they are launched and settled strictly one after the other, while other groups go on in
parallel. When one fails, it goes back with its delay and the rest of the sequence goes back at
once: SQS hands out nothing of a group while an earlier message of it is hidden. A lost lease ends
the sequence, since SQS may then have given it to others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, Batcher, BatchKey, Entry
from lambdo_router.core.machine import entry_of, room_for_entries
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.routing import Queue, Refused, RoutingTable, decide
from lambdo_router.core.settlement import of_refusal, of_too_large
from lambdo_router.engine.batch_runner import RunningBatch
from lambdo_router.engine.context import Context
from lambdo_router.engine.queue_reader import QueueReader
from lambdo_router.engine.redelivery import TakeOver
from lambdo_router.engine.sharing import Current
from lambdo_router.engine.waiting import unless


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message with the table, and the queue in it, that decide it."""

    table: RoutingTable
    queue: Queue
    message: Message


class FifoConsumer(QueueReader):
    """Reads one FIFO queue until told to stop."""

    MOST_POLLS = 1  # what comes of one group must come in order

    def __init__(self, queue: MessageQueue, context: Context, current: Current) -> None:
        super().__init__(queue, context, current)
        self._sequences: dict[str, deque[_Arrival]] = {}
        """What is still to be done of each message group, in order."""
        self._at_gate: dict[str, asyncio.Event] = {}
        """Messages whose batch waits for its launch, and what ends the wait."""

    async def run(self) -> None:
        """Receive, route, launch and settle, group by group, until `stop`."""
        self._context.observe(journal.QueueOpened(self._name))
        async with asyncio.TaskGroup() as upkeep:
            # A message whose lease was lost stays known: its sequence has to notice.
            renewing = upkeep.create_task(self._held_messages.keep_alive(lambda _: False))
            sharing = upkeep.create_task(self._sharing.run())
            async with asyncio.TaskGroup() as work:
                polling = work.create_task(
                    self._intake.run(lambda *received: self._take(work, *received))
                )
                await self._stopping.wait()
                sharing.cancel()
                await self._sharing.recall_all()
                await polling
            await self._sharing.recall_all()  # what was about to be parked
            renewing.cancel()
        self._context.observe(journal.QueueClosed(self._name))

    def stop(self) -> None:
        """Take no more; `run` returns when what is under way has ended."""
        super().stop()
        for leaving in self._at_gate.values():
            leaving.set()

    def _take(
        self,
        work: asyncio.TaskGroup,
        table: RoutingTable,
        queue: Queue,
        messages: Sequence[Message],
    ) -> None:
        for message in messages:
            group = message.system.get("MessageGroupId", "")
            if group in self._sequences:
                # SQS hands these out only after a lease of the group ran out; the messages before
                # them are still on their way here, and come first all the same.
                self._sequences[group].append(_Arrival(table, queue, message))
            else:
                self._sequences[group] = deque([_Arrival(table, queue, message)])
                work.create_task(self._guarded(group))

    async def _guarded(self, group: str) -> None:
        """A defect in the handling of one sequence costs that sequence only."""
        rest = self._sequences[group]
        under_way: tuple[str, ...] = ()
        try:
            while rest:
                under_way = tuple(arrival.message.id for arrival in rest)
                step = await self._advance(rest)
                if isinstance(step, RunningBatch):
                    step = await self._runner.wait_for_end(step)
                elif isinstance(step, TakeOver):
                    step = await self._redelivery.wait_for_end(step)
                if not step:
                    break
        except Exception as error:  # noqa: BLE001 - the boundary that the docstring speaks of
            self._context.observe(journal.InternalError(self._name, under_way, error))
            waiting = {arrival.message.id for arrival in rest}
            self._held_messages.drop(tuple(i for i in under_way if i not in waiting))
        finally:
            del self._sequences[group]
        await self._held_messages.release(arrival.message.id for arrival in rest)

    async def _advance(self, rest: deque[_Arrival]) -> RunningBatch | TakeOver | bool:
        """
        Settle or launch the next of a sequence, one message or a batch; False: go no further.

        What has a Machine is handed back, so that nothing here keeps its bodies while that runs.
        """
        if self._stopping.is_set() or any(self._held_messages.is_lost(a.message.id) for a in rest):
            return False
        queue, message = rest[0].queue, rest[0].message
        decision = decide(rest[0].table, queue, message)
        self._context.observe(journal.Decided(queue.name, message.id, decision))
        if isinstance(decision, Refused):
            rest.popleft()
            route = decision.route.name if decision.route is not None else None
            settlement = of_refusal(decision, queue, message, self._context.clock())
            # What the queue still has comes back, and what follows it must not run before.
            return await self._held_messages.settle(message, route, settlement)
        key = BatchKey(queue.name, decision.route, decision.profile)
        if message.receive_count > 1:
            settled = await self._redelivery.settle(key, message)
            if settled is not None:
                rest.popleft()
                return settled
        waiting = tuple(arrival.message.id for arrival in rest)
        if not self._sharing.admit(rest[0].table, queue, key, waiting):
            rest.popleft()
            # While it is hidden SQS gives out nothing of its group, and then the rest with it.
            await self._sharing.park(key, message.id, weight=len(waiting))
            return False
        entry = entry_of(message, decision.event)
        batch = await self._batch(key, entry, rest)
        if batch is None:
            rest.popleft()
            too_large = of_too_large(key, entry, queue, self._context.clock())
            return await self._held_messages.settle(message, key.route.name, too_large)
        return await self._launch(batch)

    async def _batch(self, key: BatchKey, first: Entry, rest: deque[_Arrival]) -> Batch | None:
        """Take what follows and may share a Machine; None if not even the first fits."""
        batcher = Batcher(room_for_entries)
        if not batcher.add(key, first, 0.0):
            return None
        taken = 1
        while taken < min(len(rest), key.profile.batch_size):
            queue, message = rest[taken].queue, rest[taken].message
            decision = decide(rest[taken].table, queue, message)
            if isinstance(decision, Refused):
                break
            if BatchKey(queue.name, decision.route, decision.profile) != key:
                break
            if message.receive_count > 1 and not await self._redelivery.is_due(key, message):
                break
            if not batcher.add(key, entry_of(message, decision.event), 0.0):
                break
            taken += 1
        # Beyond its bytes the batcher would open a second batch: that one's events stay in `rest`.
        batch = batcher.take(key)
        if batch is not None:
            for _ in batch.entries:
                rest.popleft()
        return batch

    async def _launch(self, batch: Batch) -> RunningBatch | bool:
        """Pass the gate, get a slot, and launch; False if nothing came of it."""
        key, leaving = batch.key, asyncio.Event()
        self._at_gate.update(dict.fromkeys(batch.message_ids, leaving))
        if self._stopping.is_set():
            leaving.set()
        try:
            permit = await unless(leaving, self._context.launcher.permit(key))
        finally:
            for message_id in batch.message_ids:
                del self._at_gate[message_id]
        if permit is None:
            if self._stopping.is_set():
                await self._held_messages.release(batch.message_ids)
            else:
                head, *others = batch.message_ids
                await self._sharing.park(key, head, weight=len(batch.entries))
                await self._held_messages.release(others)
            return False
        async with permit:
            if self._held_messages.drop_expired(batch.message_ids):
                self._held_messages.drop(batch.message_ids)
                return False
            return await self._runner.launch(batch, permit)

    def _withdraw(self, message_id: str) -> str | None:
        """End the wait of its batch, which then parks itself."""
        if message_id in self._at_gate:
            self._at_gate[message_id].set()
        return None
