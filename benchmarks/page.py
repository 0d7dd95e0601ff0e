"""
What the page costs: the router's throughput while somebody has it open, bytes, and time to paint.

    python benchmarks/page.py [ROUNDS]

Throughput is measured as in metrics.py, whose servers are used: rounds without and with the page
take turns. With it, the overview and the page observe, and a reader in a process of its own has
`/events` open. The best of each are compared. As a machine that does other things too is not as
fast at every time, it is also measured what part of a round is spent in the overview, which is
there without a page too, and in the page. Limit for both: 5 % of the CPU time each, or the exit
code is 1. Time to first paint needs a Chromium.
"""

import asyncio
import shutil
import statistics
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from metrics import (
    FAST,
    MESSAGES,
    ROUTES,
    Servers,
    Taken,
    compared,
    facts_of,
    profile,
)
from virtual import Countdown

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.admin import admin_app
from lambdo_router.admin.page import Page
from lambdo_router.admin.page.live import LivePage, Rendered, event
from lambdo_router.admin.page.templates import assets
from lambdo_router.admin.serving import serve
from lambdo_router.core import journal
from lambdo_router.core.routing import Queue, Route, RoutingTable
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.router import Router
from lambdo_router.local.names import LOCAL_KEYS
from lambdo_router.service.running import no_changes
from lambdo_router.telemetry.status import Overview

LIMIT = 0.05
NOTHING = Snapshot("", (), ())
PAINTS = 9
_PAINTED = """() => new Promise((painted) => {
  new PerformanceObserver((list) => {
    for (const it of list.getEntriesByName("first-contentful-paint")) painted(it.startTime);
  }).observe({type: "paint", buffered: true});
})"""


@dataclass(frozen=True, slots=True)
class Round(Taken):
    overview: float
    """Of the CPU seconds, those that were spent in it."""
    page: float


class TimedPage(LivePage):
    looking: "Looking"

    def now(self, at: float) -> Rendered:
        began = time.thread_time()
        last, now = next(reversed(self._kept.values()), None), super().now(at)
        if now is not last:
            event(last, now)  # as the reader's stream does once more
        self.looking.spent += time.thread_time() - began
        return now


class Looking:
    """Overview and page of a router, as `run` has them, and the CPU seconds that they take."""

    def __init__(self) -> None:
        self.spent = self.of_overview = 0.0
        self.router: Router | None = None
        self.overview = Overview(time.time)
        self.page = Page(
            lambda: self.overview.status(self.router.snapshot() if self.router else NOTHING),
            lambda: self.overview.table,
        )
        self.page.live = TimedPage(self.page.status)
        self.page.live.looking = self

    def observe(self, fact: journal.Fact) -> None:
        began = time.thread_time()
        self.overview.observe(fact)
        between = time.thread_time()
        self.page.observe(fact)
        self.of_overview += between - began
        self.spent += time.thread_time() - between

    @asynccontextmanager
    async def read(self, reports: FailureReports) -> AsyncIterator[None]:
        """Somebody has the page open."""
        async with serve(admin_app(reports, more=self.page.routes())) as url:
            reader = await asyncio.create_subprocess_exec(sys.executable, __file__, "--read", url)
            try:
                yield
            finally:
                reader.terminate()
                await reader.wait()


async def one_round(servers: Servers, with_page: bool) -> Round:  # noqa: FBT001 - a side
    """Return what a router takes for a round of messages."""
    await servers.send_a_round()
    table = RoutingTable(
        "benchmark", {"q": servers.queue}, (Route("orders", ("q",), profile("worker")),)
    )
    countdown, stop = Countdown(MESSAGES, asyncio.Event()), asyncio.Event()
    settings = SqsSettings(servers.sqs_url, "us-east-1", wait_seconds=1, keys=LOCAL_KEYS)
    connector, looking = SqsConnector(settings), Looking()
    observers = (looking.observe, countdown.observe) if with_page else (countdown.observe,)
    try:
        async with (
            FlyMachines(
                token=servers.token, base_url=servers.fly_url, rate=1000.0, burst=1000
            ) as fly,
            looking.read(FailureReports(fly)) if with_page else nullcontext(),
        ):
            await asyncio.sleep(0.7)  # a reader has started, and has the page before its eyes
            observe = journal.Dispatch(*observers)
            router = Router(table, connector.open, fly, observe, limits=FAST)
            looking.router = router
            cpu, began = time.process_time(), time.perf_counter()
            running = asyncio.create_task(router.run(stop, no_changes()))
            await countdown.done.wait()
            spent, seconds = time.process_time() - cpu, time.perf_counter() - began
            stop.set()
            await running
    finally:
        await connector.aclose()
    return Round(spent, seconds, looking.of_overview, looking.spent)


