"""One look into a queue, from the connection to what is said of it at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from lambdo_router.adapters.sqs import SqsConnector, SqsQueue
from lambdo_router.cli.output.printing import print_warning
from lambdo_router.cli.rejected.queue_browser import LEASE, MOST_HELD, QueueBrowser, look_into
from lambdo_router.cli.rejected.queues import Known
from lambdo_router.cli.rejected.text import LookedAt, by_reason
from lambdo_router.config.diagnostics import counted, escape
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.rejection import Filters, QueueFacts, Rejected, read_facts, read_rejected
from lambdo_router.core.routing import Queue
from lambdo_router.service.running import EndedAtOnce, signals

_T = TypeVar("_T")
WAIT = 1
"""Seconds that a poll waits. With any wait SQS asks all its servers, and so finds what is there."""
_MINUTES = f"{LEASE / 60:.0f} minutes"


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Do it in an event loop; a second signal ends the process at once."""
    try:
        return asyncio.run(work)
    except EndedAtOnce as ended:
        raise SystemExit(ended.exit_code) from None


@dataclass(frozen=True, slots=True)
class Session:
    """A queue that was found, and a way to others."""

    queue: SqsQueue
    facts: QueueFacts
    stop: asyncio.Event
    """Set by the first signal."""
    connector: SqsConnector


@asynccontextmanager
async def session(known: Known, looked_at: Queue) -> AsyncIterator[Session]:
    """Connect to a queue, and warn of what a look does to it. Raises QueueError."""
    stop = asyncio.Event()
    connector = SqsConnector(known.endpoint.settings(WAIT))
    with signals(stop, stop):
        try:
            queue = await _open(known, looked_at, connector)
            facts = await _facts(queue)
            if known.reads(looked_at):
                print_warning(
                    f"routes read queue `{queue.name}`: while this looks at its messages, the "
                    "router does not get them"
                )
            if facts.redrive_to is not None:
                after = counted(facts.most_receives or 10, "receive")
                print_warning(
                    f"queue `{queue.name}` has a redrive policy, for which a look counts as a "
                    f"receive: after {after} SQS moves a message to {facts.redrive_to}"
                )
            yield Session(queue, facts, stop, connector)
        finally:
            await connector.aclose()


@dataclass(frozen=True, slots=True)
class BrowseResult:
    """What a look has found."""

    looked_at: LookedAt
    messages: tuple[Rejected, ...]
    """Those that were asked for."""
    look: QueueBrowser
    """It is over."""
    interrupted: bool

    def remark(self) -> None:
        """Say how much of the queue this is, as far as that can be known."""
        looked_at, name = self.looked_at, escape(self.looked_at.name)
        found, taken = len(self.messages), counted(looked_at.taken, "message")
        of = "" if found == looked_at.taken else f"{found} of "
        reasons = f": {by_reason(self.messages)}" if self.messages else ""
        tell(f"{of}{taken} looked at on queue `{name}`{reasons}")
        tell(_counted_by_sqs(looked_at.facts))
        if self.interrupted:
            tell("interrupted: there may be more")
        elif self.look.full:
            tell(f"no more than {MOST_HELD} messages are looked at: there may be more")
        elif not looked_at.complete:
            tell("there may be more: that is as many as were asked for")
        most = looked_at.facts.most_receives
        spent = sum(1 for each in self.messages if most and each.message.receive_count >= most)
        if spent:
            tell(f"{counted(spent, 'message')} received {most} times: the next look moves them")
        if self.look.queue.fifo:
            tell("of each message group only the first messages can be seen at one time")


async def look_for(
    known: Known, looked_at: Queue, filters: Filters, limit: int, wall: Callable[[], float]
) -> BrowseResult:
    """Look until `limit` messages are found that meet the filters. Raises QueueError."""
    found: list[Rejected] = []
    async with session(known, looked_at) as at:
        async with look_into(at.queue, at.stop) as look:
            while len(found) < limit and (messages := await look.receive()):
                now = wall()
                for message in messages:
                    rejected = read_rejected(message, known.sources)
                    if filters.meets(rejected, now):
                        found.append(rejected)
        warn_of_hidden(look)
        looked = LookedAt(at.queue.name, at.queue.url, at.facts, look.taken, look.ended)
        return BrowseResult(looked, tuple(found[:limit]), look, at.stop.is_set())


def tell(text: str) -> None:
    """A remark on stderr; what senders wrote may be in it."""
    click.echo(escape(text), err=True)


def warn_of_hidden(look: QueueBrowser) -> None:
    """Say which messages stay hidden for a while, since nobody can make them visible."""
    if look.stuck:
        print_warning(
            f"{counted(look.stuck, 'message')} could not be given back: hidden for up to {_MINUTES}"
        )
    if look.cut and not look.queue.fifo:
        print_warning(
            f"{counted(look.cut, 'answer')} of SQS got lost: up to {10 * look.cut} messages may be "
            f"hidden for {_MINUTES}, and were not seen"
        )


async def _open(known: Known, queue: Queue, connector: SqsConnector) -> SqsQueue:
    try:
        return await connector.open(known.endpoint.address(queue))
    except QueueRefused as error:
        raise QueueRefused(f"{error}{known.meant(queue)}", code=error.code) from error


async def _facts(queue: SqsQueue) -> QueueFacts:
    """What may be known of the queue: not to be allowed to ask is no reason to give up."""
    try:
        return read_facts(await queue.attributes())
    except QueueRefused:
        return QueueFacts()


def _counted_by_sqs(facts: QueueFacts) -> str:
    if facts.visible is None:
        return "SQS does not say how many messages there are"
    hidden = f", {facts.in_flight} held by others" if facts.in_flight else ""
    delayed = f", {facts.delayed} delayed" if facts.delayed else ""
    return f"before that SQS counted about {facts.visible} there{hidden}{delayed}"
