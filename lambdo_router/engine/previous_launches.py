"""
Whether a message was launched before.

There is no database: SQS holds the messages, Fly holds what was launched. A redelivered message is
looked up among the router's Machines, whatever their route, and the newest Machine that has it
decides. The look-up pulls no payloads: it takes one list of names, which serves every message that
was received before the list was requested, and the metadata of possible Machines, newest first. A
Machine's label never changes, so it is cached.
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
Seconds that an answer may be older than the receive of the message it is used for. A message is
redelivered when its lease or delay has ended, so its Machine is usually older than that.
"""
_NEW_FOR = 120.0
"""
Seconds after its creation in which Fly may list a Machine that it does not know yet: a minute, and
another for clocks that differ.
"""
_AT_ONCE = 16
_MANY = 200
"""Machines; ten look-ups among as many hold the loop for a few milliseconds."""
_REMEMBERED = 10_000
# The clocks of SQS and Fly need not agree to the second.
_SKEW = 60.0


@dataclass(frozen=True, slots=True)
class Holder:
    """The newest Machine that has a message."""

    app: str
    machine_id: str
    created_at: float
    """Unix seconds."""
    label: Label
    end: MachineEnd | None
    """None while it runs."""


@dataclass(frozen=True, slots=True)
class _List:
    """The answer to a list request."""

    since: float
    begun_at: float
    newest_first: Sequence[MachineSummary]
    unknown: set[str] = field(default_factory=set)
    """Machines that were listed, but unknown to Fly when asked for; the next list asks again."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """The failure of a list request, for all look-ups that waited for it."""

    error: LaunchError
    at: float


@dataclass(slots=True)
class _LookedUpApp:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: list[float] = field(default_factory=list)
    """How far back each waiting look-up must see: one list serves all of them."""
    listed: _List | _Failure | None = None
    labels: dict[str, Label] = field(default_factory=dict)


@dataclass(slots=True)
class PreviousLaunches:
    """
    Looks messages up among the router's Machines. Raises LaunchError if Fly does not answer.

    Each app has one look-up at a time: those of one batch ask for the same Machines, and all but
    the first find the answers in the cache.
    """

    watcher: MachineWatcher
    clock: Callable[[], float]
    """Returns unix seconds."""
    _served: dict[str, float] = field(default_factory=dict)
    _apps: dict[str, _LookedUpApp] = field(default_factory=dict)
    _ends: OrderedDict[str, MachineEnd] = field(default_factory=OrderedDict)
    _seen_running: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _failed: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _asking: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def serve(self, apps: Iterable[str]) -> None:
        """
        Set the apps of a new routing table.

        Apps of earlier tables count for as long as SQS can hide a message that was launched there.
        """
        now = asyncio.get_running_loop().time()
        until = now + LONGEST_VISIBILITY
        self._served = {a: min(left, until) for a, left in self._served.items() if now < left}
        self._served.update((app, math.inf) for app in sorted(apps))

    def apps(self) -> Sequence[str]:
        """Return every app in which a message may have been launched."""
        now = asyncio.get_running_loop().time()
        return [app for app, until in self._served.items() if now < until]

    async def holder_of(self, app: str, message: Message, received_at: float) -> Holder | None:
        """
        Return the newest Machine of this app that was created for the message; None if none was.

        No Machine is older than the message's first receive. `received_at` is the last receive, in
        the loop's time: an answer of Fly that was given after it is good enough.
        """
        known = self._apps.setdefault(app, _LookedUpApp())
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
        summary, label = found
        end = await self._end_of(app, summary, received_at)
        return Holder(app, summary.id, summary.created_at, label, end)

    async def label_of(self, app: str, machine_id: str) -> Label:
        """Return the label of one Machine. Raises LaunchError."""
        labels = self._apps.setdefault(app, _LookedUpApp()).labels
        if machine_id not in labels:
            labels[machine_id] = read_label(await self.watcher.metadata(app, machine_id))
        return labels[machine_id]

    async def reported_failed(self, app: str, machine_id: str, message_id: str) -> bool:
        """
        Return whether a Machine that has ended had reported this message as failed.

        Raises LaunchError, also if Fly does not know the Machine any more.
        """
        if machine_id not in self._failed:
            metadata = await self.watcher.metadata(app, machine_id)
            _keep(self._failed, machine_id, metadata.get(FAILED, ""))
        return is_joined_in(self._failed[machine_id], message_digest(message_id))

    async def _list_for(
        self, app: str, known: _LookedUpApp, since: float, received_at: float, asked_at: float
    ) -> _List:
        """Return a list that was requested after the receive, and goes back far enough."""
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
            summaries = await self.watcher.launched_since(app, since)
        except LaunchError as error:
            return _Failure(error, clock())
        labels = self._apps[app].labels
        if len(labels) > _REMEMBERED:
            for machine_id in labels.keys() - {summary.id for summary in summaries}:
                del labels[machine_id]
        newest_first = sorted(summaries, key=lambda summary: summary.created_at, reverse=True)
        return _List(since, begun_at, newest_first)

    async def _newest_with(
        self, app: str, listed: _List, since: float, digest: str
    ) -> tuple[MachineSummary, Label] | None:
        if len(listed.newest_first) > _MANY:
            # Many look-ups may have waited for the list: give other tasks a turn between them.
            await asyncio.sleep(0)
        labels = self._apps[app].labels
        for at, summary in enumerate(listed.newest_first):
            label = labels.get(summary.id)
            if label is None:
                if summary.id in listed.unknown or 0.0 < summary.created_at < since:
                    continue
                await self._read(app, listed, listed.newest_first[at : at + _AT_ONCE], since)
                label = labels.get(summary.id)
                if label is None:
                    if summary.id in listed.unknown:
                        continue
                    raise _not_known_yet(summary)
            if label.holds(digest):
                return summary, label
        return None

    async def _read(
        self, app: str, listed: _List, summaries: Sequence[MachineSummary], since: float
    ) -> None:
        """Read the labels of these Machines, except those that Fly does not know yet."""
        unread = [
            summary
            for summary in summaries
            if summary.id not in listed.unknown and not 0.0 < summary.created_at < since
        ]
        reading = (self.label_of(app, summary.id) for summary in unread)
        labels = await asyncio.gather(*reading, return_exceptions=True)
        for summary, label in zip(unread, labels, strict=True):
            if isinstance(label, MachineGone):
                if not self._is_new(summary):
                    listed.unknown.add(summary.id)
            elif isinstance(label, BaseException):
                raise label

    async def _end_of(
        self, app: str, summary: MachineSummary, received_at: float
    ) -> MachineEnd | None:
        """Return how a Machine ended; None if it was still running after the receive."""
        machine_id = summary.id
        async with self._asking.setdefault(machine_id, asyncio.Lock()):
            if machine_id in self._ends:
                return self._ends[machine_id]
            if self._seen_running.get(machine_id, -math.inf) >= received_at - _LAG:
                return None
            asked_at = asyncio.get_running_loop().time()
            try:
                end = await self.watcher.end_of(app, machine_id)
            except MachineGone:
                if self._is_new(summary):
                    raise _not_known_yet(summary) from None
                return MachineEnd(None, error="Fly does not know the Machine any more")
            if end is None:
                _keep(self._seen_running, machine_id, asked_at)
            else:
                _keep(self._ends, machine_id, end)
            return end

    def _is_new(self, summary: MachineSummary) -> bool:
        """Return whether Fly may list the Machine but not know it yet."""
        return self.clock() < summary.created_at + _NEW_FOR


def _not_known_yet(summary: MachineSummary) -> LaunchUnavailable:
    return LaunchUnavailable(
        f"Machines API: the Machine {summary.id} is listed, and not known yet",
        code="not_known_yet",
    )


def _keep(cache: OrderedDict[str, _V], machine_id: str, value: _V) -> None:
    """Cache what cannot change any more; beyond a bound the oldest is dropped."""
    cache[machine_id] = value
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)
