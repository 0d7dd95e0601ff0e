"""The queues that `rejected` can name, the connection to one, and what browsing it finds."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from lambdo_router.adapters.sqs import SqsConnector, SqsQueue
from lambdo_router.adapters.sqs.address import address_of
from lambdo_router.adapters.sqs.inspection import redrive_of
from lambdo_router.cli.endpoint import Endpoint
from lambdo_router.cli.loading import load_leniently
from lambdo_router.cli.output.printing import print_warning
from lambdo_router.cli.rejected.queue_browser import LEASE, MOST_HELD, QueueBrowser, browse
from lambdo_router.config.diagnostics import closest, counted, escape
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.rejection import Filters, Rejected, Sources, read_rejected
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.engine.waiting import unless
from lambdo_router.local.names import local_name
from lambdo_router.service.running import signals

POLL_WAIT: Final = 1
"""Seconds: with any wait SQS asks all its servers, and so finds every message."""
_SQS_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(?:\.fifo)?")
_MINUTES = f"{LEASE / 60:.0f} minutes"


@dataclass(frozen=True, slots=True)
class KnownQueues:
    """The queues of the routes file, and any others that the command line may name."""

    routes: Path
    table: RoutingTable | None
    """None: there is no routes file, and none was asked for."""
    endpoint: Endpoint
    sources: Sources

    def to_browse(self, name: str | None) -> Queue:
        """Return the queue of `--queue`, or else the file's only reject queue."""
        if name is not None:
            return self.named(name, "--queue")
        if self.table is None:
            raise _no_file(self.routes)
        queues = self.table.queues
        found = sorted({queue.reject_to for queue in queues.values() if queue.reject_to})
        if len(found) == 1:
            return queues[found[0]]
        several = f"rejects to {len(found)} queues: {', '.join(found)}"
        none = "has no queue with `reject_to`"
        raise click.UsageError(f"{self.routes} {several if found else none}; name one with --queue")

    def named(self, name: str, option: str) -> Queue:
        """Return a queue of the file, or any other by URL, ARN or SQS name. Raises UsageError."""
        queues = self.table.queues if self.table is not None else {}
        if name in queues:
            return queues[name]
        if same := [queue for queue in queues.values() if queue.url == name]:
            return same[0]
        if _SQS_NAME.fullmatch(name):
            return Queue(name, lookup=name)
        last = re.split("[/:]", name.rstrip("/"))[-1]
        queue = Queue(last if _SQS_NAME.fullmatch(last) else name, url=name)
        try:
            address_of(queue)
        except QueueRefused:
            raise click.UsageError(
                f"{option} {name!r} is not a queue of {self.routes}, an SQS queue name, a queue "
                "URL such as https://sqs.us-east-1.amazonaws.com/123456789012/dead, or an ARN "
                "such as arn:aws:sqs:us-east-1:123456789012:dead"
            ) from None
        return queue

    async def open(self, queue: Queue, connector: SqsConnector) -> SqsQueue:
        """Connect to a queue. Raises QueueError, with a hint if no queue has this name."""
        try:
            return await connector.open(self.endpoint.address(queue))
        except QueueRefused as error:
            if self.table is None or queue.name in self.table.queues or queue.url is not None:
                raise
            hint = closest(queue.name, self.table.queues)
            text = f"{error}. It is not a queue of {self.routes} either; {hint}"
            raise QueueRefused(text, code=error.code) from error


def known_queues(routes: Path, endpoint: Endpoint, *, asked_for: bool) -> KnownQueues:
    """
    Load the routes file, which may be missing unless it was asked for.

    Raises ConfigError for its errors, and UsageError.
    """
    if not routes.is_file():
        if asked_for:
            raise _no_file(routes)
        return KnownQueues(routes, None, endpoint, Sources())
    table = load_leniently(routes).table
    names = [
        (local_name(queue), queue.name)
        for queue in table.queues.values()
        if endpoint.is_loopback or "${" not in (queue.url or queue.lookup or "")
    ]
    count = Counter(name for name, _ in names)
    unambiguous = {name: of_file for name, of_file in names if count[name] == 1}
    return KnownQueues(routes, table, endpoint, Sources(table.queues, unambiguous))


