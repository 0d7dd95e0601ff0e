"""
Whether a message becomes part of a batch: what every consumer and every tool asks first.

`admit` is what the consumers of the running router do with a message. `judge` adds what becomes of
it, for the commands and pages that show a decision without carrying it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never

from lambdo_router.core.batch import Batch, BatchKey, Entry
from lambdo_router.core.machine import entry_of, fits
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Decision, Queue, Refused, Routed, RoutingTable, decide
from lambdo_router.core.settlement import Settlement, of_refusal, of_too_large

Outcome = Literal["batched", "rejected", "left", "dropped", "not_read"]
"""What becomes of a message; `not_read`: no route reads its queue, so the router never sees it."""
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "deleted": "dropped",  # without a launch, only because the routes file says so
    "rejected": "rejected",
    "left": "left",
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A message that takes a route, as an entry for a batch of this key."""

    decision: Routed
    key: BatchKey
    entry: Entry


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message that takes a route, but whose event fits into no create request."""

    decision: Routed
    key: BatchKey
    entry: Entry


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """A message that takes no route, or that its route refuses."""

    decision: Refused


Admission = Admitted | TooLarge | NotAdmitted


@dataclass(frozen=True, slots=True)
class QueueRoutes:
    """One queue in one routing table: what decides every message of a receive."""

    table: RoutingTable
    queue: Queue
    _keys: dict[str, BatchKey] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By route: the key of events whose senders have overridden nothing."""

    def admit(self, message: Message, *, record: bool = False) -> Admission:
        """Decide what route the message takes, and whether it fits into a batch."""
        decision = decide(self.table, self.queue, message, record=record)
        if isinstance(decision, Refused):
            return NotAdmitted(decision)
        key, entry = self._key_of(decision), entry_of(message, decision.event)
        return (Admitted if fits(key, entry) else TooLarge)(decision, key, entry)

    def _key_of(self, decision: Routed) -> BatchKey:
        route, profile = decision.route, decision.profile
        if profile is not route.profile:
            return BatchKey(self.queue.name, route, profile)
        key = self._keys.get(route.name)
        if key is None:
            key = self._keys[route.name] = BatchKey(self.queue.name, route, profile)
        return key

    def settle(
        self, message: Message, refused: NotAdmitted | TooLarge, now: float
    ) -> tuple[str | None, Settlement]:
        """Return the route of a message that gets into no batch, and what becomes of it."""
        match refused:
            case NotAdmitted(decision=Refused(route=route) as decision):
                settlement = of_refusal(decision, self.queue, message, now)
                return route.name if route is not None else None, settlement
            case TooLarge(key=key, entry=entry):
                return key.route.name, of_too_large(key, entry, self.queue, now)
            case unreachable:
                assert_never(unreachable)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a message goes."""

    decision: Decision
    outcome: Outcome
    settlement: Settlement | None = None
    """Of a message that gets into no batch."""
    key: BatchKey | None = None
    """What its event must share with others to share a Machine, if a route takes it."""
    entry: Entry | None = None

    @property
    def refusal(self) -> tuple[str, str]:
        """Reason and detail of a message that gets into no batch; both empty otherwise."""
        settlement = self.settlement
        if settlement is None:
            return "", ""
        if isinstance(self.decision, Refused) and settlement.outcome == "deleted":
            return self.decision.reason, self.decision.detail
        return settlement.reason, settlement.detail

    @property
    def batch(self) -> Batch | None:
        """A batch of this message's event alone."""
        if self.outcome != "batched" or self.key is None or self.entry is None:
            return None
        return Batch(self.key, (self.entry,))


def judge(
    table: RoutingTable, queue: Queue, message: Message, *, now: float, record: bool = False
) -> Verdict:
    """
    Return where this message goes; `now` is the time of a rejection, in unix seconds.

    With `record` the decision says why each earlier route did not match.
    """
    routes = QueueRoutes(table, queue)
    admission = routes.admit(message, record=record)
    if not table.routes_of(queue.name):
        return Verdict(admission.decision, "not_read")
    if isinstance(admission, Admitted):
        return Verdict(admission.decision, "batched", None, admission.key, admission.entry)
    _, settlement = routes.settle(message, admission, now)
    outcome = _OUTCOMES[settlement.outcome]
    if isinstance(admission, TooLarge):
        return Verdict(admission.decision, outcome, settlement, admission.key, admission.entry)
    return Verdict(admission.decision, outcome, settlement)
