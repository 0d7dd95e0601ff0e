"""
The messages that the router holds, and until when SQS hides them from others.

A message is leased from receipt to settlement: while its batch fills, while it waits for a launch
slot, while its Machine is created. A lease is renewed once half of it has passed. SQS hides a
message for at most 12 hours from its receive, whatever is asked; after that the lease expires.

Pure: time is an argument, in seconds of any clock that does not jump.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf

LONGEST_VISIBILITY = 43_200
"""Seconds from the receive that a message can be hidden in all (SQS's 12 hours)."""
MOST_PER_CALL = 10
"""Messages in one receive, delete or change of visibility."""
MOST_ATTRIBUTES = 10
"""User attributes of a message."""
LARGEST_MESSAGE = 1_048_576
"""Bytes of a message, attributes included (SQS's limit since August 2025)."""
# SQS refuses, and does not clamp, a visibility that would pass the 12 hours by its own clock.
_MARGIN = 2.0
_SPARE_ALARMS = 1000
"""Alarms of ended leases that may accumulate before they are removed."""


def longest_hiding(held_for: float) -> float:
    """Return for how many seconds SQS hides a message that was received `held_for` seconds ago."""
    return max(0.0, LONGEST_VISIBILITY - _MARGIN - held_for)


@dataclass(slots=True)
class _Lease:
    receipt: str
    seconds: float
    held_since: float
    expires_at: float
    renew_at: float
    lost: bool = False
    grows_to: float = 0.0
    alarm: float = inf
    """When to look at the lease again."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """Messages to hide for `seconds` more."""

    message_ids: tuple[str, ...]
    seconds: float


class LeaseBook:
    """
    Every message of one queue that is held: received and not settled yet.

    Alarms are in a heap, so that finding what is due does not depend on how much is held. Messages
    of one receive or renewal share a time, and so an entry of the heap. An outdated alarm is
    skipped when it comes up.
    """

    def __init__(self) -> None:
        self._leases: dict[str, _Lease] = {}
        self._alarm_times: list[float] = []
        self._alarms: dict[float, list[str]] = {}
        self._alarms_set = 0
        """How many messages the alarms name, outdated ones included."""
        self._ringing: set[str] = set()
        """Leases whose alarm went off and that were not dealt with yet."""

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._leases

    def hold(self, message_id: str, receipt: str, now: float, seconds: float) -> bool:
        """
        Start a lease. False if the message is held already: a redelivery, whose receipt replaces
        the stale one and whose event must not be routed twice.
        """
        new = message_id not in self._leases
        lease = _Lease(receipt, seconds, now, now + seconds, now + seconds / 2)
        self._leases[message_id] = lease
        self._set_alarm(message_id, lease)
        return new

    def receipts(self, message_ids: Iterable[str]) -> dict[str, str]:
        """Return the newest receipt of each of these messages that is held, as receipt -> ID."""
        return {self._leases[i].receipt: i for i in message_ids if i in self._leases}

    def release(self, message_ids: Iterable[str]) -> None:
        """End leases; they are not renewed any more. Messages that are not held are ignored."""
        for message_id in message_ids:
            self._leases.pop(message_id, None)
            self._ringing.discard(message_id)

    def next_due(self) -> float | None:
        """Return the time of the next renewal or expiry; None if there is none."""
        if self._ringing:
            return min(self._leases[message_id].alarm for message_id in self._ringing)
        while self._alarm_times:
            at = self._alarm_times[0]
            ids = self._alarms[at]
            while ids and self._is_outdated(at, ids[-1]):
                ids.pop()
                self._alarms_set -= 1
            if ids:
                return at
            self._take_first()
        return None

    def due(self, now: float, limit: int) -> tuple[Renewal, ...]:
        """Return the due renewals, oldest first, with at most `limit` messages in each."""
        ready: dict[float, list[str]] = {}
        due = [(self._leases[i].renew_at, i) for i in self._ring(now)]
        for renew_at, message_id in sorted(due):
            lease = self._leases[message_id]
            if renew_at > now:
                continue
            rest = longest_hiding(now - lease.held_since)
            ready.setdefault(min(lease.seconds, rest), []).append(message_id)
        return tuple(
            Renewal(tuple(ids[start : start + limit]), seconds)
            for seconds, ids in ready.items()
            if seconds > 0
            for start in range(0, len(ids), limit)
        )

    def renewed(self, message_ids: Iterable[str], asked_at: float, seconds: float) -> None:
        """Extend leases that SQS renewed, counting from the request: SQS counts from later."""
        for message_id in message_ids:
            lease = self._leases.get(message_id)
            if lease is not None:
                lease.expires_at = asked_at + seconds
                rest = longest_hiding(asked_at - lease.held_since)
                lease.renew_at = asked_at + seconds / 2 if rest > seconds else lease.expires_at
                lease.seconds = max(lease.seconds, min(lease.seconds * 2, lease.grows_to))
                self._set_alarm(message_id, lease)

    def grow(self, message_ids: Iterable[str], longest: float) -> None:
        """
        Double the lease at each renewal from now on, up to `longest` seconds.

        For messages in a running Machine: few calls while it runs, and a crash of the router delays
        them by no more than that.
        """
        for message_id in message_ids:
            lease = self._leases.get(message_id)
            if lease is not None:
                lease.grows_to = longest

    def suspend(self, message_ids: Iterable[str]) -> None:
        """Let no renewal of these be due until `renewed` or `postpone`: one is in flight."""
        for message_id in message_ids:
            lease = self._leases.get(message_id)
            if lease is not None:
                lease.renew_at = inf
                self._set_alarm(message_id, lease)

    def postpone(self, message_ids: Iterable[str], until: float) -> None:
        """Retry a failed renewal at `until`."""
        for message_id in message_ids:
            lease = self._leases.get(message_id)
            if lease is not None:
                lease.renew_at = until
                self._set_alarm(message_id, lease)

    def lose(self, message_ids: Iterable[str]) -> tuple[str, ...]:
        """Mark leases as lost, since others may have the messages; return those that were held."""
        lost = tuple(i for i in message_ids if i in self._leases and not self._leases[i].lost)
        for message_id in lost:
            self._leases[message_id].lost = True
            self._ringing.discard(message_id)
        return lost

    def expire(self, now: float) -> tuple[str, ...]:
        """Mark expired leases as lost, and return their messages."""
        return self.lose([i for i in self._ring(now) if self._leases[i].expires_at <= now])

    def is_lost(self, message_id: str) -> bool:
        """Return whether the message is held here, but perhaps by others too."""
        lease = self._leases.get(message_id)
        return lease is not None and lease.lost

    def is_healthy(self, message_id: str, now: float) -> bool:
        """Return whether the message is held, and hidden from others as far as is known."""
        lease = self._leases.get(message_id)
        return lease is not None and not lease.lost and lease.expires_at > now

    def held_for(self, message_id: str, now: float) -> float:
        """Return the seconds since the receive; 0.0 if the message is not held."""
        lease = self._leases.get(message_id)
        return now - lease.held_since if lease is not None else 0.0

    def least_margin(self, now: float) -> float | None:
        """Return the seconds until the first lease that is not lost expires; None if none."""
        return min(
            (lease.expires_at - now for lease in self._leases.values() if not lease.lost),
            default=None,
        )

    def margin(self, message_ids: Sequence[str], now: float) -> float:
        """Return the seconds until the first of these leases expires."""
        return min(
            (self._leases[i].expires_at - now for i in message_ids if i in self._leases),
            default=0.0,
        )

    def _set_alarm(self, message_id: str, lease: _Lease) -> None:
        self._ringing.discard(message_id)
        lease.alarm = min(lease.renew_at, lease.expires_at)
        set_then = self._alarms.get(lease.alarm)
        if set_then is not None:
            set_then.append(message_id)
        else:
            self._alarms[lease.alarm] = [message_id]
            heappush(self._alarm_times, lease.alarm)
        self._alarms_set += 1
        if self._alarms_set > 2 * len(self._leases) + _SPARE_ALARMS:
            self._drop_outdated()

    def _drop_outdated(self) -> None:
        current = {
            at: [i for i in ids if not self._is_outdated(at, i)] for at, ids in self._alarms.items()
        }
        self._alarms = {at: ids for at, ids in current.items() if ids}
        self._alarm_times = list(self._alarms)
        heapify(self._alarm_times)
        self._alarms_set = sum(map(len, self._alarms.values()))

    def _is_outdated(self, at: float, message_id: str) -> bool:
        lease = self._leases.get(message_id)
        return lease is None or lease.lost or lease.alarm != at

    def _take_first(self) -> list[str]:
        """Remove the first time of the heap; return the messages whose alarm it is."""
        at = heappop(self._alarm_times)
        ids = self._alarms.pop(at)
        self._alarms_set -= len(ids)
        return [i for i in ids if not self._is_outdated(at, i)]

    def _ring(self, now: float) -> set[str]:
        """Return the leases whose alarm has gone off by now and that were not dealt with yet."""
        while self._alarm_times and self._alarm_times[0] <= now:
            self._ringing.update(self._take_first())
        return self._ringing
