"""One replay, from the question whether it is meant to what is said of it at the end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from lambdo_router.cli.output.layout import columns, say
from lambdo_router.cli.output.printing import print_error
from lambdo_router.cli.rejected.queue_browser import look_into
from lambdo_router.cli.rejected.queues import Known, Targets
from lambdo_router.cli.rejected.replay import Planned, Replay, Tally
from lambdo_router.cli.rejected.session import Session, session, tell, warn_of_hidden
from lambdo_router.cli.rejected.terminal import ask, progress_bar
from lambdo_router.config.diagnostics import counted, escape
from lambdo_router.core.errors import QueueError
from lambdo_router.core.message import Message
from lambdo_router.core.rejection import Filters, Rejected, ReplayRate, read_rejected
from lambdo_router.core.routing import Queue


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What `rejected replay` was asked for."""

    known: Known
    looked_at: Queue
    to: Queue | None
    filters: Filters
    most: int | None
    """Messages to send in all."""
    rate: float | None
    """Messages to send in a second."""
    wall: Callable[[], float]
    """Unix seconds."""


async def replay(errand: ReplayRequest, *, dry_run: bool, sure: bool) -> Tally:
    """
    Replay, or only say what would be sent; what became of the messages is said at the end.

    Unless `sure`, somebody is asked before anything is sent. Raises QueueError if the queue, or the
    one that all is to be sent to, cannot be opened.
    """
    async with session(errand.known, errand.looked_at) as at:
        targets = Targets(errand.known, at.connector.open, at.queue, errand.to)
        await targets.check()
        started = errand.wall()

        def wanted(message: Message) -> Rejected | None:
            rejected = read_rejected(message, errand.known.sources)
            return rejected if errand.filters.meets(rejected, started) else None

        pace = ReplayRate(errand.rate)
        async with look_into(at.queue, at.stop) as look:
            going = Replay(look, wanted, targets.target, started, errand.most, pace)
            try:
                if dry_run:
                    await going.rehearse(_would_send)
                else:
                    await _send(going, at, sure=sure)
            except QueueError as error:
                going.tally.stopped = str(error)
            except asyncio.CancelledError:
                _say_what_was_cut(going.tally)
                raise
            left = look.held
        _sum_up(going.tally, at.queue.name, left, dry_run=dry_run)
        warn_of_hidden(look)
        return going.tally


async def _send(going: Replay, at: Session, *, sure: bool) -> None:
    with ExitStack() as bars:

        async def agree(plan: Sequence[Planned]) -> bool:
            more = at.queue.fifo or not going.look.ended
            _say_what_is_planned(plan, going.tally, at.queue.name)
            question = "Send them, and those that follow?" if more else "Send them?"
            if not sure and not await ask(question, at.stop):
                return False
            going.progress = bars.enter_context(progress_bar("replayed"))
            return True

        await going.run(agree)


def _would_send(planned: Planned) -> None:
    rejected, group = planned.rejected, planned.outgoing.group
    in_group = f", group {group}" if group is not None else ""
    say(f"would send {rejected.message.id} ({rejected.reason}) to {planned.to.name}{in_group}")


def _say_what_is_planned(plan: Sequence[Planned], tally: Tally, queue: str) -> None:
    count = Counter((planned.to.name, planned.to.url) for planned in plan)
    tell(f"{counted(len(plan), 'message')} of queue `{queue}` to be sent:")
    for line in columns([(str(n), f"to {name}", url) for (name, url), n in count.items()], "  "):
        tell(line)
    for why, number in tally.skipped.items():
        tell(f"{counted(number, 'message')} not to be sent: {why}")


def _say_what_was_cut(tally: Tally) -> None:
    if tally.under_way is not None:
        print_error(
            f"message {escape(tally.under_way)} was being sent and deleted: it is on one of the "
            "queues, or on both"
        )


def _sum_up(tally: Tally, queue: str, left: int, *, dry_run: bool) -> None:
    done = "would be replayed" if dry_run else "replayed"
    where = ", ".join(f"{number} to {name}" for name, number in tally.replayed.items())
    say(f"{counted(tally.replayed.total(), 'message')} {done}{': ' * bool(where)}{where}")
    for why, number in tally.skipped.items():
        say(f"{counted(number, 'message')} skipped: {why}")
    for message_id, why in tally.failed:
        say(f"failed: message {message_id}: {why}")
    for message_id, why in tally.both:
        say(f"on both queues: message {message_id}: {why}")
    if tally.declined:
        tell("nothing was sent, and everything is back on the queue")
    if tally.again:
        tell(f"{counted(tally.again, 'message')} came to queue `{queue}` meanwhile, and stayed")
    if tally.others:
        tell(f"{counted(tally.others, 'message')} of queue `{queue}` not asked for")
    if tally.stopped:
        given = f"; given back: {counted(left, 'message')}" if left else ""
        print_error(f"{escape(tally.stopped)}{given}")
