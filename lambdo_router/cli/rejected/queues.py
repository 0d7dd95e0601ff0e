"""Which queue `rejected` looks into, and which queues its messages go back to."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import click

from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.adapters.sqs.address import address_of
from lambdo_router.cli.endpoint import Endpoint
from lambdo_router.cli.loading import look_at
from lambdo_router.config.diagnostics import closest, escape
from lambdo_router.core.errors import QueueError, QueueRefused
from lambdo_router.core.rejection import NoTarget, Rejected, Sources, target_of
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.local.names import local_name

_SQS_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}(?:\.fifo)?")


@dataclass(frozen=True, slots=True)
class Known:
    """What the routes file and the command line say of queues."""

    routes: Path
    table: RoutingTable | None
    """None: there is no routes file, and none was asked for."""
    endpoint: Endpoint
    sources: Sources

    def looked_at(self, name: str | None) -> Queue:
        """The queue to look into: what `--queue` says, or else the file's only reject queue."""
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
        """A queue of the file, or any other by URL, ARN, or its name in SQS. Raises UsageError."""
        queues = self.table.queues if self.table is not None else {}
        if name in queues:
            return queues[name]
        same = [queue for queue in queues.values() if queue.url == name]
        if same:
            return same[0]
        if _SQS_NAME.fullmatch(name):
            return Queue(name, lookup=name)
        last = re.split("[/:]", name.rstrip("/"))[-1]
        queue = Queue(last if _SQS_NAME.fullmatch(last) else name, url=name)
        try:
            address_of(queue)
        except QueueRefused:
            raise click.UsageError(
                f"{option} {name!r} is no queue of {self.routes}, no name of a queue in SQS, no "
                "queue URL such as https://sqs.us-east-1.amazonaws.com/123456789012/dead and no "
                "ARN such as arn:aws:sqs:us-east-1:123456789012:dead"
            ) from None
        return queue

    def reads(self, queue: Queue) -> bool:
        """Whether a route reads this queue, so that a router may be looking at it too."""
        return self.table is not None and queue in self.table.sources()

    def meant(self, queue: Queue) -> str:
        """What to add to the refusal of a queue that is not one of the file's."""
        if self.table is None or queue.name in self.table.queues or queue.url is not None:
            return ""
        hint = closest(queue.name, self.table.queues)
        return f". It is no queue of {self.routes} either; {hint}"


def known_queues(routes: Path, endpoint: Endpoint, *, asked_for: bool) -> Known:
    """
    With the routes of the file. It may be missing, unless it was asked for.

    Raises ConfigError if there is an error in it, and UsageError.
    """
    if not routes.is_file():
        if asked_for:
            raise _no_file(routes)
        return Known(routes, None, endpoint, Sources())
    table = look_at(routes).table
    names = _names(table.queues.values(), endpoint)
    return Known(routes, table, endpoint, Sources(table.queues, names))


@dataclass(slots=True)
class Targets:
    """The queues that messages go back to, each opened when the first message needs it."""

    known: Known
    open: Callable[[Queue], Awaitable[SqsQueue]]
    looked_at: SqsQueue
    to: Queue | None
    """Where everything goes, if `--to` says so."""
    _opened: dict[Queue, SqsQueue | NoTarget] = field(default_factory=dict)

    async def check(self) -> None:
        """Open what `--to` says. Raises QueueError, and UsageError if it is the queue looked at."""
        if self.to is None:
            return
        opened = await self.open(self.known.endpoint.address(self.to))
        if opened.url == self.looked_at.url:
            raise click.UsageError("--to is the queue that the messages lie on; name another")
        self._opened[self.to] = opened

    async def target(self, rejected: Rejected) -> SqsQueue | NoTarget:
        """Where this message goes."""
        queue = self.to or target_of(rejected, self.known.sources)
        if isinstance(queue, NoTarget):
            return queue
        if queue not in self._opened:
            self._opened[queue] = await self._open(queue)
        return self._opened[queue]

    async def _open(self, queue: Queue) -> SqsQueue | NoTarget:
        try:
            opened = await self.open(self.known.endpoint.address(queue))
        except QueueError as error:
            return NoTarget(str(error))
        except click.UsageError as error:
            return NoTarget(error.message)
        if opened.url == self.looked_at.url:
            name = escape(queue.name)
            return NoTarget(f"queue `{name}` is the one that it lies on; name another with --to")
        return opened


def _no_file(routes: Path) -> click.UsageError:
    return click.UsageError(
        f"there is no file {routes}; name a routes file, or leave it out and name the queue with "
        "--queue"
    )


def _names(queues: Iterable[Queue], endpoint: Endpoint) -> dict[str, str]:
    """From names in SQS to names in the file, as far as both are certain."""
    certain = [
        (local_name(queue), queue.name)
        for queue in queues
        if endpoint.is_loopback or "${" not in (queue.url or queue.lookup or "")
    ]
    count = Counter(name for name, _ in certain)
    return {name: of_file for name, of_file in certain if count[name] == 1}
