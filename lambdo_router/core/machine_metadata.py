"""
What the metadata of a Machine says: every key that the router writes or reads.

There is no database, so metadata is where routers tell each other which messages a Machine carries,
how its messages are acknowledged, and when its time is up.
"""

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ROUTER = "lambdo_router"
ROUTE = "lambdo_route"
QUEUE = "lambdo_queue"
BATCH = "lambdo_batch"
GENERATION = "lambdo_generation"
PROFILE = "lambdo_profile"
ACKNOWLEDGE = "lambdo_acknowledge"
DEADLINE = "lambdo_deadline"
MESSAGES = "lambdo_messages"
FAILED = "lambdo_failed"
"""Set after the launch: digests of the messages that the Machine reported as failed."""

_DIGEST_LENGTH = 11


@dataclass(frozen=True, slots=True)
class Label:
    """The metadata that a Machine has had since its creation."""

    messages: str
    """The digests of its messages, joined."""
    batch_id: str
    profile: str
    """Empty if the metadata names none."""
    acknowledge: str
    """`launch` or `success`; empty for a Machine of an earlier release."""
    deadline: float
    """Unix seconds; infinite if the Machine has none."""

    def holds(self, digest: str) -> bool:
        """Return whether the Machine carries the message with this digest."""
        return digest in self.messages and is_joined_in(self.messages, digest)


def read_label(metadata: Mapping[str, str]) -> Label:
    """Read the label of a Machine, whatever router launched it."""
    deadline = metadata.get(DEADLINE, "")
    return Label(
        messages=metadata.get(MESSAGES, ""),
        batch_id=metadata.get(BATCH, ""),
        profile=metadata.get(PROFILE, ""),
        acknowledge=metadata.get(ACKNOWLEDGE, ""),
        deadline=float(deadline) if deadline.isdecimal() else math.inf,
    )


def message_digest(message_id: str) -> str:
    """Return 64 bits of a message ID as 11 characters: a thousand take 11 KB of metadata."""
    digest = hashlib.sha256(message_id.encode()).digest()[:8]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def joined_digests(message_ids: Iterable[str]) -> str:
    """Return the digests of these messages in a row, each of the same width."""
    return "".join(map(message_digest, message_ids))


def is_joined_in(joined: str, digest: str) -> bool:
    """Return whether the digest is one of those in a row, and not part of two neighbours."""
    at = joined.find(digest)
    while at % _DIGEST_LENGTH and at >= 0:
        at = joined.find(digest, at + 1)
    return at >= 0
