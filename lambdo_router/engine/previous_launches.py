"""
Was this message launched before?

There is no database: SQS holds the messages, Fly holds what was launched. A message that SQS
delivers again is looked up among the Machines of ours, of whatever route, and the newest one that
holds it decides. The look-up pulls no payloads: one list of names, good for every message that was
received before it was begun, and the metadata of those that can be meant, newest first. What
metadata says of a Machine never changes, and is kept.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakValueDictionary

from lambdo_router.core.errors import LaunchError, LaunchUnavailable, MachineGone
from lambdo_router.core.lease import LONGEST_VISIBILITY
from lambdo_router.core.machine_metadata import (
    FAILED,
    Label,
    is_joined_in,
    message_digest,
    read_label,
)
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MachineEnd, MachineSummary, MachineWatcher

_V = TypeVar("_V")

_LAG = 3.0
"""
Seconds by which an answer may be older than the receive of a message that it is used for. The
Machine of a message is older than its redelivery, by more than this as a rule: a message comes
back when its lease has run out or its delay is over.
"""
_NEW_FOR = 120.0
"""
Seconds after its creation in which a Machine that Fly lists and does not know is only not known
yet: a minute, and another for clocks that differ.
"""
_AT_ONCE = 16
_MANY = 200
"""Machines; ten look-ups among so many take the loop a few milliseconds."""
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
    label: Label
    end: MachineEnd | None
    """None while it runs."""


@dataclass(frozen=True, slots=True)
class _List:
    """What an app's list said."""

    since: float
    begun_at: float
    newest_first: Sequence[MachineSummary]
    unknown: set[str] = field(default_factory=set)
    """Listed, but Fly knew them no more when they were asked for; the next list asks again."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no list: for all who waited for it."""

    error: LaunchError
    at: float


@dataclass(slots=True)
class _App:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: list[float] = field(default_factory=list)
    """How far back the look-ups that wait want to see: one list is to do for all of them."""
    listed: _List | _Failure | None = None
    labels: dict[str, Label] = field(default_factory=dict)


