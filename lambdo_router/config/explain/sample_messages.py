"""Which sample messages another routes file would route differently."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lambdo_router.config.explain.resolved import Values, profile_values
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.messages import Sample
from lambdo_router.core.admission import judge
from lambdo_router.core.message import Message
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Routed

_SYSTEM = {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000"}
"""SQS's attributes of a message sent at the beginning of 2026 and received for the first time."""

_MACHINE_KEYS = frozenset({"app", "region", "image", "size", "command"})


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to a message under a routes file."""

    outcome: str
    """`batched`, `rejected`, `left`, `dropped`, `not_read`; `no_queue`: there is no such queue."""
    route: str | None = None
    reason: str | None = None
    to: str | None = None
    """The queue that a rejected message is moved to."""
    machine: Values = field(default_factory=dict)
    """The Machine of a message in a batch: app, region, image, guest and command."""
    shown: Values = field(default_factory=dict, compare=False)
    """The same, with variables as written, for people."""


@dataclass(frozen=True, slots=True)
class Rerouted:
    """A message that would be routed differently."""

    file: str
    old: Fate
    new: Fate

    @property
    def keys(self) -> list[str]:
        """What is different about the Machine."""
        old, new = self.old.machine, self.new.machine
        if not old or not new:
            return []
        return [key for key in {**new, **old} if old.get(key) != new.get(key)]


def rerouted(old: LoadedRoutes, new: LoadedRoutes, samples: Sequence[Sample]) -> list[Rerouted]:
    """Return the messages that would be routed differently, in the order of the samples."""
    fates = [Rerouted(sample.name, _fate(old, sample), _fate(new, sample)) for sample in samples]
    return [message for message in fates if message.old != message.new]


def _fate(loaded: LoadedRoutes, sample: Sample) -> Fate:
    queue = loaded.table.queues.get(sample.queue)
    if queue is None:
        return Fate("no_queue")
    message = Message(sample.name, "", sample.body, sample.attributes, _SYSTEM)
    verdict = judge(loaded.table, queue, message, now=0.0)
    decision, route = verdict.decision, verdict.decision.route
    name = None if route is None else route.name
    if verdict.outcome == "batched" and isinstance(decision, Routed):
        machine = _machine(decision.profile) | {"size": decision.profile.guest}
        return Fate("batched", name, machine=machine, shown=_machine(decision.profile.public))
    to = queue.reject_to if verdict.outcome == "rejected" else None
    return Fate(verdict.outcome, name, verdict.refusal[0] or None, to)


def _machine(profile: Profile) -> Values:
    """Return what runs, and where; other changes are reported with the profile itself."""
    return {key: value for key, value in profile_values(profile).items() if key in _MACHINE_KEYS}
