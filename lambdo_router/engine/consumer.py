r"""
One queue, from receipt to settlement: read this first.

    receive -> admit -> batch -> wait for a permit -> launch -> wait for the end -> settle
                 \-> refuse: reject, leave or drop
                 \-> redelivered: a Machine may have it already

The order of a stop can be read from the indentation of `run`: leases are renewed to the very end,
launches and settlements outlive the intake, and what was received and not used is released.
Every decision is made by pure code in core (routing, batches, leases, settlement); here it is
awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from lambdo_router.core import journal
from lambdo_router.core.admission import Admitted, NotAdmitted, QueueRoutes, TooLarge
from lambdo_router.core.batch import Batcher, BatchKey
from lambdo_router.core.machine import room_for_entries
from lambdo_router.core.message import Message
from lambdo_router.engine.queue_reader import QueueReader
from lambdo_router.engine.redelivery import TakeOver
from lambdo_router.engine.waiting import set_by


@dataclass(eq=False)
class Consumer(QueueReader):
    """Reads one standard queue until told to stop."""

    MOST_POLLS: ClassVar = 8

    _batcher: Batcher = field(default_factory=lambda: Batcher(room_for_entries))
    _serving: dict[BatchKey, asyncio.Task[None]] = field(default_factory=dict)
    _grown: dict[BatchKey, asyncio.Event] = field(default_factory=dict)

    async def run(self) -> None:
        """Receive, route, batch, launch and settle until `stop`."""
        self.observe(journal.QueueOpened(self.queue.name))
        async with asyncio.TaskGroup() as upkeep:
            renewing = upkeep.create_task(self.held_messages.keep_alive(self._batcher.drop))
            sharing = upkeep.create_task(self._sharing.run())
            async with asyncio.TaskGroup() as work:
                polling = work.create_task(self._receiver.poll())
                async for received in self._receiver:
                    self._take(work, *received)
                    del received  # its bodies must not stay until the next receive
                for serving in tuple(self._serving.values()):
                    serving.cancel()
                sharing.cancel()
                await self._release_batches()
                await self._sharing.recall_all()
                await polling  # what it has just received is released
            await self._sharing.recall_all()  # what was about to be parked
            renewing.cancel()
        self.observe(journal.QueueClosed(self.queue.name))

    def _batched(self) -> Mapping[str, int]:
        return self._batcher.waiting_by_route()

    # From a message to its batch

    def _take(
        self, work: asyncio.TaskGroup, routes: QueueRoutes, messages: Sequence[Message]
    ) -> None:
        for message in messages:
            try:
                self._route(work, routes, message)
            except Exception as error:  # noqa: BLE001 - a defect costs one message, not the queue
                self.observe(journal.InternalError(self.queue.name, (message.id,), error))
                self.held_messages.drop((message.id,))

    def _route(self, work: asyncio.TaskGroup, routes: QueueRoutes, message: Message) -> None:
        admission = self._admit(routes, message)
        if isinstance(admission, NotAdmitted):
            self._refuse(work, routes, message, admission)
        elif message.receive_count > 1:
            looking = partial(self._look_first, work, routes, message, admission)
            self._start(work, (message.id,), looking)
        else:
            self._add(work, routes, message, admission)

    async def _look_first(
        self,
        work: asyncio.TaskGroup,
        routes: QueueRoutes,
        message: Message,
        admission: Admitted | TooLarge,
    ) -> None:
        """Check whether a redelivered message was already launched before launching it again."""
        settled = await self._redelivery.settle(admission.key, message)
        if isinstance(settled, TakeOver):
            del message, admission  # as in _guarded
            await self._redelivery.wait_for_end(settled)
        elif settled is None:
            if self._stopping.is_set():
                await self.held_messages.release((message.id,))
            elif self.held_messages.is_lost(message.id):
                self.held_messages.drop((message.id,))
            else:
                self._add(work, routes, message, admission)

    def _add(
        self,
        work: asyncio.TaskGroup,
        routes: QueueRoutes,
        message: Message,
        admission: Admitted | TooLarge,
    ) -> None:
        key = admission.key
        if isinstance(admission, TooLarge):
            self._refuse(work, routes, message, admission)
        elif not self._sharing.admit(routes, key, (message.id,)):
            self._start(work, (message.id,), partial(self._sharing.park, key, message.id))
        else:
            self._batcher.add(key, admission.entry, asyncio.get_running_loop().time())
            if key not in self._serving:
                self._grown[key] = asyncio.Event()
                self._serving[key] = work.create_task(self._serve(key, work))
            self._grown[key].set()

    def _withdraw(self, message_id: str) -> str | None:
        return self._batcher.withdraw(message_id)

    def _refuse(
        self,
        work: asyncio.TaskGroup,
        routes: QueueRoutes,
        message: Message,
        refused: NotAdmitted | TooLarge,
    ) -> None:
        route, settlement = self._refusal(routes, message, refused)
        settling = partial(self.held_messages.settle, message, route, settlement)
        self._start(work, (message.id,), settling)

    # From a batch to its Machine

    async def _serve(self, key: BatchKey, work: asyncio.TaskGroup) -> None:
        """Launch the batches of one key, each when it is due and has a permit."""
        grown = self._grown[key]
        try:
            while (due_at := self._due_at(key)) is not None:
                if due_at > asyncio.get_running_loop().time():
                    grown.clear()
                    await set_by(grown, due_at)
                    continue
                async with await self.context.permits.permit(key) as permit:
                    # During the wait the batch went on growing, or lost all its leases.
                    batch = self._batcher.take(key)
                    if batch is not None:
                        running = partial(self._runner.run, batch, permit.hand_over())
                        self._start(work, batch.message_ids, running)
                        del batch, running  # as in _guarded
        finally:
            del self._serving[key], self._grown[key]

    def _due_at(self, key: BatchKey) -> float | None:
        return self._batcher.due_at(key, self._receiver.more_until)

    async def _release_batches(self) -> None:
        waiting = [i for batch in self._batcher.drain() for i in batch.message_ids]
        await self.held_messages.release(waiting)

    def _start(
        self,
        work: asyncio.TaskGroup,
        message_ids: tuple[str, ...],
        unit: Callable[[], Awaitable[object]],
    ) -> None:
        work.create_task(self._guarded(message_ids, unit))

    async def _guarded(
        self, message_ids: tuple[str, ...], unit: Callable[[], Awaitable[object]]
    ) -> None:
        """Run the handling of one message or batch; a defect in it costs nothing else."""
        try:
            awaitable = unit()
            del unit  # it holds the batch, whose bodies must not stay while its Machine runs
            await awaitable
        except Exception as error:  # noqa: BLE001 - the boundary of one message or batch
            self.observe(journal.InternalError(self.queue.name, message_ids, error))
            self.held_messages.drop(message_ids)
