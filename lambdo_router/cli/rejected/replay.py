"""
Send messages back to the queues that they came from: send first, then delete, one by one.

A replay runs in rounds. Each receives and holds messages until there are no more, or as many as may
be held at once, and then sends and deletes them one by one. So no message is lost, at most one is
on both queues at any moment, and the question can say in advance what will be sent. A FIFO queue
shows the next messages of a group only after the ones before are gone, and so takes more rounds.
Messages that arrived after the replay began are left alone: one that is rejected again would go
round forever. The first message that is, or may be, on both queues ends the replay.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol

import click

from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.adapters.sqs.failures import may_have_happened
from lambdo_router.cli.output.layout import columns, say
from lambdo_router.cli.output.printing import print_error
from lambdo_router.cli.rejected.queue_browser import QueueBrowser, until_answered
from lambdo_router.cli.rejected.session import (
    KnownQueues,
    Session,
    ask,
    open_session,
    progress_bar,
    remark,
)
from lambdo_router.config.diagnostics import counted, escape
from lambdo_router.core.errors import QueueError, QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.rejection import Filters, NoTarget, Rejected, read_rejected, target_of
from lambdo_router.core.routing import Queue
from lambdo_router.core.throttle import TokenBucket
from lambdo_router.engine.waiting import set_within

MOST_PLANNED: Final = 1_000
"""Messages of one round."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Approximate size of the messages of one round."""
LEAST_MARGIN: Final = 30.0
"""Seconds of a lease that must be left: it is renewed during the send, but not the delete."""
MOST_FAILURES: Final = 5
"""Messages that may fail in a row before the replay ends."""


class Target(MessageQueue, Protocol):
    """A queue that messages are sent to."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PlannedSend:
    """A message and the queue to send it to."""

    rejected: Rejected
    to: Target

    @property
    def size(self) -> int:
        """The bytes that it takes in memory, approximately."""
        attributes = self.rejected.message.attributes.values()
        return len(self.rejected.message.body) + sum(len(each.value) for each in attributes)


@dataclass(slots=True)
class ReplayTally:
    """What happened to the messages that the filters select."""

    replayed: Counter[str] = field(default_factory=Counter)
    """How many were sent (or would be), by queue."""
    skipped: Counter[str] = field(default_factory=Counter)
    """How many were not tried, by reason."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Message ID and reason of each that was tried and stayed where it was."""
    both: list[tuple[str, str]] = field(default_factory=list)
    """The same for each that is on both queues, or may be."""
    others: int = 0
    """Messages that the filters do not select."""
    arrived: int = 0
    """Messages that arrived during the replay."""
    declined: bool = False
    """Whether the answer to the question was no."""
    stopped: str = ""
    """Why the replay ended early."""
    under_way: str | None = None
    """The message that is being sent and deleted: after a cancellation it may be on both queues."""

    @property
    def complete(self) -> bool:
        """Whether every selected message was sent back."""
        return not (self.skipped or self.failed or self.both or self.stopped or self.declined)


