"""
Messages go back to where they came from: sent first, then deleted, one after the other.

A replay is made of rounds. In each, messages are received and held until there is nothing more to
receive, or enough to hold at once; then they are sent and deleted one by one. So at any moment at
most one message is on both queues, none is on neither, and what must be confirmed is known before.
A FIFO queue shows the next messages of a group only when the ones before are gone, and so takes
more rounds. What has come to the queue since the replay began is not touched: a message that is
rejected again would go round for ever.

The first thing that leaves a message on both queues, or may have done, ends the replay.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from lambdo_router.adapters.sqs.failures import may_have_happened
from lambdo_router.cli.rejected.queue_browser import TRIES, QueueBrowser, stopped_within
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueRefused, QueueUnavailable
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.rejection import NoTarget, Outgoing, Rejected, ReplayRate, outgoing

MOST_PLANNED: Final = 1_000
"""Messages of one round."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of the bodies and attributes of one round."""
LEAST_MARGIN: Final = 30.0
"""Seconds of a lease that must be left: it is renewed during the send, but not the delete."""
MOST_FAILURES: Final = 5
"""Messages that fail one after the other, before the rest is not tried any more."""


class Sender(Protocol):
    """A queue that messages are sent to."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def fifo(self) -> bool: ...
    async def send(
        self,
        body: str,
        attributes: Mapping[str, Attribute],
        *,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A message that is to be sent, and where."""

    rejected: Rejected
    outgoing: Outgoing
    to: Sender


@dataclass(slots=True)
class Tally:
    """What became of the messages that were asked for."""

    replayed: Counter[str] = field(default_factory=Counter)
    """How many were sent (or would be), by the queue."""
    skipped: Counter[str] = field(default_factory=Counter)
    """How many were not tried, by the reason."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Message id and reason of each that was tried, and is still where it was."""
    both: list[tuple[str, str]] = field(default_factory=list)
    """The same of each that is on both queues, or may be."""
    others: int = 0
    """Messages that were not asked for."""
    again: int = 0
    """Messages that came to the queue during the replay."""
    declined: bool = False
    """Somebody was asked, and did not want it."""
    stopped: str = ""
    """Why the replay ended before its time."""
    under_way: str | None = None
    """The message that is being sent and deleted: whoever is cut off here has it on both queues."""

    @property
    def complete(self) -> bool:
        """Whether every message that was asked for is where it belongs."""
        return not (self.skipped or self.failed or self.both or self.stopped or self.declined)


