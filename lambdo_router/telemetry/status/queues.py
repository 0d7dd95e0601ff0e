"""What the facts about queues and messages change."""

from dataclasses import dataclass
from typing import assert_never

from lambdo_router.core import journal
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Retry
from lambdo_router.telemetry.status.known import Known
from lambdo_router.telemetry.status.status import FailureKind
from lambdo_router.telemetry.status.tracks import QueueTrack
from lambdo_router.telemetry.status.troubles import Failures, worse

MessageFact = journal.Received | journal.Redelivered | journal.Decided | journal.Settled
QueueFact = journal.QueueOpened | journal.QueueClosed | journal.Polled | journal.LeasesRenewed
LossFact = journal.LeaseLost | journal.SettlementFailed | journal.InternalError


@dataclass(frozen=True, slots=True)
class QueueFold:
    """Takes facts about queues and messages into account."""

    known: Known
    failures: Failures

    def message(self, fact: MessageFact, now: float) -> None:
        """A message came, was decided about, or is held no more."""
        queue = self.known.queues.get(fact.queue)
        if queue is None:
            return
        match fact:
            case journal.Received(message=message):
                queue.tally.add("received", now)
                if message.receive_count == 1 and (sent_at := message.sent_at) is not None:
                    queue.lag = max(0.0, now - sent_at)
            case journal.Redelivered():
                queue.tally.add("redelivered", now)
            case journal.Decided(decision=Routed(route=route)):
                if (track := self.known.sign(route.name, now)) is not None:
                    track.last_event = now
                    track.tally.add("routed", now)
            case journal.Decided(decision=Refused(route=route, reason=reason)):
                queue.count_reason(reason)
                track = None if route is None else self.known.sign(route.name, now)
                if track is not None:
                    track.tally.add("refused", now)
            case journal.Settled():
                self._settled(fact, queue, now)

    def _settled(self, fact: journal.Settled, queue: QueueTrack, now: float) -> None:
        match fact.settlement:
            case Acknowledge():
                count = "deleted"
                queue.worked("delete", now)
            case Retry():
                count = "retried"
            case Reject(to=to, rejection=rejection):
                count = "rejected"
                self.known.sends.pop(to, None)
                _count_late_reason(queue, rejection.reason)
            case Leave(reason=reason):
                count = "left"
                _count_late_reason(queue, reason)
            case unreachable:
                assert_never(unreachable)
        queue.tally.add(count, now)
        track = None if fact.route is None else self.known.routes.get(fact.route)
        if track is not None:
            track.tally.add(count, now)

    def queue(self, fact: QueueFact, now: float) -> None:
        """SQS has answered, or is not asked any more."""
        queue = self.known.queues.get(fact.queue)
        if queue is None:
            return
        match fact:
            case journal.QueueOpened():
                queue.worked("open", now)
                queue.readers, queue.since = queue.readers + 1, now
            case journal.QueueClosed():
                queue.readers -= 1
                if queue.leaving_since is not None and queue.readers == 0:
                    del self.known.queues[fact.queue]
            case journal.Polled(messages=messages, limit=limit):
                queue.worked("receive", now)
                queue.last_poll, queue.more = now, messages >= limit
            case journal.LeasesRenewed():
                queue.worked("renew", now)

    def failed(self, fact: journal.QueueFailed, now: float) -> None:
        """A call to SQS has failed."""
        text = f"{fact.action}: {fact.error}"
        self.failures.note("queue", text, fact.error.code, now, queue=fact.queue)
        if fact.action == "send":
            before = self.known.sends.get(fact.queue)
            self.known.sends[fact.queue] = worse(before, "send", fact.error, now, fact.pause)
        elif (queue := self.known.queues.get(fact.queue)) is not None:
            before = queue.troubles.get(fact.action)
            queue.troubles[fact.action] = worse(before, fact.action, fact.error, now, fact.pause)

    def loss(self, fact: LossFact, now: float) -> None:
        """Messages will be delivered again, though nothing was wrong with them."""
        kind: FailureKind
        match fact:
            case journal.LeaseLost(why=why):
                kind, text, code = "lease", f"lease lost: {why}", ""
            case journal.SettlementFailed(action=action, why=why):
                kind, text, code = "settlement", f"{action}: {why}", ""
            case journal.InternalError(error=error):
                kind, code = "defect", type(error).__name__
                text = f"a defect of lambdo-router ({code}); its log has more"
            case unreachable:
                assert_never(unreachable)
        messages = len(fact.message_ids)
        self.failures.note(kind, text, code, now, queue=fact.queue, count=messages)


def _count_late_reason(queue: QueueTrack, reason: str) -> None:
    # What `decide` refuses was counted then, with the reason that it gave.
    if reason in ("too_large", "max_attempts"):
        queue.count_reason(reason)
