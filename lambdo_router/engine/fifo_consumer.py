"""
One FIFO queue: the order of each message group is kept, from SQS to the ends of its Machines.

The messages that a receive brings of one group form a sequence. It is cut into batches where route,
size or bytes change, and the batches are launched and settled strictly one after the other, while
other groups go on in parallel. When a batch fails, it is retried with a delay and the rest of the
sequence is released at once: SQS delivers nothing of a group while an earlier message of it is
hidden. A lost lease ends the sequence, since SQS may have delivered it to others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lambdo_router.core import journal
from lambdo_router.core.admission import Admission, Admitted, NotAdmitted, QueueRoutes, TooLarge
from lambdo_router.core.batch import Batch, Batcher
from lambdo_router.core.machine import room_for_entries
from lambdo_router.core.message import Message
from lambdo_router.engine.batch_runner import RunningBatch
from lambdo_router.engine.queue_reader import QueueReader
from lambdo_router.engine.redelivery import TakeOver
from lambdo_router.engine.waiting import unless


@dataclass(slots=True)
class _Arrival:
    """A message of a sequence, with the routes that decide it."""

    routes: QueueRoutes
    message: Message
    admission: Admission | None = None
    """What the routes decide, once they were asked."""


@dataclass(eq=False)
class FifoConsumer(QueueReader):
    """Reads one FIFO queue until told to stop."""

    MOST_POLLS: ClassVar = 1  # the messages of a group must arrive in order

    _sequences: dict[str, deque[_Arrival]] = field(default_factory=dict)
    """What is still to be done of each message group, in order."""
    _at_gate: dict[str, asyncio.Event] = field(default_factory=dict)
    """Messages whose batch waits for its launch, and what ends the wait."""

    async def run(self) -> None:
        """Receive, route, launch and settle, group by group, until `stop`."""
        self.observe(journal.QueueOpened(self.queue.name))
        async with asyncio.TaskGroup() as upkeep:
            # A message whose lease was lost stays known: its sequence has to notice.
            renewing = upkeep.create_task(self.held_messages.keep_alive(lambda _: False))
            sharing = upkeep.create_task(self._sharing.run())
            async with asyncio.TaskGroup() as work:
                polling = work.create_task(self._receiver.poll())
                async for received in self._receiver:
                    self._take(work, *received)
                    del received  # its bodies must not stay until the next receive
                sharing.cancel()
                await self._sharing.recall_all()
                await polling  # what it has just received is released
            await self._sharing.recall_all()  # what was about to be parked
            renewing.cancel()
        self.observe(journal.QueueClosed(self.queue.name))

    def stop(self) -> None:
        """Receive no more; `run` returns when everything under way has ended."""
        super().stop()
        for leaving in self._at_gate.values():
            leaving.set()

    def _take(
        self, work: asyncio.TaskGroup, routes: QueueRoutes, messages: Sequence[Message]
    ) -> None:
        for message in messages:
            group = message.system.get("MessageGroupId", "")
            if group in self._sequences:
                # SQS delivers these only after a lease of the group ran out; the messages before
                # them are still on their way here, and come first.
                self._sequences[group].append(_Arrival(routes, message))
            else:
                self._sequences[group] = deque([_Arrival(routes, message)])
                work.create_task(self._guarded(group))

    async def _guarded(self, group: str) -> None:
        """Run one sequence to its end; a defect in it costs nothing else."""
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
        except Exception as error:  # noqa: BLE001 - the boundary of one sequence
            self.observe(journal.InternalError(self.queue.name, under_way, error))
            waiting = {arrival.message.id for arrival in rest}
            self.held_messages.drop(tuple(i for i in under_way if i not in waiting))
        finally:
            del self._sequences[group]
        await self.held_messages.release(arrival.message.id for arrival in rest)

    async def _advance(self, rest: deque[_Arrival]) -> RunningBatch | TakeOver | bool:
        """
        Settle or launch the next of a sequence, one message or a batch; False: go no further.

        A batch or message that has a Machine is returned, so that this frame does not keep its
        bodies while the Machine runs.
        """
        if self._stopping.is_set() or any(self.held_messages.is_lost(a.message.id) for a in rest):
            return False
        routes, message = rest[0].routes, rest[0].message
        admission = self._admission(rest[0])
        if isinstance(admission, NotAdmitted):
            return await self._refuse(rest, admission)
        key = admission.key
        if message.receive_count > 1:
            settled = await self._redelivery.settle(key, message)
            if settled is not None:
                rest.popleft()
                return settled
        if isinstance(admission, TooLarge):
            return await self._refuse(rest, admission)
        waiting = tuple(arrival.message.id for arrival in rest)
        if not self._sharing.admit(routes, key, waiting):
            rest.popleft()
            # While it is hidden SQS delivers nothing of its group, and then the rest with it.
            await self._sharing.park(key, message.id, weight=len(waiting))
            return False
        return await self._launch(await self._batch(admission, rest))

    def _admission(self, arrival: _Arrival) -> Admission:
        if arrival.admission is None:
            arrival.admission = self._admit(arrival.routes, arrival.message)
        return arrival.admission

    async def _refuse(self, rest: deque[_Arrival], refused: NotAdmitted | TooLarge) -> bool:
        """Settle the first message; what follows must not run before it has left the queue."""
        arrival = rest.popleft()
        route, settlement = self._refusal(arrival.routes, arrival.message, refused)
        return await self.held_messages.settle(arrival.message, route, settlement)

    async def _batch(self, first: Admitted, rest: deque[_Arrival]) -> Batch:
        """Take the first message and those after it that may share its Machine."""
        key, batcher = first.key, Batcher(room_for_entries)
        batcher.add(key, first.entry, 0.0)
        taken = 1
        while taken < min(len(rest), key.profile.batch_size):
            message, admission = rest[taken].message, self._admission(rest[taken])
            if not isinstance(admission, Admitted) or admission.key != key:
                break
            if message.receive_count > 1 and not await self._redelivery.is_due(key, message):
                break
            batcher.add(key, admission.entry, 0.0)
            taken += 1
        # Beyond its bytes the batcher opens a second batch: the events of that stay in `rest`.
        batch = next(batcher.drain())
        for _ in batch.entries:
            rest.popleft()
        return batch

    async def _launch(self, batch: Batch) -> RunningBatch | bool:
        """Wait for a permit and launch; False if nothing was launched."""
        key, leaving = batch.key, asyncio.Event()
        self._at_gate.update(dict.fromkeys(batch.message_ids, leaving))
        if self._stopping.is_set():
            leaving.set()
        try:
            permit = await unless(leaving, self.context.permits.permit(key))
        finally:
            for message_id in batch.message_ids:
                del self._at_gate[message_id]
        if permit is None:
            if self._stopping.is_set():
                await self.held_messages.release(batch.message_ids)
            else:
                head, *others = batch.message_ids
                await self._sharing.park(key, head, weight=len(batch.entries))
                await self.held_messages.release(others)
            return False
        async with permit:
            if self.held_messages.drop_expired(batch.message_ids):
                self.held_messages.drop(batch.message_ids)
                return False
            return await self._runner.launch(batch, permit)

    def _withdraw(self, message_id: str) -> str | None:
        """End the wait of its batch, which then parks itself."""
        if message_id in self._at_gate:
            self._at_gate[message_id].set()
        return None