async def throughput(rounds: int) -> tuple[float, float]:
    """Print both, and return what parts of the CPU time go into the overview and the page."""
    taken = await compared(rounds, one_round, ("without it", "with the page open"))
    return (
        statistics.median(it.overview / it.cpu for it in taken),
        statistics.median(it.page / it.cpu for it in taken),
    )


def read(url: str) -> None:
    """Read the events for as long as there are any."""
    with urllib.request.urlopen(f"{url}/events") as events:  # noqa: S310 - of the process that asks
        while events.readline():
            pass


# Bytes and times


def looked_at(routes: int) -> tuple[Looking, list[journal.Fact]]:
    """Return a router with this many routes, each of which has had a batch."""
    looking = Looking()
    made = tuple(
        Route(f"route-{at}", ("q",), profile(f"profile-{at % 20}")) for at in range(routes)
    )
    table = RoutingTable("benchmark", {"q": Queue("q")}, made)
    looking.observe(journal.TableActivated(table, None))
    facts = [fact for at, route in enumerate(made) for fact in facts_of(route, at, 3)]
    for fact in facts:
        looking.observe(fact)
    return looking, facts


async def of_size(routes: int) -> None:
    looking, facts = looked_at(routes)
    live = LivePage(looking.page.status)
    began = time.process_time()
    first = live.now(0.0)
    whole = time.process_time() - began
    for fact in facts[:50]:
        looking.observe(fact)
    began = time.process_time()
    second = live.now(1.0)
    changed = event(first, second)
    again = time.process_time() - began
    async with serve(admin_app(FailureReports(None), more=looking.page.routes())) as url:  # type: ignore[arg-type]
        html = await asyncio.to_thread(_fetch, url)
        paint = await asyncio.to_thread(first_paint, url)
    print(
        f"{f'{routes:,} routes':14}{len(html) / 1000:6.0f} kB, rendered in{whole * 1000:4.0f} ms; "
        f"a change {len(changed) / 1000:4.1f} kB, in{again * 1000:5.1f} ms{paint}"
    )


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - of this process
        body: bytes = answer.read()
    return body


def first_paint(url: str) -> str:
    """Return the median of some loads without a cache; nothing without a Chromium."""
    path = shutil.which("chromium")
    if path is None:
        return ""
    from playwright.sync_api import sync_playwright

    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    times = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        for _ in range(PAINTS):
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(url)
            times.append(page.evaluate(_PAINTED))
            page.context.close()
        browser.close()
    return f", first paint after {statistics.median(times):.0f} ms (least {min(times):.0f})"


def main(rounds: int) -> int:
    sizes = ", ".join(
        f"{name.partition('.')[0]}{name[name.rindex('.') :]} {len(content) / 1000:.1f} kB"
        for name, (content, _) in assets().by_name.items()
    )
    print(f"beside the page: {sizes}")
    for routes in (5, 100, ROUTES):
        asyncio.run(of_size(routes))
    print()
    overview, page = asyncio.run(throughput(rounds))
    print(f"{'spent in the overview':32}{overview:14.1%}   limit {LIMIT:.0%}")
    print(f"{'spent in the page':32}{page:14.1%}   limit {LIMIT:.0%}")
    return max(overview, page) > LIMIT


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2])
    else:
        raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else 5))
