"""
Was this message launched before?

There is no database: SQS holds the messages, Fly holds what was launched. A message that SQS
delivers again is looked up among the app's Machines before anything is launched for it, and the
newest Machine that holds it decides. The look-up pulls no payloads: one list of names, cached for
a few seconds, and the metadata of those that can be meant, which never changes and is kept.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lambdo_router.errors import MachineGone
from lambdo_router.fleet import DEADLINE
from lambdo_router.launching import message_digest, name_prefix
from lambdo_router.ports import MachineEnd, MachineWatcher, Sighting

_V = TypeVar("_V")

MESSAGES = "lambdo_messages"
FAILED = "lambdo_failed"
DIGEST_LENGTH = 11
_KEPT = 3.0
"""Seconds for which a list is good."""
_REMEMBERED = 10_000
# The clocks of SQS and Fly need not agree to the second.
_SKEW = 60.0


@dataclass(frozen=True, slots=True)
class Holder:
    """The newest Machine that holds a message."""

    app: str
    machine_id: str
    created_at: float
    """Unix seconds."""
    deadline: float
    """Unix seconds; infinite if the Machine has none."""
    end: MachineEnd | None
    """None while it runs."""


@dataclass(slots=True)
class _List:
    since: float
    asked_at: float
    sightings: Sequence[Sighting]


@dataclass(slots=True)
class Recall:
    """
    Looks messages up among the Machines of ours. Raises LaunchError where Fly does not say.

    One look-up of an app at a time: those of one batch ask for the same Machines, and all but the
    first find the answers here.
    """

    watcher: MachineWatcher
    _lists: dict[str, _List] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _metadata: OrderedDict[str, Mapping[str, str]] = field(default_factory=OrderedDict)
    _ends: OrderedDict[str, MachineEnd] = field(default_factory=OrderedDict)
    _failed: OrderedDict[str, frozenset[str]] = field(default_factory=OrderedDict)

    async def holder_of(
        self, app: str, route: str, message_id: str, first_received_at: float
    ) -> Holder | None:
        """
        The newest Machine of this route that was created for the message; None: none was.

        `first_received_at` is in unix seconds: no Machine is older than the first receive.
        """
        digest, prefix = message_digest(message_id), name_prefix(route)
        async with self._locks.setdefault(app, asyncio.Lock()):
            sightings = await self._launched_since(app, first_received_at - _SKEW)
            candidates = sorted(
                (sighting for sighting in sightings if sighting.name.startswith(prefix)),
                key=lambda sighting: sighting.created_at,
                reverse=True,
            )
            for sighting in candidates:
                metadata = await self._metadata_of(app, sighting.id)
                if digest in digests(metadata.get(MESSAGES, "")):
                    deadline = metadata.get(DEADLINE, "")
                    until = float(deadline) if deadline.isdecimal() else math.inf
                    end = await self._end_of(app, sighting.id)
                    return Holder(app, sighting.id, sighting.created_at, until, end)
        return None

    async def reported_failed(self, holder: Holder, message_id: str) -> bool:
        """Whether the Machine reported this message as failed; to be asked after its end."""
        if holder.machine_id not in self._failed:
            try:
                metadata = await self.watcher.metadata(holder.app, holder.machine_id)
            except MachineGone:
                metadata = {}
            _keep(self._failed, holder.machine_id, digests(metadata.get(FAILED, "")))
        return message_digest(message_id) in self._failed[holder.machine_id]

    async def _launched_since(self, app: str, since: float) -> Sequence[Sighting]:
        now = asyncio.get_running_loop().time()
        known = self._lists.get(app)
        if known is None or now > known.asked_at + _KEPT or since < known.since:
            sightings = await self.watcher.launched_since(app, since)
            known = self._lists[app] = _List(since, now, sightings)
        return known.sightings

    async def _metadata_of(self, app: str, machine_id: str) -> Mapping[str, str]:
        if machine_id not in self._metadata:
            try:
                metadata = await self.watcher.metadata(app, machine_id)
            except MachineGone:
                metadata = {}
            _keep(self._metadata, machine_id, metadata)
        return self._metadata[machine_id]

    async def _end_of(self, app: str, machine_id: str) -> MachineEnd | None:
        if machine_id not in self._ends:
            try:
                end = await self.watcher.end_of(app, machine_id)
            except MachineGone:
                end = MachineEnd(None, error="Fly does not know the Machine any more")
            if end is None:
                return None
            _keep(self._ends, machine_id, end)
        return self._ends[machine_id]


def _keep(cache: OrderedDict[str, _V], machine_id: str, value: _V) -> None:
    """What has ended changes no more; the oldest is forgotten beyond a bound."""
    cache[machine_id] = value
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)


def digests(joined: str) -> frozenset[str]:
    """The fixed-width digests that stand one after the other."""
    return frozenset(
        joined[start : start + DIGEST_LENGTH] for start in range(0, len(joined), DIGEST_LENGTH)
    )
