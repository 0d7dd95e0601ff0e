"""The last batches and the last failures, without the body of any message."""

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from lambdo_router.core.batch import Batch
from lambdo_router.telemetry.status.document import (
    BatchStatus,
    EventStatus,
    FailureKind,
    FailureRecord,
)
from lambdo_router.telemetry.status.tracks import cut

_BATCHES, _FAILURES = 200, 50
_EVENTS = 10
"""Events of a batch that are named."""
_REQUEST = re.compile(r" \(request [^()]*\)")
"""Fly's request id at the end of its error texts, which differs each time."""

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class RecentHistory:
    """Remembers batches by id, and failures by what makes them alike; the newest come last."""

    def __init__(self) -> None:
        self._batches: OrderedDict[str, dict[str, Any]] = OrderedDict()
        """Fields of a BatchStatus, which is made only when somebody looks."""
        self.failures: OrderedDict[Hashable, FailureRecord] = OrderedDict()

    def update(self, batch: Batch, batch_id: str, now: float, **changes: Any) -> None:  # noqa: ANN401 - fields of a BatchStatus
        """Change what is known of a batch, which keeps its place; an unknown one begins now."""
        known = self._batches.get(batch_id)
        if known is None:
            known = _begun(batch, batch_id, now)
            _remember(self._batches, batch_id, known, _BATCHES)
        known.update(changes)

    def batches(self) -> Iterator[BatchStatus]:
        """Yield the batches, the newest first."""
        for fields in reversed(self._batches.values()):
            events = tuple(EventStatus(*event) for event in fields["events"])
            yield BatchStatus(**{**fields, "events": events})

    def broken(self, message_ids: tuple[str, ...], text: str, now: float) -> None:
        """Note that a defect has ended the batch with these messages, if it is one."""
        for batch in self._batches.values():
            same = len(message_ids) == batch["event_count"]
            same = same and message_ids[:1] == (batch["events"][0][0],)
            if same and batch.get("ended") is None:
                if batch.get("machine_id") is None:
                    batch["state"] = "not_launched"
                batch.update(ended=now, failure=text)

    def failed(
        self,
        kind: FailureKind,
        text: str,
        code: str,
        now: float,
        *,
        count: int = 1,
        batch: Batch | None = None,
        **about: str | None,
    ) -> FailureRecord:
        """Remember a failure and what it is `about`; return it with how often it happened."""
        if batch is not None:
            key = batch.key
            about |= {"route": key.route.name, "queue": key.queue, "app": key.profile.app}
        made = FailureRecord(kind, cut(text), code, now, now, count, **about)
        alike = (kind, _REQUEST.sub("", text), made.route, made.queue, made.app)
        if (before := self.failures.pop(alike, None)) is not None:
            made = replace(made, first=before.first, count=before.count + count)
        _remember(self.failures, alike, made, _FAILURES)
        return made


def _remember(memory: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    memory[key] = value
    if len(memory) > most:
        memory.popitem(last=False)


def _begun(batch: Batch, batch_id: str, now: float) -> dict[str, Any]:
    key, profile = batch.key, batch.key.profile
    first = [entry.message for entry in batch.entries[:_EVENTS]]
    return {
        "id": batch_id,
        "route": key.route.name,
        "queue": key.queue,
        "app": profile.app,
        "profile": profile.name,
        "size": profile.size,
        "state": "launching",
        "events": [(message.id, message.receive_count) for message in first],
        "event_count": len(batch.entries),
        "event_bytes": batch.raw_bytes,
        "closed": now,
        "waited": 0.0,
    }
