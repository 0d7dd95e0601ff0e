"""
The seams: what the router needs of SQS and of Fly, in the services' own verbs.

The adapters over boto3 and httpx satisfy these protocols by their shape, and so do the ones in
memory that `dev` and the tests use.
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
        Acknowledge; splits into tens, and tries again what SQS says may pass.

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
        Send one message; its new message id. A repeat after a lost answer sends it twice.

        A FIFO queue keeps the order of a `group`, and takes a `deduplication` id once in five
        minutes; without them the message stands for itself.
        """
        ...


class MachineLauncher(Protocol):
    """The Machines API. Raises LaunchUnavailable or LaunchRejected, and nothing else."""

    async def launch(self, request: MachineRequest) -> Machine:
        """Create the Machine: one attempt. A name that is taken is our own earlier Machine."""
        ...

    async def find(self, request: MachineRequest) -> Machine | None:
        """The Machine of this very batch, destroyed ones included; None if none is to be seen."""
        ...


@dataclass(frozen=True, slots=True)
class MachineSummary:
    """A Machine of ours as a list shows it. Lists lag: what is in none may exist all the same."""

    id: str
    name: str
    region: str
    created_at: float
    """Unix seconds; 0.0 if the list does not say."""
    ended: bool
    """Whether the list says that it is destroyed."""
    state: str = ""
    """Fly's word for what it does, such as `starting`; empty if the list does not say."""
    host: str = ""
    """How its host is: `ok`, `unknown` or `unreachable`; empty where Fly leaves it out of lists."""

    @property
    def at_rest(self) -> bool:
        """
        Whether nothing runs in it, nor will by itself, in a state that lasts: its end may be told.

        One that is suspended goes on where it was, and those that start may be slow to.
        """
        return self.state in ("stopped", "failed", "replaced", "migrated")


@dataclass(frozen=True, slots=True)
class MachineEnd:
    """How a Machine ended, from its events."""

    exit_code: int | None
    """None: it was destroyed without having run (no exit event)."""
    oom_killed: bool = False
    requested_stop: bool = False
    """It was stopped or destroyed by a call: then an exit code of 0 is no success of the job."""
    error: str = ""
    seconds: float | None = None
    """From its start to its exit, where the events say both."""


class MachineWatcher(Protocol):
    """What happens to Machines after launch. Raises LaunchUnavailable or LaunchRejected."""

    async def living(self, app: str) -> Sequence[MachineSummary]:
        """The Machines of ours (by name) that are not destroyed yet: one list, without payloads."""
        ...

    async def launched_since(self, app: str, since: float) -> Sequence[MachineSummary]:
        """The Machines of ours created at or after unix time `since`, destroyed ones included."""
        ...

    async def end_of(
        self, app: str, machine_id: str, *, at_rest: bool = False
    ) -> MachineEnd | None:
        """
        How it ended; None while it has not, or while an exit event may still come.

        `at_rest`: lists show it so, and it may have failed without an event that tells.
        Raises MachineGone if Fly does not know the Machine: it never was, or ended two days ago.
        """
        ...

    async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
        """Its metadata, also after its end. Raises MachineGone."""
        ...

    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        """Set one key of its metadata; no restart. Raises MachineGone."""
        ...

    async def destroy(self, app: str, machine_id: str) -> None:
        """Kill and destroy it; one that is gone already is no error."""
        ...


class Fly(MachineLauncher, MachineWatcher, Protocol):
    """All that the router needs of the Machines API."""


QueueOpener = Callable[[Queue], Awaitable[MessageQueue]]
"""Connects a queue of the routes file; raises QueueUnavailable or QueueRefused."""
