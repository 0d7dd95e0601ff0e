"""The batches of late: what was in them, and what became of their Machines."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.machine import batch_id_of
from lambdo_router.telemetry.status.status import BatchStatus, EventStatus
from lambdo_router.telemetry.status.troubles import cut

_BATCHES = 200
_EVENTS = 10
"""Of a batch that are named."""


class Batches:
    """The last two hundred, without a body of any message."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, BatchStatus] = OrderedDict()

    def closed(self, fact: journal.BatchClosed, now: float) -> None:
        """A batch is about to be launched."""
        self._keep(_begun(fact.batch, fact.batch_id, now, fact.waited))

    def launched(self, fact: journal.Launched, now: float) -> None:
        """Fly has taken its Machine."""
        careful = fact.batch.key.profile.acknowledge == "success"
        self._keep(
            replace(
                self._known.get(fact.batch_id) or _begun(fact.batch, fact.batch_id, now),
                state="running" if careful else "launched",
                attempts=fact.attempts,
                machine_id=fact.machine.id,
                machine_name=fact.machine.name,
                region=fact.machine.region,
                launched=now,
                launch_seconds=fact.seconds,
                failure="",
            )
        )

    def launch_failed(self, fact: journal.LaunchFailed, now: float) -> str:
        """One attempt has failed; the id of the batch."""
        batch_id = batch_id_of(fact.batch)
        self._keep(
            replace(
                self._known.get(batch_id) or _begun(fact.batch, batch_id, now),
                state="launching" if fact.pause is not None else "not_launched",
                attempts=fact.attempt,
                ended=None if fact.pause is not None else now,
                failure=cut(str(fact.error)),
            )
        )
        return batch_id

    def ended(self, fact: journal.MachineEnded, now: float) -> None:
        """Its Machine has ended."""
        self._keep(
            replace(
                self._known.get(fact.batch_id) or _begun(fact.batch, fact.batch_id, now),
                state=fact.kind,
                machine_id=fact.machine_id,
                ended=now,
                seconds=fact.seconds,
                exit_code=fact.exit_code,
                reported=fact.reported,
                failure=cut(fact.failure),
            )
        )

    def broken(self, message_ids: tuple[str, ...], text: str, now: float) -> None:
        """A defect of this program has cost the batch that these messages are in, if it is one."""
        for batch in tuple(self._known.values()):
            if batch.ended is None and message_ids and batch.events:
                same = len(message_ids) == batch.event_count
                if same and batch.events[0].message_id == message_ids[0]:
                    state = "not_launched" if batch.machine_id is None else batch.state
                    self._keep(replace(batch, state=state, ended=now, failure=cut(text)))

    def newest_first(self) -> Iterator[BatchStatus]:
        """The one that was closed last comes first."""
        return reversed(self._known.values())

    def _keep(self, batch: BatchStatus) -> None:
        self._known[batch.id] = batch  # one that is known keeps its place
        if len(self._known) > _BATCHES:
            self._known.popitem(last=False)


def _begun(batch: Batch, batch_id: str, now: float, waited: float = 0.0) -> BatchStatus:
    key = batch.key
    return BatchStatus(
        id=batch_id,
        route=key.route.name,
        queue=key.queue,
        app=key.profile.app,
        profile=key.profile.name,
        size=key.profile.size,
        state="launching",
        events=tuple(
            EventStatus(entry.message.id, entry.message.receive_count)
            for entry in batch.entries[:_EVENTS]
        ),
        event_count=len(batch.entries),
        event_bytes=sum(entry.raw_bytes for entry in batch.entries),
        closed=now,
        waited=waited,
    )