@dataclass(slots=True)
class Replay:
    """The rounds of one replay."""

    browser: QueueBrowser
    select: Callable[[Message], Awaitable[PlannedSend | NoTarget | None]]
    """Returns where to send a message; None if it was not asked for."""
    started: float
    """Unix seconds: messages that arrive later are left alone."""
    most: int | None = None
    """Messages to send in all."""
    rate: TokenBucket | None = None
    progress: Callable[[int, int], None] = lambda _done, _planned: None
    """Called with the number of messages done and planned."""
    tally: ReplayTally = field(default_factory=ReplayTally)
    _planned: int = 0
    _done: int = 0
    _failed_in_a_row: int = 0
    _blocked: set[tuple[str, str]] = field(default_factory=set)
    """FIFO queues and groups with a message that could not be sent: nothing may overtake it."""

    async def run(self, agree: Callable[[Sequence[PlannedSend]], Awaitable[bool]]) -> None:
        """
        Replay round by round if `agree` agrees to the plan of the first.

        Raises QueueError if the queue cannot be read; the tally has what was done before.
        """
        plan = await self._plan()
        stop = self.browser.stop
        if plan and not stop.is_set() and not await agree(plan):
            self.tally.declined = not stop.is_set()
            plan = []
        while plan:
            before = self.tally.replayed.total()
            await self._send_all(plan)
            if self.tally.stopped or self.tally.replayed.total() == before:
                break
            more = not self.browser.ended or self.browser.queue.fifo
            plan = await self._plan() if more else []
        self._note_the_end()

    async def rehearse(self, show: Callable[[PlannedSend], None]) -> None:
        """Show what would be sent, as far as that can be seen without sending anything."""
        while plan := await self._plan():
            for planned in plan:
                show(planned)
                self.tally.replayed[planned.to.name] += 1
            if self.browser.ended:
                break
        self._note_the_end()

    async def _plan(self) -> list[PlannedSend]:
        """Receive the messages of the next round."""
        plan: list[PlannedSend] = []
        size, since = 0, self.started if self._planned else None
        while len(plan) < MOST_PLANNED and size < MOST_BYTES and not self._limit_reached:
            room = None if self.most is None else self.most - self._planned
            messages = await self.browser.receive(room)
            if not messages:
                break
            for message in messages[:room]:
                if (planned := await self._consider(message, since)) is not None:
                    plan.append(planned)
                    size += planned.size
                    self._planned += 1
        return plan

    @property
    def _limit_reached(self) -> bool:
        return self.most is not None and self._planned >= self.most

    def _note_the_end(self) -> None:
        tally = self.tally
        if self.browser.stop.is_set():
            tally.stopped = "interrupted"
        elif not (tally.stopped or tally.declined or self.browser.ended or self._limit_reached):
            tally.stopped = "not all messages of the queue were read"

    async def _consider(self, message: Message, since: float | None) -> PlannedSend | None:
        selected = await self.select(message)
        if selected is None:
            self.tally.others += 1
        elif since is not None and message.sent_at is not None and message.sent_at > since:
            self.tally.arrived += 1
        elif isinstance(selected, NoTarget):
            self.tally.skipped[selected.why] += 1
        else:
            return selected
        return None

    async def _send_all(self, plan: Sequence[PlannedSend]) -> None:
        for planned in plan:
            if self.rate is not None:
                now = asyncio.get_running_loop().time()
                wait = self.rate.wait(now)
                self.rate.take(now + wait)
                await set_within(self.browser.stop, wait)
            if self.browser.stop.is_set():
                return
            await self._replay(planned)
            self._done += 1
            self.progress(self._done, self._planned)
            if self.tally.stopped:
                return

    async def _replay(self, planned: PlannedSend) -> None:
        """Send one message and delete it."""
        tally, message_id = self.tally, planned.rejected.message.id
        group = (planned.to.name, planned.rejected.group or "")
        if planned.to.fifo and group in self._blocked:
            tally.skipped["an earlier message of its group could not be sent"] += 1
            return
        if self.browser.margin(message_id) < LEAST_MARGIN:
            self._fail(planned, "not sent: its lease was lost, so other consumers may have it")
            return
        tally.under_way = message_id
        if await self._send(planned):
            why = await self.browser.delete(message_id)
            if why is None:
                tally.replayed[planned.to.name] += 1
                self._failed_in_a_row = 0
            else:
                self._leave_on_both(message_id, f"sent, but not deleted: {why}")
        tally.under_way = None

    async def _send(self, planned: PlannedSend) -> bool:
        """Send one message; return whether SQS confirmed it. If not, the tally says why."""
        rejected, to = planned.rejected, planned.to
        uncertain = False

        def failed(error: QueueUnavailable) -> None:
            nonlocal uncertain
            uncertain = uncertain or may_have_happened(error)
            # A FIFO queue accepts a message once only, so there it may be sent again.
            if uncertain and not to.fifo:
                raise error

        try:
            await until_answered(
                lambda: to.send(
                    rejected.message.body,
                    rejected.original_attributes,
                    group=rejected.group,
                    deduplication=rejected.deduplication,
                ),
                self.browser.stop,
                on_failure=failed,
            )
        except QueueError as error:
            if uncertain:
                why = f"it may have been sent: {error}"
                self._leave_on_both(rejected.message.id, why)
            else:
                self._fail(planned, str(error))
            return False
        return True

    def _fail(self, planned: PlannedSend, why: str) -> None:
        self.tally.failed.append((planned.rejected.message.id, why))
        if planned.rejected.group is not None:
            self._blocked.add((planned.to.name, planned.rejected.group))
        self._failed_in_a_row += 1
        if self._failed_in_a_row == MOST_FAILURES:
            self.tally.stopped = f"{MOST_FAILURES} messages in a row failed"

    def _leave_on_both(self, message_id: str, why: str) -> None:
        self.tally.both.append((message_id, why))
        self.tally.stopped = "a message is, or may be, on both queues"