@dataclass(slots=True)
class PreviousLaunches:
    """
    Looks messages up among the Machines of ours. Raises LaunchError where Fly does not say.

    One look-up of an app at a time: those of one batch ask for the same Machines, and all but the
    first find the answers here.
    """

    watcher: MachineWatcher
    clock: Callable[[], float]
    """Returns unix seconds."""
    _served: dict[str, float] = field(default_factory=dict)
    _apps: dict[str, _App] = field(default_factory=dict)
    _ends: OrderedDict[str, MachineEnd] = field(default_factory=OrderedDict)
    _seen_running: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _failed: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _asking: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def serve(self, apps: Iterable[str]) -> None:
        """
        The apps of a new routing table.

        Those of the tables before count for as long as SQS can hide a message that was launched
        there.
        """
        now = asyncio.get_running_loop().time()
        until = now + LONGEST_VISIBILITY
        self._served = {a: min(left, until) for a, left in self._served.items() if now < left}
        self._served.update((app, math.inf) for app in sorted(apps))

    def apps(self) -> Sequence[str]:
        """Every app in which a message may have been launched."""
        now = asyncio.get_running_loop().time()
        return [app for app, until in self._served.items() if now < until]

    async def holder_of(self, app: str, message: Message, received_at: float) -> Holder | None:
        """
        Return the newest Machine of this app that was created for the message; None if none was.

        No Machine is older than the message's first receive. `received_at` is the last receive, in
        the loop's time: an answer of Fly that was given after it is good enough.
        """
        known = self._apps.setdefault(app, _App())
        first = message.first_received_at
        since = (self.clock() - LONGEST_VISIBILITY if first is None else first) - _SKEW
        asked_at = asyncio.get_running_loop().time()
        known.wanted.append(since)
        try:
            async with known.turn:
                listed = await self._list_for(app, known, since, received_at, asked_at)
                found = await self._newest_with(app, listed, since, message_digest(message.id))
        finally:
            known.wanted.remove(since)
        if found is None:
            return None
        sighting, label = found
        end = await self._end_of(app, sighting, received_at)
        return Holder(app, sighting.id, sighting.created_at, label, end)

    async def label_of(self, app: str, machine_id: str) -> Label:
        """What the metadata of one Machine says. Raises LaunchError."""
        labels = self._apps.setdefault(app, _App()).labels
        if machine_id not in labels:
            labels[machine_id] = read_label(await self.watcher.metadata(app, machine_id))
        return labels[machine_id]

    async def reported_failed(self, app: str, machine_id: str, message_id: str) -> bool:
        """
        Whether the Machine reported this message as failed; to be asked after its end.

        Raises LaunchError, also if Fly does not know the Machine: then nobody can tell.
        """
        if machine_id not in self._failed:
            metadata = await self.watcher.metadata(app, machine_id)
            _keep(self._failed, machine_id, metadata.get(FAILED, ""))
        return is_joined_in(self._failed[machine_id], message_digest(message_id))

    async def _list_for(
        self, app: str, known: _App, since: float, received_at: float, asked_at: float
    ) -> _List:
        """A list that was begun after the receive, and goes back far enough."""
        listed = known.listed
        match listed:
            case _List():
                good = listed.begun_at >= received_at - _LAG and listed.since <= since
            case _Failure():
                good = listed.at >= asked_at
            case None:
                good = False
        if listed is None or not good:
            listed = known.listed = await self._list(app, min(known.wanted))
        if isinstance(listed, _Failure):
            raise listed.error.with_traceback(None)
        return listed

    async def _list(self, app: str, since: float) -> _List | _Failure:
        clock = asyncio.get_running_loop().time
        begun_at = clock()
        try:
            sightings = await self.watcher.launched_since(app, since)
        except LaunchError as error:
            return _Failure(error, clock())
        labels = self._apps[app].labels
        if len(labels) > _REMEMBERED:
            for machine_id in labels.keys() - {sighting.id for sighting in sightings}:
                del labels[machine_id]
        newest_first = sorted(sightings, key=lambda sighting: sighting.created_at, reverse=True)
        return _List(since, begun_at, newest_first)

    async def _newest_with(
        self, app: str, listed: _List, since: float, digest: str
    ) -> tuple[MachineSummary, Label] | None:
        if len(listed.newest_first) > _MANY:
            # Many look-ups may have waited for the list: each gets a turn of the loop for itself.
            await asyncio.sleep(0)
        labels = self._apps[app].labels
        for at, sighting in enumerate(listed.newest_first):
            label = labels.get(sighting.id)
            if label is None:
                if sighting.id in listed.unknown or 0.0 < sighting.created_at < since:
                    continue
                await self._read(app, listed, listed.newest_first[at : at + _AT_ONCE], since)
                label = labels.get(sighting.id)
                if label is None:
                    if sighting.id in listed.unknown:
                        continue
                    raise _not_known_yet(sighting)
            if label.holds(digest):
                return sighting, label
        return None

    async def _read(
        self, app: str, listed: _List, sightings: Sequence[MachineSummary], since: float
    ) -> None:
        """Read the labels of these Machines; one that is new and not known yet stays without."""
        unread = [
            sighting
            for sighting in sightings
            if sighting.id not in listed.unknown and not 0.0 < sighting.created_at < since
        ]
        reading = (self.label_of(app, sighting.id) for sighting in unread)
        labels = await asyncio.gather(*reading, return_exceptions=True)
        for sighting, label in zip(unread, labels, strict=True):
            if isinstance(label, MachineGone):
                if not self._is_new(sighting):
                    listed.unknown.add(sighting.id)
            elif isinstance(label, BaseException):
                raise label

    async def _end_of(
        self, app: str, sighting: MachineSummary, received_at: float
    ) -> MachineEnd | None:
        """How it ended; None if it ran after the receive: who waits for its end will see it."""
        machine_id = sighting.id
        async with self._asking.setdefault(machine_id, asyncio.Lock()):
            if machine_id in self._ends:
                return self._ends[machine_id]
            if self._seen_running.get(machine_id, -math.inf) >= received_at - _LAG:
                return None
            asked_at = asyncio.get_running_loop().time()
            try:
                end = await self.watcher.end_of(app, machine_id)
            except MachineGone:
                if self._is_new(sighting):
                    raise _not_known_yet(sighting) from None
                return MachineEnd(None, error="Fly does not know the Machine any more")
            if end is None:
                _keep(self._seen_running, machine_id, asked_at)
            else:
                _keep(self._ends, machine_id, end)
            return end

    def _is_new(self, sighting: MachineSummary) -> bool:
        """Whether Fly may not know it yet, although it lists it."""
        return self.clock() < sighting.created_at + _NEW_FOR


def _not_known_yet(sighting: MachineSummary) -> LaunchUnavailable:
    return LaunchUnavailable(
        f"Machines API: the Machine {sighting.id} is listed, and not known yet",
        code="not_known_yet",
    )


def _keep(cache: OrderedDict[str, _V], machine_id: str, value: _V) -> None:
    """What has ended changes no more; the oldest is forgotten beyond a bound."""
    cache[machine_id] = value
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)