@dataclass(frozen=True, slots=True)
class QueueState:
    """What SQS reports about a queue; None where it does not. All counts are approximate."""

    visible: int | None = None
    in_flight: int | None = None
    delayed: int | None = None
    redrive_to: str | None = None
    """The ARN of the queue that SQS moves messages to after `most_receives` receives."""
    most_receives: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A connection to the queue to browse."""

    known: KnownQueues
    queue: SqsQueue
    state: QueueState
    browser: QueueBrowser
    connector: SqsConnector

    @property
    def interrupted(self) -> bool:
        """Whether a signal came."""
        return self.browser.stop.is_set()

    async def open_target(self, queue: Queue) -> SqsQueue:
        """Connect to another queue. Raises QueueError, and UsageError if it is this one."""
        opened = await self.connector.open(self.known.endpoint.address(queue))
        if opened.url == self.queue.url:
            name = escape(queue.name)
            raise click.UsageError(f"the messages are on queue `{name}`; name another with --to")
        return opened

    def report(self, messages: Sequence[Rejected]) -> None:
        """Print on stderr what was found, and how much of the queue was seen, as far as known."""
        found, taken = len(messages), counted(self.browser.taken, "message")
        of = "" if found == self.browser.taken else f"{found} of "
        reasons = Counter(rejected.reason for rejected in messages).most_common()
        by_reason = ", ".join(f"{number} {reason}" for reason, number in reasons)
        remark(f"{of}{taken} on queue `{self.queue.name}`{': ' * bool(reasons)}{by_reason}")
        remark(_estimate(self.state))
        if self.interrupted:
            remark("interrupted: there may be more")
        elif self.browser.full:
            remark(f"limited to {MOST_HELD} messages: there may be more")
        elif not self.browser.ended:
            remark("stopped at --limit: there may be more")
        most = self.state.most_receives
        spent = sum(1 for each in messages if most and each.message.receive_count >= most)
        if spent:
            remark(
                f"{counted(spent, 'message')} received {most} times: the next receive moves them"
            )
        if self.queue.fifo:
            remark("only the first messages of each message group are visible at a time")


@asynccontextmanager
async def open_session(known: KnownQueues, to_browse: Queue) -> AsyncIterator[Session]:
    """Browse a queue until the block ends or a signal comes. Raises QueueError."""
    stop = asyncio.Event()
    connector = SqsConnector(known.endpoint.settings(POLL_WAIT))
    with signals(stop, stop):
        try:
            queue = await known.open(to_browse, connector)
            try:
                state = _state(await queue.attributes())
            except QueueRefused:  # a missing permission is no reason to give up
                state = QueueState()
            _warn(known, to_browse, state)
            async with browse(queue, stop) as browser:
                yield Session(known, queue, state, browser, connector)
            _warn_of_hidden(browser)
        finally:
            await connector.aclose()


async def find(
    known: KnownQueues, to_browse: Queue, filters: Filters, limit: int, clock: Callable[[], float]
) -> tuple[Session, Sequence[Rejected]]:
    """Browse until `limit` messages are selected by the filters. Raises QueueError."""
    found: list[Rejected] = []
    async with open_session(known, to_browse) as session:
        while len(found) < limit and (messages := await session.browser.receive()):
            now = clock()
            rejected = (read_rejected(message, known.sources) for message in messages)
            found += [each for each in rejected if filters.select(each, now)]
    return session, found[:limit]


def remark(text: str) -> None:
    """Print a remark on stderr, escaped, for senders may have written parts of it."""
    click.echo(escape(text), err=True)


def _warn_of_hidden(browser: QueueBrowser) -> None:
    """Warn about messages that stay hidden for a while."""
    if browser.stuck:
        print_warning(
            f"{counted(browser.stuck, 'message')} could not be released: hidden for up to "
            f"{_MINUTES}"
        )
    if browser.lost_answers and not browser.queue.fifo:
        print_warning(
            f"{counted(browser.lost_answers, 'answer')} of SQS got lost: up to "
            f"{10 * browser.lost_answers} messages were not seen and may be hidden for {_MINUTES}"
        )


def is_interactive() -> bool:
    """Return whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask(question: str, stop: asyncio.Event) -> bool:
    """
    Ask a yes-no question; return False if `stop` comes before the answer.

    The event loop goes on meanwhile: the leases of the messages in question are renewed.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    descriptor = sys.stdin.fileno()

    def read_answer() -> None:
        # A terminal is readable once there is a whole line, or the end of input.
        loop.remove_reader(descriptor)
        answered.set_result(sys.stdin.readline())

    click.echo(f"{question} [y/N] ", nl=False, err=True)
    loop.add_reader(descriptor, read_answer)
    try:
        answer = await unless(stop, answered) or ""
    finally:
        loop.remove_reader(descriptor)
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Draw a bar on stderr if it is a terminal; yield what sets it to (done, planned)."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("replayed", total=None)
        yield lambda done, planned: bar.update(task, completed=done, total=planned)


def _warn(known: KnownQueues, to_browse: Queue, state: QueueState) -> None:
    """Warn about what browsing does to the queue's messages."""
    name = to_browse.name
    if known.table is not None and to_browse in known.table.sources():
        print_warning(
            f"routes read queue `{name}`: the router does not get messages while they are held here"
        )
    if state.redrive_to is not None:
        limit = counted(state.most_receives or 10, "receive")
        print_warning(
            f"queue `{name}` has a redrive policy, and this counts as a receive: after {limit} "
            f"SQS moves a message to {state.redrive_to}"
        )


def _no_file(routes: Path) -> click.UsageError:
    return click.UsageError(
        f"there is no file {routes}; name a routes file, or leave it out and name the queue with "
        "--queue"
    )


def _state(attributes: Mapping[str, str]) -> QueueState:
    names = (f"ApproximateNumberOfMessages{end}" for end in ("", "NotVisible", "Delayed"))
    counts = [int(text) if (text := attributes.get(name)) else None for name in names]
    redrive = redrive_of(attributes.get("RedrivePolicy", ""))
    policy = (None, None) if redrive is None else (redrive.target_arn, redrive.most_receives)
    return QueueState(counts[0], counts[1], counts[2], *policy)


def _estimate(state: QueueState) -> str:
    if state.visible is None:
        return "SQS does not say how many messages there are"
    hidden = f", {state.in_flight} in flight" if state.in_flight else ""
    delayed = f", {state.delayed} delayed" if state.delayed else ""
    return f"SQS estimated {counted(state.visible, 'message')} before this read{hidden}{delayed}"
