"""
The router: a consumer per queue, the current routing table, and the stop.

Tables come from an async iterator, so that nothing here knows of files. A new table is one
assignment: new queues are opened, removed ones drain, and the others notice nothing.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from lambdo_router.core import journal
from lambdo_router.core.admission import QueueRoutes
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueRefused
from lambdo_router.core.ports import Fly, MessageQueue, QueueOpener
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.core.snapshot import QueueSnapshot, QueueState, Snapshot
from lambdo_router.core.throttle import TokenBucket
from lambdo_router.core.trace_context import TraceContext
from lambdo_router.engine.consumer import Consumer
from lambdo_router.engine.context import Context
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.fifo_consumer import FifoConsumer
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.launcher import Launcher
from lambdo_router.engine.machine_tracker import MachineTracker
from lambdo_router.engine.permits import LaunchPermits
from lambdo_router.engine.previous_launches import PreviousLaunches
from lambdo_router.engine.queue_reader import QueueReader

_Address = tuple[str, tuple[str | None, ...]]
"""What identifies a queue: its name, its location, and the role it is reached with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast to launch, and how long a stop may take."""

    launch_rate: float = 1.0
    """Creates per second and app that Fly accepts."""
    launch_burst: int = 3
    grace: float = 25.0
    """Seconds from the stop signal until the router abandons what is still under way."""
    machines_per_app: int | None = None
    """How many of the router's Machines may run in an app at once; None: any number."""


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None]
    consumer: QueueReader | None = None
    stopping: bool = False

    def stop(self) -> None:
        self.stopping = True
        if self.consumer is not None:
            self.consumer.stop()
        else:
            self.task.cancel()  # it has no queue yet, and so nothing to release


