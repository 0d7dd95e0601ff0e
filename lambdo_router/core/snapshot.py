"""
What a router holds at one moment, as values: the journal says what happened, this says what is.

Read when somebody looks (a scrape, a status page), never on the way of a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

QueueState = Literal["opening", "reading", "stopping"]


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """One queue that is read."""

    queue: str
    state: QueueState
    """`opening`: SQS was not reached yet, or says no. `stopping`: no route reads it any more."""
    held: int = 0
    """Messages received and not settled."""
    waiting: int = 0
    """Of these, those in no Machine yet: their bodies are in memory."""
    batched: Mapping[str, int] = field(default_factory=dict)
    """Events in open batches, by route; empty for FIFO queues, whose batches are never open."""
    margin: float | None = None
    """Seconds until the first of the leases runs out; None if nothing is held."""


@dataclass(frozen=True, slots=True)
class MachinesSnapshot:
    """The Machines of one app and profile; the profile is "" where Fly's metadata names none."""

    app: str
    profile: str
    running: int
    launching: int
    """Places taken for Machines that Fly has not accepted yet."""


@dataclass(frozen=True, slots=True)
class FailingSnapshot:
    """A profile that Fly refuses: its batches wait, but for one that probes now and then."""

    app: str
    profile: str
    variants: int
    """How many are refused; more than one where senders name images."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it."""

    generation: str
    """Of the routing table in use."""
    queues: tuple[QueueSnapshot, ...]
    machines: tuple[MachinesSnapshot, ...]
    failing: tuple[FailingSnapshot, ...] = ()