@dataclass(slots=True)
class Replay:
    """One call of `rejected replay`."""

    look: QueueBrowser
    wanted: Callable[[Message], Rejected | None]
    """The message with what is known of it, if it is asked for."""
    target: Callable[[Rejected], Awaitable[Sender | NoTarget]]
    started: float
    """Unix seconds: what is sent to the queue from here on is left there."""
    most: int | None = None
    """Messages to send in all."""
    pace: ReplayRate = field(default_factory=ReplayRate)
    progress: Callable[[int, int], None] = lambda _done, _planned: None
    """Is told how many messages of how many are done."""
    tally: Tally = field(default_factory=Tally)
    _planned: int = 0
    _done: int = 0
    _in_a_row: int = 0
    """Messages that failed since the last that did not."""
    _closed: set[tuple[str, str]] = field(default_factory=set)
    """Groups of FIFO queues of which a message could not be sent: nothing may overtake it."""

    async def run(self, agree: Callable[[Sequence[Planned]], Awaitable[bool]]) -> None:
        """
        Replay, round by round, if `agree` agrees to what is planned for the first.

        Raises QueueError if the queue cannot be read; the tally says what was done until then.
        """
        plan = await self.plan()
        if plan and not self.look.stop.is_set() and not await agree(plan):
            self.tally.declined = not self.look.stop.is_set()
            plan = []
        while plan:
            before = self.tally.replayed.total()
            await self._send_all(plan)
            if self.tally.stopped or self.tally.replayed.total() == before:
                break
            plan = await self.plan() if self._may_be_more else []
        self._note_the_end()

    async def rehearse(self, tell: Callable[[Planned], None]) -> None:
        """Say what would be sent where, as far as that can be seen without sending anything."""
        plan = await self.plan()
        while plan:
            for planned in plan:
                tell(planned)
                self.tally.replayed[planned.to.name] += 1
            plan = [] if self.look.ended else await self.plan()
        self._note_the_end()

    async def plan(self) -> list[Planned]:
        """Receive what the next round is about."""
        plan: list[Planned] = []
        size = 0
        since = self.started if self._planned else None
        while len(plan) < MOST_PLANNED and size < MOST_BYTES:
            room = None if self.most is None else self.most - self._planned
            if room == 0:
                break
            messages = await self.look.receive(room)
            if not messages:
                break
            for message in messages[:room]:
                planned = await self._consider(message, since)
                if planned is not None:
                    plan.append(planned)
                    size += planned.outgoing.size
                    self._planned += 1
        return plan

    @property
    def _is_enough(self) -> bool:
        return self.most is not None and self._planned >= self.most

    @property
    def _may_be_more(self) -> bool:
        return not self._is_enough and (not self.look.ended or self.look.queue.fifo)

    def _note_the_end(self) -> None:
        tally = self.tally
        if self.look.stop.is_set():
            tally.stopped = "interrupted"
        elif not (tally.stopped or tally.declined or self.look.ended or self._is_enough):
            tally.stopped = "not every message of the queue was looked at"

    async def _consider(self, message: Message, since: float | None) -> Planned | None:
        rejected = self.wanted(message)
        if rejected is None:
            self.tally.others += 1
            return None
        if since is not None and message.sent_at is not None and message.sent_at > since:
            self.tally.again += 1
            return None
        target = await self.target(rejected)
        if isinstance(target, NoTarget):
            self.tally.skipped[target.why] += 1
            return None
        return Planned(rejected, outgoing(message), target)

    async def _send_all(self, plan: Sequence[Planned]) -> None:
        loop = asyncio.get_running_loop()
        for planned in plan:
            if await stopped_within(self.look.stop, self.pace.reserve(loop.time())):
                return
            await self._replay(planned)
            self._done += 1
            self.progress(self._done, self._planned)
            if self.tally.stopped:
                return

    async def _replay(self, planned: Planned) -> None:
        """Send one message and delete it."""
        tally, message_id = self.tally, planned.rejected.message.id
        group = (planned.to.name, planned.outgoing.group or "")
        if planned.to.fifo and group in self._closed:
            tally.skipped["a message before it in its group could not be sent"] += 1
            return
        if self.look.margin(message_id) < LEAST_MARGIN:
            self._fail(planned, "its lease ran out, so that others may have it; it was not sent")
            return
        tally.under_way = message_id
        if await self._send(planned):
            why = await self.look.delete(message_id)
            if why is None:
                tally.replayed[planned.to.name] += 1
                self._in_a_row = 0
            else:
                self._leave_on_both(message_id, f"it was sent, but not deleted: {why}")
        tally.under_way = None

    async def _send(self, planned: Planned) -> bool:
        """Whether the message was sent; if not, the tally knows."""
        out, to = planned.outgoing, planned.to
        failures = 0
        while True:
            try:
                await to.send(
                    out.body, out.attributes, group=out.group, deduplication=out.deduplication
                )
            except QueueRefused as error:
                self._fail(planned, str(error))
                return False
            except QueueUnavailable as error:
                # A FIFO queue takes the same message once only, so there it may be sent again.
                lost = may_have_happened(error) and not to.fifo
                failures += 1
                if not lost and failures < TRIES:
                    pause = backoff(failures, first=1.0, longest=10.0, jitter=random.random())  # noqa: S311 # no secret
                    if not await stopped_within(
                        self.look.stop, max(pause, error.retry_after or 0.0)
                    ):
                        continue
                if may_have_happened(error):
                    why = f"nobody knows whether it was sent: {error}"
                    self._leave_on_both(planned.rejected.message.id, why)
                else:
                    self._fail(planned, str(error))
                return False
            return True

    def _fail(self, planned: Planned, why: str) -> None:
        self.tally.failed.append((planned.rejected.message.id, why))
        if planned.outgoing.group is not None:
            self._closed.add((planned.to.name, planned.outgoing.group))
        self._in_a_row += 1
        if self._in_a_row == MOST_FAILURES:
            self.tally.stopped = f"{MOST_FAILURES} messages failed one after the other"

    def _leave_on_both(self, message_id: str, why: str) -> None:
        self.tally.both.append((message_id, why))
        self.tally.stopped = "a message is on both queues, or may be"
