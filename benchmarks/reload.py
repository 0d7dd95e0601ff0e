"""
A reload: how long until a saved file is in use, and does the event loop stall meanwhile?

    python benchmarks/reload.py [ROUTES ...]

A router of this process reads queues in memory, and is looked on by all that `run` has: overview,
metrics and page. One route is added to its file, and taken away again, some times over. Of the
time from saving to use 0.3 s are spent on purpose: so long a file must stay the same. The stall is
how much later than asked a task wakes that sleeps for a millisecond; beside it stands the same at
rest. Messages come all the while; their time is that from the queue to Fly.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from measuring import Column, Table, Target, full_or_quick, median, tell
from sample_routes import write_routes_file
from virtual import ForgetfulFly, MemoryQueue

from lambdo_router.config.load import LoadedRoutes, load_routes
from lambdo_router.config.watch import QUIET
from lambdo_router.core import journal
from lambdo_router.core.routing import Queue
from lambdo_router.engine.router import Limits, Router
from lambdo_router.service.observers import Observers
from lambdo_router.service.running import tables

ROUTES = full_or_quick((100, 1_000, 10_000), (100, 1_000))
RELOADS = full_or_quick(4, 2)
REST = full_or_quick(3.0, 0.5)
"""Seconds."""
LONGEST_STALL = 0.020
_STEP = 0.001
_MESSAGE_EVERY = 0.05
_FAST = Limits(launch_rate=1000.0, launch_burst=1000, grace=0.1)
_ROUTE = 15
"""The number of the route that the messages take: one without a window."""
_BODY = json.dumps({"Records": {"s3": {"bucket": {"name": f"bucket-{_ROUTE}"}}}})
_ADDED = "  - {name: added, queue: queue-0, match: {attributes: {kind: added}}, profile: small}\n"


@dataclass(slots=True)
class Stalls:
    """How late the event loop is, in seconds."""

    late: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _STEP
            await asyncio.sleep(_STEP)
            self.late.append(max(0.0, loop.time() - due))

    def take(self) -> list[float]:
        """Return what was seen since the last time."""
        seen, self.late = self.late, []
        return seen


@dataclass(slots=True)
class Traffic:
    """Messages that come all the while."""

    queue: MemoryQueue
    sent: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    """Of each message, from when it was to be sent to Fly's answer."""

    async def run(self) -> None:
        """Send until cancelled. A message that is sent late, for a stall, has waited for it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.sent[self.queue.put(_BODY)] = due
            due += _MESSAGE_EVERY
            await asyncio.sleep(due - loop.time())

    def observe(self, fact: journal.Fact) -> None:
        """Note what is launched."""
        if isinstance(fact, journal.Launched):
            now = asyncio.get_running_loop().time()
            self.seconds += [now - self.sent.pop(it) for it in fact.batch.message_ids]


@dataclass(slots=True)
class Swaps:
    """Tells when a new table is in use."""

    swapped: asyncio.Event = field(default_factory=asyncio.Event)

    def observe(self, fact: journal.Fact) -> None:
        """Note that a table was swapped; a refused file would be a fault of the benchmark."""
        if isinstance(fact, journal.TableActivated) and fact.previous is not None:
            self.swapped.set()
        if isinstance(fact, journal.ReloadFailed):
            raise SystemExit("\n".join(fact.problems))


@dataclass(frozen=True, slots=True)
class Result:
    """What reloads of one file took, in seconds."""

    routes: int
    kilobytes: float
    in_use: float
    load: float
    """CPU seconds of one load, by itself."""
    rest: float
    """The longest stall while nothing happens."""
    stalls: list[float]
    """The longest of each reload."""
    messages: list[float]

    def row(self) -> tuple[object, ...]:
        """As it stands in the table."""
        in_milliseconds = (self.rest, median(self.stalls), max(self.stalls))
        waits = (median(self.messages), max(self.messages))
        return (
            *(self.routes, self.kilobytes, self.load, self.in_use),
            *(it * 1e3 for it in (*in_milliseconds, *waits)),
        )


@asynccontextmanager
async def routed(file: Path) -> AsyncIterator[tuple[Traffic, Swaps]]:
    """Return a router on this file, as `run` puts it together, with queues and a Fly in memory."""
    load = partial(load_routes, file, {}, missing="warning")
    first: LoadedRoutes = load()
    stop, reload = asyncio.Event(), asyncio.Event()
    queues = {name: MemoryQueue(name) for name in first.table.queues}
    where = queues[f"queue-{_ROUTE % max(1, len(first.table.routes) // 100)}"]
    traffic, swaps = Traffic(where), Swaps()

    async def opened(queue: Queue) -> MemoryQueue:
        return queues[queue.name]

    also = journal.Dispatch(traffic.observe, swaps.observe)
    observers = Observers(first, reload, also)
    router = Router(first.table, opened, ForgetfulFly(), observers.observe, limits=_FAST)
    observers.watch(router.snapshot)
    changes = tables(load, first, reload, observers.observe, observers.reloading.nothing_new)
    running = asyncio.create_task(router.run(stop, changes))
    try:
        yield traffic, swaps
    finally:
        stop.set()
        await running


async def measure(routes: int, folder: Path) -> Result:
    """Reload a file with this many routes some times over."""
    file = write_routes_file(folder, routes)
    plain = file.read_text("utf-8")
    began = time.process_time()
    load_routes(file, {}, missing="warning")
    load = time.process_time() - began
    in_use: list[float] = []
    longest: list[float] = []
    async with routed(file) as (traffic, swaps):
        stalls = Stalls()
        busy = [asyncio.create_task(it.run()) for it in (stalls, traffic)]
        await asyncio.sleep(1.0)
        stalls.take()
        await asyncio.sleep(REST)
        rest = max(stalls.take())
        traffic.seconds.clear()
        for number in range(RELOADS):
            swaps.swapped.clear()
            save(file, plain if number % 2 else plain + _ADDED)
            saved = time.perf_counter()
            await swaps.swapped.wait()
            in_use.append(time.perf_counter() - saved)
            await asyncio.sleep(0.5)  # the old table is let go of, the loop may be late again
            longest.append(max(stalls.take()))
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        waits = traffic.seconds
    size = len(plain.encode()) / 1024
    return Result(routes, size, median(in_use), load, rest, longest, waits)


def save(file: Path, text: str) -> None:
    """As an editor does: a new file, renamed."""
    new = file.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(file)


def main(sizes: list[int]) -> int:
    """Print the table."""
    results = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            results.append(asyncio.run(measure(size, Path(folder))))
    columns = (
        Column("routes", ","),
        Column("file KiB", ",.0f"),
        Column("load, CPU s", ".2f"),
        Column("saved -> in use s", ".2f"),
        Column("stall at rest ms", ".1f"),
        Column("in a reload ms", ".1f"),
        Column("longest ms", ".1f"),
        Column("message p50 ms", ".1f"),
        Column("longest message ms", ".1f"),
    )
    targets = [
        Target(
            f"{it.routes:,} routes: the loop stalls for {median(it.stalls) * 1e3:.0f} ms in a "
            f"reload, at most {LONGEST_STALL * 1e3:.0f}",
            median(it.stalls) <= LONGEST_STALL,
        )
        for it in results
    ]
    note = (
        f"{RELOADS} reloads each. Stalls are of the event loop: that of a reload is the median of "
        f"the longest in each. {QUIET:g} s of the time to use is the wait for a file to be still."
    )
    rows = [it.row() for it in results]
    return tell(Table("reload", "Reload of a routes file", columns, rows, note, targets))


if __name__ == "__main__":
    raise SystemExit(main([int(it) for it in sys.argv[1:]] or list(ROUTES)))
