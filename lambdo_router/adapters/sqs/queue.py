"""
One SQS queue, standard or FIFO: receive, delete, set_visibility and send.

A batch call that SQS answers with 200 may have failed for some of its entries. Those of which SQS
says that it is its own fault are tried again, those that it refuses are returned with its reason,
and so that one answer cannot be read as another, an entry it does not mention has failed too.
"""

import asyncio
import hashlib
import logging
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lambdo_router.adapters.sqs.address import without_password
from lambdo_router.adapters.sqs.attempts import Attempts
from lambdo_router.adapters.sqs.failures import translated
from lambdo_router.adapters.sqs.threads import Threads
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueUnavailable
from lambdo_router.core.lease import LONGEST_VISIBILITY, MOST_PER_CALL
from lambdo_router.core.message import Attribute, Message

if TYPE_CHECKING:  # the stubs are no dependency of the package
    from mypy_boto3_sqs import SQSClient

MOST_POLLS = 8
"""Receives of one queue at the same time; further ones wait."""
MOST_CALLS = 8
"""Other calls to one queue at the same time; further ones wait."""
_TRIES = 4
"""Of the entries of a batch call that fail by SQS's own fault."""
_TOKEN = re.compile(r"[!-~]{1,128}")
"""What SQS takes as a group or a deduplication id."""
_log = logging.getLogger(__name__)

_BatchCall = Callable[[list[dict[str, Any]]], Mapping[str, Any]]


