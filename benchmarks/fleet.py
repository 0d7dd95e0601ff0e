"""
A thousand Machines at once, for ten minutes of virtual time: calls to Fly, and memory.

    python benchmarks/fleet.py [MACHINES [KILOBYTES]]

The real router on a queue and a Fly in memory that keep no bodies, so that what grows is the
router's own: each Machine holds one event of KILOBYTES (default 10).
"""

import asyncio
import gc
import os
import sys
from collections import Counter

from measuring import Column, Table, Target, full_or_quick, resident_of, tell
from virtual import (
    Countdown,
    ForgetfulFly,
    LightQueue,
    on_virtual_time,
    profile,
    route,
    routing,
    table,
)

from lambdo_router.core.routing import Queue
from lambdo_router.engine.router import Limits

MACHINES = full_or_quick(1000, 100)
KILOBYTES = 10
RUNS_FOR = 600.0
MOST_LISTS = 1
"""In any second: what Fly takes of an app."""
_FAST = Limits(launch_rate=100.0, launch_burst=100)
_AT_ONCE = 50


async def measure(machines: int, kilobytes: int) -> Table:
    """Launch them all, look at the middle of their time, and wait for their end."""
    fly, queue = ForgetfulFly(runs_for=RUNS_FOR), LightQueue("q", kilobytes)
    careful = route(profile=profile(acknowledge="success", batch_size=1))
    made = table(careful, queues=(Queue("q", url="q", max_waiting=100),))
    countdown = Countdown(machines, asyncio.Event())
    async with routing(made, fly, {"q": queue}, countdown.observe, _FAST) as router:
        await asyncio.sleep(1)
        before = _resident()
        for sent in range(0, machines, _AT_ONCE):
            for _ in range(min(_AT_ONCE, machines - sent)):
                queue.inner.put("{}")
            await asyncio.sleep(1)
        await asyncio.sleep(RUNS_FOR / 2)
        gc.collect()
        growth, level = _resident() - before, router.snapshot().queues[0]
        await countdown.done.wait()
    lists = Counter(int(at) for at, call in fly.calls if call == "list")
    rows = [
        ("Machines", len(fly.flown)),
        ("messages held while they ran", level.held),
        *((f"calls to Fly: {call}", count) for call, count in sorted(fly.counts.items())),
        ("lists in any second, at most", max(lists.values())),
        ("calls in any second, at most", max(Counter(int(at) for at, _ in fly.calls).values())),
        ("kB of memory for each", growth * 1e3 / machines),
    ]
    target = Target(
        f"{max(lists.values())} lists in a second, at most {MOST_LISTS}",
        max(lists.values()) <= MOST_LISTS,
    )
    title = f"{machines:,} Machines at once, each with an event of {kilobytes} kB (virtual time)"
    columns = (Column("what"), Column("count", ",.0f"))
    return Table("fleet", title, columns, rows, targets=[target])


def _resident() -> float:
    return resident_of(os.getpid())["VmRSS"]


if __name__ == "__main__":
    given = [int(it) for it in sys.argv[1:]]
    machines, kilobytes = given + [MACHINES, KILOBYTES][len(given) :]
    raise SystemExit(tell(on_virtual_time(measure(machines, kilobytes))))