@dataclass(slots=True)
class ReplaySelection:
    """Which messages to send where. Each queue is opened when the first message needs it."""

    session: Session
    filters: Filters
    started: float
    to: SqsQueue | None
    """The queue of `--to`, for all messages."""
    _opened: dict[Queue, SqsQueue | NoTarget] = field(default_factory=dict)

    async def select(self, message: Message) -> PlannedSend | NoTarget | None:
        """Return where to send a message; None if the filters do not select it."""
        rejected = read_rejected(message, self.session.known.sources)
        if not self.filters.select(rejected, self.started):
            return None
        target = self.to or await self._target(target_of(rejected, self.session.known.sources))
        return target if isinstance(target, NoTarget) else PlannedSend(rejected, target)

    async def _target(self, queue: Queue | NoTarget) -> SqsQueue | NoTarget:
        if isinstance(queue, NoTarget):
            return queue
        if queue not in self._opened:
            try:
                self._opened[queue] = await self.session.open_target(queue)
            except (QueueError, click.UsageError) as error:
                self._opened[queue] = NoTarget(str(error))
        return self._opened[queue]


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What `rejected replay` was asked to do, by its options."""

    to_browse: Queue
    to: Queue | None
    filters: Filters
    limit: int | None
    rate: float | None
    dry_run: bool
    yes: bool


async def replay(
    known: KnownQueues, request: ReplayRequest, clock: Callable[[], float]
) -> ReplayTally:
    """
    Replay, or only show what would be sent, and report what happened.

    Raises QueueError if the queue to browse, or the one of `--to`, cannot be opened.
    """
    rate = None if request.rate is None else TokenBucket(request.rate, 1, transit=0.0)
    async with open_session(known, request.to_browse) as session:
        to = None if request.to is None else await session.open_target(request.to)
        selection = ReplaySelection(session, request.filters, clock(), to)
        limit, started = request.limit, selection.started
        going = Replay(session.browser, selection.select, started, limit, rate)
        tally = going.tally
        try:
            if request.dry_run:
                await going.rehearse(_show)
            else:
                await _run(going, sure=request.yes)
        except QueueError as error:
            tally.stopped = str(error)
        except asyncio.CancelledError:
            if tally.under_way is not None:
                print_error(
                    f"message {escape(tally.under_way)} was being sent and deleted: it is on one "
                    "of the queues, or on both"
                )
            raise
        left = session.browser.held
    _report(tally, session.queue.name, left, dry_run=request.dry_run)
    return tally


async def _run(going: Replay, *, sure: bool) -> None:
    browser = going.browser
    with ExitStack() as bars:

        async def agree(plan: Sequence[PlannedSend]) -> bool:
            remark(f"{counted(len(plan), 'message')} to send from queue `{browser.queue.name}`:")
            count = Counter((planned.to.name, planned.to.url) for planned in plan)
            for line in columns(
                ((str(n), f"to {to}", url) for (to, url), n in count.items()), "  "
            ):
                remark(line)
            for why, number in going.tally.skipped.items():
                remark(f"{counted(number, 'message')} to skip: {why}")
            more = browser.queue.fifo or not browser.ended
            question = "Send them, and those that follow?" if more else "Send them?"
            if not sure and not await ask(question, browser.stop):
                return False
            going.progress = bars.enter_context(progress_bar())
            return True

        await going.run(agree)


def _show(planned: PlannedSend) -> None:
    rejected = planned.rejected
    group = f", group {rejected.group}" if rejected.group is not None else ""
    say(f"would send {rejected.message.id} ({rejected.reason}) to {planned.to.name}{group}")


def _report(tally: ReplayTally, queue: str, left: int, *, dry_run: bool) -> None:
    done = "would be replayed" if dry_run else "replayed"
    where = ", ".join(f"{number} to {name}" for name, number in tally.replayed.items())
    say(f"{counted(tally.replayed.total(), 'message')} {done}{': ' * bool(where)}{where}")
    for why, number in tally.skipped.items():
        say(f"{counted(number, 'message')} skipped: {why}")
    for title, messages in (("failed", tally.failed), ("on both queues", tally.both)):
        for message_id, why in messages:
            say(f"{title}: message {message_id}: {why}")
    if tally.declined:
        remark("nothing was sent; all messages are back on the queue")
    if tally.arrived:
        remark(
            f"{counted(tally.arrived, 'message')} arrived on queue `{queue}` meanwhile: not sent"
        )
    if tally.others:
        remark(f"{counted(tally.others, 'message')} on queue `{queue}` not selected by the filters")
    if tally.stopped:
        released = f"; released {counted(left, 'message')}" if left else ""
        print_error(f"{escape(tally.stopped)}{released}")