class SqsQueue:
    """
    A queue that was found by SqsConnector.

    `url` is the queue's URL, which need not be reachable: requests go to the clients' endpoint.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        poll: "SQSClient",
        calls: "SQSClient",
        threads: Threads,
        wait_seconds: int,
        notes: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._url = url
        self._poll = poll
        self._calls = calls
        self._endpoint = without_password(calls.meta.endpoint_url)
        self._wait_seconds = wait_seconds
        self._threads = threads
        self._polling = Threads(f"poll-{name}", 1 if self.fifo else MOST_POLLS)
        self._attempts = Attempts()
        self.notes = tuple(notes)
        """What was found at connecting that is worth a warning."""
        self.corrupt = 0
        """Messages that did not arrive as they were sent: left to be delivered again."""

    @property
    def name(self) -> str:
        """The queue's name in the routes file."""
        return self._name

    @property
    def url(self) -> str:
        """The queue's URL at SQS."""
        return self._url

    @property
    def fifo(self) -> bool:
        """Whether SQS keeps the order of each message group: its SQS name ends in `.fifo`."""
        return self._url.endswith(".fifo")

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        """
        One long poll, never repeated here. A call that is cancelled goes on in its thread; what
        it brings is given back at once, if the process lives that long.

        On a FIFO queue the receive after one whose answer was lost gets what that one took, and
        so perhaps more than `limit`.
        """

        def poll() -> Sequence[Mapping[str, Any]]:
            if not self.fifo:
                return self._receive(limit, visibility, {})
            return self._attempts.make(
                lambda attempt: self._receive(
                    limit, visibility, {"ReceiveRequestAttemptId": attempt}
                )
            )

        def late(received: Sequence[Mapping[str, Any]]) -> None:
            # Not in a thread of the polls: they may all be at the next poll already.
            self._threads.submit(lambda: self._give_back(received))

        received = await self._polling.run(poll, late)
        return [message for each in received if (message := self._read(each)) is not None]

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        """Delete; the receipts that SQS refused, each with its reason. Fails if any is open."""

        def call(entries: list[dict[str, Any]]) -> Mapping[str, Any]:
            return self._calls.delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type] # the same shape

        return await self._in_tens({receipt: {} for receipt in receipts}, call, "delete")

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """Hide for whole seconds, rounded up; the receipts that SQS refused, with its reasons."""

        def call(entries: list[dict[str, Any]]) -> Mapping[str, Any]:
            return self._calls.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=entries,  # type: ignore[arg-type] # the same shape
            )

        wanted = {
            receipt: {"VisibilityTimeout": _whole_seconds(length)}
            for receipt, length in seconds.items()
        }
        return await self._in_tens(wanted, call, "change visibility")

    async def send(
        self,
        body: str,
        attributes: Mapping[str, Attribute],
        *,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str:
        """
        Send one message; its id. Lost answers are tried again, and may leave it there twice, but
        not on a FIFO queue.

        `group` is the message's MessageGroupId, on a FIFO queue one of its own if it is None. A
        FIFO queue takes a message with the same `deduplication` once in five minutes; None is
        like no other. Other queues don't know it. What SQS would not take as one of them goes by
        its SHA-256.
        """
        more = self._addressing(group, deduplication)

        def call() -> str:
            with translated(self._doing("send")):
                sent = self._calls.send_message(
                    QueueUrl=self._url,
                    MessageBody=body,
                    MessageAttributes={
                        key: _wire_attribute(attribute) for key, attribute in attributes.items()
                    },
                    **more,
                )
            return sent.get("MessageId", "")

        return await self._threads.run(call)

    async def attributes(self) -> Mapping[str, str]:
        """Return the queue's own attributes, as SQS spells them. Its counts are approximate."""

        def call() -> Mapping[str, str]:
            with translated(self._doing("get attributes")):
                answer = self._calls.get_queue_attributes(
                    QueueUrl=self._url, AttributeNames=["All"]
                )
            return {str(name): value for name, value in answer.get("Attributes", {}).items()}

        return await self._threads.run(call)

    def stop(self) -> None:
        """End the threads of the polls as soon as they are idle."""
        self._polling.stop()

    def _receive(
        self, limit: int, visibility: float, more: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]]:
        with translated(self._doing("receive")):
            answer = self._poll.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(limit, MOST_PER_CALL),
                VisibilityTimeout=_whole_seconds(visibility),
                WaitTimeSeconds=self._wait_seconds,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                **more,
            )
        return answer.get("Messages", [])

    def _addressing(self, group: str | None, deduplication: str | None) -> dict[str, Any]:
        if not self.fifo:
            return {"MessageGroupId": _token(group)} if group else {}
        unique = str(uuid4())
        return {
            "MessageGroupId": _token(group or unique),
            "MessageDeduplicationId": _token(deduplication or unique),
        }

    async def _in_tens(
        self, wanted: Mapping[str, Mapping[str, Any]], call: _BatchCall, action: str
    ) -> Mapping[str, str]:
        """`wanted` is what is to be done with each receipt, beside naming it."""
        distinct = tuple(wanted)
        tens = [
            distinct[start : start + MOST_PER_CALL]
            for start in range(0, len(distinct), MOST_PER_CALL)
        ]
        # Each ten is seen to its end: one that fails must not leave the others unheard.
        outcomes = await asyncio.gather(
            *(self._ten(ten, wanted, call, action) for ten in tens), return_exceptions=True
        )
        refused: dict[str, str] = {}
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            refused.update(outcome)
        return refused

    async def _ten(
        self,
        receipts: Sequence[str],
        wanted: Mapping[str, Mapping[str, Any]],
        call: _BatchCall,
        action: str,
    ) -> Mapping[str, str]:
        """One batch call, repeated for the entries that SQS itself failed."""
        refused: dict[str, str] = {}
        pending = tuple(receipts)
        for attempt in range(1, _TRIES + 1):
            entries = [
                {"Id": str(position), "ReceiptHandle": receipt, **wanted[receipt]}
                for position, receipt in enumerate(pending)
            ]

            def make(entries: list[dict[str, Any]] = entries) -> Mapping[str, Any]:
                with translated(self._doing(action)):
                    return call(entries)

            answer = await self._threads.run(make)
            pending, why = _read_failures(pending, answer, refused)
            if not pending:
                return refused
            if attempt < _TRIES:
                jitter = random.random()  # noqa: S311 # no secret
                await asyncio.sleep(backoff(attempt, first=0.2, longest=2.0, jitter=jitter))
        raise QueueUnavailable(
            f"{self._doing(action)}: {len(pending)} of {len(receipts)} entries failed "
            f"{_TRIES} times; {why}",
            code=why.partition(":")[0],
        )

    def _read(self, wire: Mapping[str, Any]) -> Message | None:
        """Return the message; None, which leaves it to SQS, if its checksum does not match."""
        body, digest = wire.get("Body", ""), wire.get("MD5OfBody")
        receipt, message_id = wire.get("ReceiptHandle", ""), wire.get("MessageId", "")
        if not receipt or (digest and digest.lower() != _md5(body)):
            self.corrupt += 1
            fields = {"queue": self._name, "message": message_id}
            _log.warning("message.corrupt queue=%(queue)s message=%(message)s", fields)
            return None
        return Message(
            id=message_id,
            receipt=receipt,
            body=body,
            attributes={
                key: _read_attribute(value)
                for key, value in wire.get("MessageAttributes", {}).items()
            },
            system=dict(wire.get("Attributes", {})),
        )

    def _give_back(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Make messages visible again that came when nobody waited for them any more."""
        entries = [
            {"Id": str(at), "ReceiptHandle": each["ReceiptHandle"], "VisibilityTimeout": 0}
            for at, each in enumerate(messages)
            if each.get("ReceiptHandle")
        ]
        if not entries:
            return
        try:
            with translated(self._doing("give back")):
                self._calls.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=entries,  # type: ignore[arg-type] # the same shape
                )
        except QueueError as error:
            fields = {"queue": self._name, "messages": len(entries), "error": str(error)}
            _log.warning(
                "poll.not_given_back queue=%(queue)s messages=%(messages)d error=%(error)s", fields
            )

    def _doing(self, action: str) -> str:
        return f"queue `{self._name}`: {action} at {self._endpoint}"


def _read_failures(
    pending: Sequence[str], answer: Mapping[str, Any], refused: dict[str, str]
) -> tuple[tuple[str, ...], str]:
    """Add what SQS refuses to `refused`; what to try again, and why the last of it failed."""
    done = {entry["Id"] for entry in answer.get("Successful", ())}
    failed = {entry["Id"]: entry for entry in answer.get("Failed", ())}
    again, last = [], ""
    for position, receipt in enumerate(pending):
        entry = failed.get(str(position))
        if entry is None and str(position) in done:
            continue
        why = "SQS does not say how it went"
        if entry is not None:
            why = ": ".join(filter(None, (entry.get("Code"), entry.get("Message"))))
        if entry is not None and entry.get("SenderFault", False):
            refused[receipt] = why
        else:
            again.append(receipt)
            last = why
    return tuple(again), last


def _token(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _whole_seconds(seconds: float) -> int:
    return max(0, min(math.ceil(seconds), LONGEST_VISIBILITY))


def _read_attribute(wire: Mapping[str, Any]) -> Attribute:
    value = wire.get("BinaryValue", wire.get("StringValue", ""))
    return Attribute(wire.get("DataType", "String"), value)


def _wire_attribute(attribute: Attribute) -> Any:  # noqa: ANN401 # boto3's union of shapes
    if isinstance(attribute.value, bytes):
        return {"DataType": attribute.data_type, "BinaryValue": attribute.value}
    return {"DataType": attribute.data_type, "StringValue": attribute.value}


def _md5(body: str) -> str:
    content = body.encode("utf-8", "surrogatepass")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