class Router:
    """Runs one routing table at a time until told to stop."""

    def __init__(  # noqa: PLR0913 - four parts, and what tests and observers replace
        self,
        table: RoutingTable,
        open_queue: QueueOpener,
        fly: Fly,
        observe: journal.Observer,
        *,
        limits: Limits = Limits(),
        reports: FailureReports | None = None,
        trace_of: Callable[[str], TraceContext | None] = lambda _: None,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Create a router that does not run yet.

        `reports` receives what Machines report to the router's HTTP server; without it only exit
        codes count. `trace_of` returns the trace that a batch's Machine continues, by batch ID.
        `clock` returns unix seconds.
        """
        self._table = table
        self._open_queue = open_queue
        self._observe = observe
        self._limits = limits
        self._jitter = jitter
        self._running: dict[_Address, _Running] = {}
        self._reject_queues: dict[_Address, MessageQueue] = {}
        self._opening: dict[_Address, asyncio.Future[MessageQueue]] = {}
        self._routes: dict[_Address, QueueRoutes] = {}
        """Of the current table, as far as they were asked for."""
        self._abandoned = 0
        self._clock = clock
        self._tracker = MachineTracker(fly, observe, jitter, clock)
        self._permits = LaunchPermits(
            self._tracker, observe, jitter, self._new_bucket, limits.machines_per_app
        )
        self._previous = PreviousLaunches(fly, clock)
        reports = reports or FailureReports(fly)
        self._context = Context(
            permits=self._permits,
            launcher=Launcher(fly, self._permits, reports, observe, jitter, trace_of),
            tracker=self._tracker,
            previous=self._previous,
            table=lambda: self._table,
            observe=observe,
        )

    @property
    def held(self) -> int:
        """The number of messages received and not settled yet, of all queues."""
        return sum(r.consumer.held for r in self._running.values() if r.consumer is not None)

    def snapshot(self) -> Snapshot:
        """Return a snapshot of held messages and running Machines."""
        queues = []
        for (name, *_), running in sorted(self._running.items(), key=lambda item: item[0][0]):
            if running.consumer is None:
                queues.append(QueueSnapshot(name, "stopping" if running.stopping else "opening"))
            else:
                state: QueueState = "stopping" if running.stopping else "reading"
                queues.append(running.consumer.snapshot(state))
        machines = tuple(self._tracker.snapshot())
        failing = tuple(self._permits.failing())
        return Snapshot(self._table.generation, tuple(queues), machines, failing)

    async def run(self, stop: asyncio.Event, tables: AsyncIterator[RoutingTable]) -> None:
        """
        Route until `stop` is set, applying each new table as it arrives.

        Return when everything under way has ended, or when the grace is over; the leases of what is
        held then expire by themselves. Cancelling ends at once.
        """
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as tasks:
                self._observe(journal.TableActivated(self._table, None))
                self._reconcile(tasks)
                watching = tasks.create_task(self._tracker.run())
                following = tasks.create_task(self._follow(tables, tasks))
                await stop.wait()
                self._observe(journal.Stopping(self._limits.grace))
                patience.reschedule(loop.time() + self._limits.grace)
                following.cancel()
                consuming = [running.task for running in self._running.values()]
                for running in tuple(self._running.values()):
                    running.stop()
                # Machines are tracked for as long as a consumer may settle by their end.
                await asyncio.gather(*consuming, return_exceptions=True)
                watching.cancel()
        self._observe(journal.Stopped(self._abandoned))

    async def _follow(self, tables: AsyncIterator[RoutingTable], tasks: asyncio.TaskGroup) -> None:
        async for table in tables:
            previous = self._table.generation
            self._table = table
            if table.generation != previous:
                self._observe(journal.TableActivated(table, previous))
                await asyncio.sleep(0)  # with thousands of routes, give messages a turn
                self._reconcile(tasks)

    def _reconcile(self, tasks: asyncio.TaskGroup) -> None:
        """Open new queues and drain those that are gone."""
        self._routes.clear()
        profiles = self._table.profiles
        self._tracker.oversee(self._table.apps)
        self._previous.serve(self._table.apps)
        self._tracker.limit(profiles)
        self._permits.keep_only(self._table)
        known = set(map(_address, self._table.queues.values()))
        self._reject_queues = {at: each for at, each in self._reject_queues.items() if at in known}
        wanted = {_address(queue): queue for queue in self._table.sources()}
        for address, running in tuple(self._running.items()):
            if address not in wanted and not running.stopping:
                running.stop()
        for address, queue in wanted.items():
            if address not in self._running or self._running[address].stopping:
                self._start(address, queue, tasks)

    def _start(self, address: _Address, queue: Queue, tasks: asyncio.TaskGroup) -> None:
        task = tasks.create_task(self._consume(address, queue))
        self._running[address] = _Running(task)

    async def _consume(self, address: _Address, queue: Queue) -> None:
        """Open one queue, however long that takes, and read it until told to stop."""
        me = self._running[address]
        try:
            opened = await self._open_at_last(queue)
            held_messages = HeldMessages(
                opened, self._reject_queue, self._observe, self._jitter, self._clock
            )
            kind = FifoConsumer if opened.fifo else Consumer
            current = partial(self._current, address)
            me.consumer = kind(opened, held_messages, self._context, current)
            await me.consumer.run()
        finally:
            self._abandoned += me.consumer.held if me.consumer is not None else 0
            if self._running.get(address) is me:  # else the queue has come back meanwhile
                del self._running[address]

    def _current(self, address: _Address) -> QueueRoutes | None:
        """Return the queue at this address in the current table, if a route still reads it."""
        table, name = self._table, address[0]
        known = self._routes.get(address)
        if known is not None and known.table is table:
            return known
        queue = table.queues.get(name)
        if queue is None or not table.routes_of(name) or _address(queue) != address:
            return None
        found = self._routes[address] = QueueRoutes(table, queue)
        return found

    async def _open_at_last(self, queue: Queue) -> MessageQueue:
        failures = 0
        while True:
            try:
                return await self._open_queue(queue)
            except QueueError as error:
                failures += 1
                first = 15.0 if isinstance(error, QueueRefused) else 1.0
                pause = backoff(failures, first=first, longest=60.0, jitter=self._jitter())
                self._observe(journal.QueueFailed(queue.name, "open", error, pause))
                await asyncio.sleep(pause)

    async def _reject_queue(self, name: str) -> MessageQueue:
        queue = self._table.queues.get(name)
        if queue is None:
            raise QueueRefused(f"the routes file no longer has a queue `{name}`")
        address = _address(queue)
        if address not in self._reject_queues:
            opening = self._opening.get(address)
            if opening is None:
                opening = self._opening[address] = asyncio.ensure_future(self._open_queue(queue))
                opening.add_done_callback(lambda _: self._opening.pop(address))
            # Shared: a thousand rejects need one look-up, even if SQS is slow to answer.
            self._reject_queues[address] = await asyncio.shield(opening)
        return self._reject_queues[address]

    def _new_bucket(self) -> TokenBucket:
        return TokenBucket(self._limits.launch_rate, self._limits.launch_burst)


def _address(queue: Queue) -> _Address:
    where = (queue.url, queue.lookup, queue.region, queue.endpoint)
    return (queue.name, (*where, queue.role_arn))
