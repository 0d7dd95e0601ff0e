"""
Check the queues of a routes file against what SQS reports.

Pure: the facts are an argument. Every finding is at the place of the queue's address and says how
to fix it. What cannot be seen from outside (IAM permissions, a KMS key) is reported as unknown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lambdo_router.adapters.sqs.inspection import QueueFacts, Redrive
from lambdo_router.adapters.sqs.policy import verdict
from lambdo_router.config.diagnostics import Diagnostic, Severity
from lambdo_router.config.explain.resolved import duration_text
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.core.errors import QueueError, QueueRefused
from lambdo_router.core.lease import LONGEST_VISIBILITY
from lambdo_router.core.routing import Queue, RoutingTable

_LEAST_RECEIVES: Final = 3
"""A router that is stopped or killed uses up receives without an attempt."""
_SHORT_REUSE: Final = 300.0
"""Seconds: SQS's own default for a data key."""
_READING: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
_SENDING: Final = ("sqs:SendMessage",)
_NOT_THERE: Final = ("QueueDoesNotExist", "NonExistentQueue")

QueueAnswers = Mapping[str, QueueFacts | QueueError]
"""The answers, by name of the queue."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A queue of the file, and what SQS reports about it."""

    draft: Draft
    table: RoutingTable
    queue: Queue
    facts: QueueFacts

    @property
    def at(self) -> Path:
        return place_of(self.draft, self.queue.name)

    @property
    def called(self) -> str:
        return f"queue `{self.queue.name}`"

    @property
    def is_read(self) -> bool:
        return bool(self.table.routes_of(self.queue.name))

    def finding(
        self, code: str, message: str, hint: str, severity: Severity = "warning"
    ) -> Diagnostic:
        return self.draft.diagnostic(self.at, code, message, severity=severity, hint=hint)


def place_of(draft: Draft, queue: str) -> Path:
    """Return where the address of a queue is written."""
    key = "url" if draft.is_written(("queues", queue, "url")) else "name"
    return ("queues", queue, key)


def queue_findings(
    draft: Draft, table: RoutingTable, answers: QueueAnswers
) -> Iterator[Diagnostic]:
    """Return what is wrong, questionable or unknown about the queues."""
    for name, answer in answers.items():
        if isinstance(answer, QueueError):
            yield _unanswered(draft, name, answer)
            continue
        look = _Look(draft, table, table.queues[name], answer)
        if not answer.attributes:
            yield look.finding(
                "queue-not-inspected",
                f"{look.called} is there, and what it is set to may not be read",
                "allow sqs:GetQueueAttributes on it",
            )
            continue
        yield from _policies(look)
        yield from _encryption(look)
        if look.is_read:
            yield from _redrive(look)
            yield from _retention(look)
            yield from _visibility(look)
            yield from _kinds(look, answers)


def _unanswered(draft: Draft, name: str, error: QueueError) -> Diagnostic:
    at, text = place_of(draft, name), str(error)
    if not isinstance(error, QueueRefused):
        hint = "what depends on it was not checked; try again"
        return draft.diagnostic(at, "service-unreachable", text, hint=hint)
    if any(word in error.code for word in _NOT_THERE):
        return draft.diagnostic(at, "queue-not-found", text, hint="or create the queue")
    return draft.diagnostic(at, "queue-refused", text)


def _policies(look: _Look) -> Iterator[Diagnostic]:
    """Return the permissions that the queue's policy denies, or fails to grant where it must."""
    queues = look.table.sources()
    rejecting = [queue.name for queue in queues if queue.reject_to == look.queue.name]
    wanted = (*(_READING if look.is_read else ()), *(_SENDING if rejecting else ()))
    found = {
        action: verdict(look.facts.policy, action, look.facts.arn, look.facts.caller)
        for action in wanted
    }
    denied = [action for action in wanted if found[action] == "denied"]
    missing = [action for action in wanted if found[action] == "not_allowed"]
    consequence = f"; queue `{rejecting[0]}` rejects to it" if rejecting else ""
    if denied:
        what = f"the policy of {look.called} denies {', '.join(denied)}{consequence}"
        hint = "take the router out of that statement, as with a condition on aws:PrincipalArn"
        yield look.finding("queue-policy-denies", what, hint, "error")
    if missing:
        caller = look.facts.caller
        account = "" if caller is None else f" {caller.account}"
        what = (
            f"{look.called} is in another account than the router{account}, and its policy does "
            f"not allow {', '.join(missing)}{consequence}"
        )
        who = "the router's role" if caller is None else caller.arn
        hint = f"allow it to {who}; or assume a role of that account with `role_arn`"
        yield look.finding("queue-policy-denies", what, hint, "error")


