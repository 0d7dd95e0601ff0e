"""
The seams: what the router needs from SQS and Fly, in the services' own verbs.

The adapters for SQS and Fly satisfy these protocols structurally, and so do the tests' fakes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.routing import Queue


class MessageQueue(Protocol):
    """One SQS queue. Every method may raise QueueUnavailable or QueueRefused, and nothing else."""

    @property
    def name(self) -> str:
        """The queue's name in the routes file."""
        ...

    @property
    def fifo(self) -> bool:
        """Whether SQS keeps the order of each message group (a name that ends in `.fifo`)."""
        ...

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        """
        One long poll for at most `limit` messages (1 to 10), leased for `visibility` seconds.

        Returns as soon as any message is there, or nothing after the poll's wait. Not cancel-safe:
        a call that is given up may still take messages, which then stay hidden for `visibility`.
        """
        ...

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        """
        Delete messages, in calls of ten, and retry transient failures.

        Returns the receipts that could not be deleted, each with SQS's reason; empty when all were.
        """
        ...

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """
        Hide the message of each receipt for its seconds (0 to 43,200) from now; 0 gives it back.

        Returns the receipts that SQS refused, each with its reason: their leases are lost.
        """
        ...

    async def send(
        self,
        body: str,
        attributes: Mapping[str, Attribute],
        *,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str:
        """
        Send one message and return its ID. A repeat after a lost answer sends it twice.

        A FIFO queue keeps the order of a `group`, and takes a `deduplication` id once in five
        minutes; without them the message gets its own.
        """
        ...


class MachineLauncher(Protocol):
    """The Machines API. Raises LaunchUnavailable or LaunchRejected, and nothing else."""

    async def launch(self, request: MachineRequest) -> Machine:
        """Create the Machine, in one attempt; if its name is taken, return that Machine."""
        ...

    async def find(self, request: MachineRequest) -> Machine | None:
        """Return the Machine of this very batch, even if destroyed; None if Fly shows none."""
        ...


@dataclass(frozen=True, slots=True)
class MachineSummary:
    """One of the router's Machines in a list. Lists lag: a Machine in none of them may exist."""

    id: str
    name: str
    region: str
    created_at: float
    """Unix seconds; 0.0 if the list does not say."""
    ended: bool
    """Whether the list says that it is destroyed."""
    state: str = ""
    """Fly's word for its state, such as `starting`; empty if the list does not say."""
    host: str = ""
    """State of its host: `ok`, `unknown` or `unreachable`; empty if the list does not say."""

    @property
    def at_rest(self) -> bool:
        """
        Whether it is in a lasting state in which nothing runs or will run: it may have ended.

        A suspended Machine resumes, and one that starts may be slow to.
        """
        return self.state in ("stopped", "failed", "replaced", "migrated")


@dataclass(frozen=True, slots=True)
class MachineEnd:
    """How a Machine ended, from its events."""

    exit_code: int | None
    """None: it was destroyed without having run (no exit event)."""
    oom_killed: bool = False
    requested_stop: bool = False
    """It was stopped or destroyed by a call, so an exit code of 0 does not mean success."""
    error: str = ""
    seconds: float | None = None
    """From its start to its exit, where the events say both."""


class MachineWatcher(Protocol):
    """What happens to Machines after launch. Raises LaunchUnavailable or LaunchRejected."""

    async def living(self, app: str) -> Sequence[MachineSummary]:
        """List the router's Machines (by name) that are not destroyed, without payloads."""
        ...

    async def launched_since(self, app: str, since: float) -> Sequence[MachineSummary]:
        """List the router's Machines created since that unix time, including destroyed ones."""
        ...

    async def end_of(
        self, app: str, machine_id: str, *, at_rest: bool = False
    ) -> MachineEnd | None:
        """
        Return how it ended; None while it has not, or while an exit event may still come.

        `at_rest`: lists show it at rest, and it may have failed without an event.
        Raises MachineGone if Fly does not know the Machine: it never was, or ended two days ago.
        """
        ...

    async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
        """Return its metadata, also after its end. Raises MachineGone."""
        ...

    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        """Set one key of its metadata; no restart. Raises MachineGone."""
        ...

    async def destroy(self, app: str, machine_id: str) -> None:
        """Kill and destroy it; a Machine that is gone already is not an error."""
        ...


class Fly(MachineLauncher, MachineWatcher, Protocol):
    """All that the router needs of the Machines API."""


QueueOpener = Callable[[Queue], Awaitable[MessageQueue]]
"""Connects a queue of the routes file; raises QueueUnavailable or QueueRefused."""
