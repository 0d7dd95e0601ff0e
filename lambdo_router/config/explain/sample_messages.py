"""Which sample messages go another way by another routes file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lambdo_router.config.explain.resolved import Values, profile_values
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.samples import Sample
from lambdo_router.core.admission import judge
from lambdo_router.core.message import Message
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Routed

_SYSTEM = {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000"}
"""What SQS says of a message that was sent at the beginning of 2026 and not received before."""

_TOLD = frozenset({"app", "region", "image", "size", "command"})


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a message."""

    outcome: str
    """`batched`, `rejected`, `left`, `dropped`, `not_read`; `no_queue`: its queue is not there."""
    route: str | None = None
    reason: str | None = None
    to: str | None = None
    """The queue that a rejected message is moved to."""
    machine: Values = field(default_factory=dict)
    """What Machine a message in a batch is for: app, region, image, guest and command."""
    shown: Values = field(default_factory=dict, compare=False)
    """The same, fit to be shown."""


@dataclass(frozen=True, slots=True)
class Rerouted:
    """A message that does not fare as before."""

    file: str
    old: Fate
    new: Fate

    @property
    def keys(self) -> list[str]:
        """Where the Machine is made from something else."""
        old, new = self.old.machine, self.new.machine
        if not old or not new:
            return []
        return [key for key in {**new, **old} if old.get(key) != new.get(key)]


def rerouted(old: LoadedRoutes, new: LoadedRoutes, samples: Sequence[Sample]) -> list[Rerouted]:
    """The messages that fare in another way, in the order of the samples."""
    return list(_rerouted(old, new, samples))


def _rerouted(
    old: LoadedRoutes, new: LoadedRoutes, samples: Sequence[Sample]
) -> Iterator[Rerouted]:
    for sample in samples:
        before, after = _fate(old, sample), _fate(new, sample)
        if before != after:
            yield Rerouted(sample.name, before, after)


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
    """What runs, and where. What else a profile says is told with the profile."""
    return {key: value for key, value in profile_values(profile).items() if key in _TOLD}