def _encryption(look: _Look) -> Iterator[Diagnostic]:
    key = look.facts.kms_key
    if not key:
        return
    needed = "kms:Decrypt" if look.is_read else "kms:GenerateDataKey and kms:Decrypt"
    what = (
        f"{look.called} is encrypted with the key {key} of KMS, for which the router needs "
        f"{needed}; whether it has that cannot be seen from here"
    )
    hint = "allow it in the role and in the key's policy, then ignore this warning"
    reuse = look.facts.kms_reuse
    if reuse is not None and reuse < _SHORT_REUSE:
        hint += (
            f"; and KMS is asked every {duration_text(reuse)}, which costs and may throttle: set "
            "KmsDataKeyReusePeriodSeconds to 300 or more"
        )
    yield look.finding("queue-needs-kms", what, hint)


def _redrive(look: _Look) -> Iterator[Diagnostic]:
    redrive = look.facts.redrive
    attempts = [route.profile.max_attempts for route in look.table.routes_of(look.queue.name)]
    rejects = look.queue.reject_to is not None
    if redrive is None:
        if not rejects:
            what = f"{look.called} has neither a redrive policy nor `reject_to`"
            hint = "write `reject_to`, or give it a dead-letter queue with a maxReceiveCount"
        elif None in attempts:
            what = f"{look.called} has no redrive policy, and a route of it no `max_attempts`"
            hint = "write `max_attempts` in the profile, or give the queue a dead-letter queue"
        else:
            return
        what += ": what fails again and again comes back until its retention ends"
        yield look.finding("no-redrive-policy", what, hint)
        return
    limits = [most for most in attempts if rejects and most is not None]
    if limits and redrive.most_receives < max(limits):
        yield look.finding(
            "redrive-too-soon",
            f"SQS takes a message from {look.called} after {_receives(redrive)}, before the router "
            f"would reject it after {max(limits)} (`max_attempts`), and gives no reason",
            f"set maxReceiveCount to {max(limits) + 2} or more, or `max_attempts` to "
            f"{redrive.most_receives} at most",
        )
    elif redrive.most_receives < _LEAST_RECEIVES:
        yield look.finding(
            "redrive-too-soon",
            f"SQS takes a message from {look.called} after {_receives(redrive)}; a router that is "
            "stopped or killed uses up a receive, so that is soon",
            f"set maxReceiveCount to {_LEAST_RECEIVES} or more, 5 is usual",
        )


def _receives(redrive: Redrive) -> str:
    return "1 receive" if redrive.most_receives == 1 else f"{redrive.most_receives} receives"


def _retention(look: _Look) -> Iterator[Diagnostic]:
    retention = look.facts.retention
    if retention is not None and retention < LONGEST_VISIBILITY:
        yield look.finding(
            "retention-short",
            f"SQS deletes the messages of {look.called} {duration_text(retention)} after they were "
            "sent, also while the router holds them, which can be for 12h",
            "set MessageRetentionPeriod to a day or more (86400), 4 days are usual",
        )


def _visibility(look: _Look) -> Iterator[Diagnostic]:
    if look.facts.visibility == 0:
        yield look.finding(
            "queue-visibility-zero",
            f"the visibility timeout of {look.called} itself is 0: the router asks for its own "
            f"({duration_text(look.queue.visibility)}), but what anybody else receives, as in the "
            "console, is not hidden from the router",
            "set VisibilityTimeout to 30 or more",
        )


def _kinds(look: _Look, answers: QueueAnswers) -> Iterator[Diagnostic]:
    target = answers.get(look.queue.reject_to or "")
    if not isinstance(target, QueueFacts) or not target.attributes:
        return
    if look.facts.fifo and not target.fifo:
        yield look.draft.diagnostic(
            ("queues", look.queue.name, "reject_to"),
            "queue-kinds-differ",
            f"{look.called} is a FIFO queue and `{look.queue.reject_to}`, where it rejects to, is "
            "a standard queue: there the order of a group is lost, and a message may be twice",
            severity="warning",
            hint="reject to a FIFO queue (its name ends with .fifo)",
        )
