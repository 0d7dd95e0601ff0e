"""
The seams: what the router needs of SQS and of Fly, in the services' own verbs.

The adapters over boto3 and httpx satisfy these protocols by their shape, and so do the ones in
memory that `dev` and the tests use.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from lambdo_router.events import Attribute, Message
from lambdo_router.launching import Machine, MachineRequest
from lambdo_router.routing import Queue


class MessageQueue(Protocol):
    """One SQS queue. Every method may raise QueueUnavailable or QueueRefused, and nothing else."""

    @property
    def name(self) -> str:
        """The queue's name in the routes file."""
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

    async def set_visibility(self, receipts: Sequence[str], seconds: float) -> Mapping[str, str]:
        """
        Hide the messages for `seconds` (0 to 43,200) from now; 0 gives them back at once.

        Returns the receipts that SQS refused, each with its reason: their leases are lost.
        """
        ...

    async def send(self, body: str, attributes: Mapping[str, Attribute]) -> str:
        """Send one message; its new message id. A repeat after a lost answer sends it twice."""
        ...


class MachineLauncher(Protocol):
    """The Machines API. Raises LaunchUnavailable or LaunchRejected, and nothing else."""

    async def launch(self, request: MachineRequest) -> Machine:
        """Create the Machine: one attempt. A name that is taken is our own earlier Machine."""
        ...

    async def find(self, request: MachineRequest) -> Machine | None:
        """The Machine of this very batch, destroyed ones included; None if none is to be seen."""
        ...


QueueOpener = Callable[[Queue], Awaitable[MessageQueue]]
"""Connects a queue of the routes file; raises QueueUnavailable or QueueRefused."""
