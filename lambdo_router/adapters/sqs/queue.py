"""
One SQS queue, standard or FIFO: receive, delete, set_visibility and send.

A batch call that SQS answers with 200 may have failed for some of its entries. Those of which SQS
says that it is its own fault are tried again, those that it refuses are returned with its reason,
and so that one answer cannot be read as another, an entry it does not mention has failed too.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from lambdo_router.adapters.sqs.attempts import Attempts
from lambdo_router.adapters.sqs.client import CALL_TIMEOUT, CALL_TRIES, SqsClient
from lambdo_router.adapters.sqs.failures import translated
from lambdo_router.adapters.sqs.wire import (
    attributes_of,
    read_message,
    read_outcomes,
    token,
    whole_seconds,
    write_attribute,
)
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueUnavailable
from lambdo_router.core.lease import MOST_PER_CALL
from lambdo_router.core.message import Attribute, Message

MOST_CALLS = 8
"""Calls but for polls to one queue at the same time; further ones wait."""
_POLL_MARGIN = 10
"""Seconds that a poll's answer may take beyond its wait."""
_LAST_ANSWERS = 0.3
"""Seconds at the end for answers to abandoned polls: more than those need that are on their way."""
_LAST_RETURNS = 1.0
"""Seconds to give back what they bring."""
_TRIES = 4
"""Of the entries of a batch call that fail by SQS's own fault."""
_log = logging.getLogger(__name__)


class SqsQueue:
    """
    A queue that was found by SqsConnector.

    `url` is the queue's URL, which need not be reachable: requests go to the client's endpoint.
    """

    def __init__(
        self,
        name: str,
        url: str,
        client: SqsClient,
        wait_seconds: int,
        notes: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._url = url
        self._client = client
        self._wait_seconds = wait_seconds
        self._places = asyncio.Semaphore(MOST_CALLS)
        self._attempts = Attempts()
        self._abandoned: set[asyncio.Task[Sequence[Mapping[str, Any]]]] = set()
        """Polls whose caller has gone."""
        self._returning: set[asyncio.Task[None]] = set()
        """Gives back what they bring."""
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
        One long poll, never repeated here. One that is cancelled goes on until `aclose`; what it
        brings is given back at once.

        On a FIFO queue the receive after one whose answer was lost gets what that one took, and
        so perhaps more than `limit`.
        """
        polling = asyncio.create_task(self._poll(limit, visibility))
        try:
            received = await asyncio.shield(polling)
        except asyncio.CancelledError:
            self._abandoned.add(polling)
            polling.add_done_callback(self._give_back)
            raise
        return [message for each in received if (message := self._read(each)) is not None]

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        """Delete; the receipts that SQS refused, each with its reason. Fails if any is open."""
        return await self._in_tens({each: {} for each in receipts}, "DeleteMessageBatch", "delete")

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """Hide for whole seconds, rounded up; the receipts that SQS refused, with its reasons."""
        wanted = {
            receipt: {"VisibilityTimeout": whole_seconds(length)}
            for receipt, length in seconds.items()
        }
        return await self._in_tens(wanted, "ChangeMessageVisibilityBatch", "change visibility")

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
        wanted = {
            "MessageBody": body,
            "MessageAttributes": {
                key: write_attribute(attribute) for key, attribute in attributes.items()
            },
            **self._addressing(group, deduplication),
        }
        sent = await self._call("SendMessage", wanted, "send")
        return str(sent.get("MessageId", ""))

    async def attributes(self) -> Mapping[str, str]:
        """Return the queue's own attributes, as SQS spells them. Its counts are approximate."""
        answer = await self._call(
            "GetQueueAttributes", {"AttributeNames": ["All"]}, "get attributes"
        )
        return attributes_of(answer)

    async def aclose(self) -> None:
        """End abandoned polls, and give back what they bring; takes little more than a second."""
        if self._abandoned:
            _, late = await asyncio.wait(self._abandoned, timeout=_LAST_ANSWERS)
            for poll in late:
                poll.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._returning:
            await asyncio.wait(self._returning, timeout=_LAST_RETURNS)

    async def _call(
        self, operation: str, wanted: Mapping[str, Any], action: str
    ) -> Mapping[str, Any]:
        async with self._places:
            return await self._ask(operation, wanted, action)

    async def _ask(
        self,
        operation: str,
        wanted: Mapping[str, Any],
        action: str,
        *,
        patience: float = CALL_TIMEOUT,
        tries: int = CALL_TRIES,
    ) -> Mapping[str, Any]:
        fields = {"QueueUrl": self._url, **wanted}
        with translated(f"queue `{self._name}`: {action} at {self._client.endpoint}"):
            reply = await self._client.call(operation, fields, patience=patience, tries=tries)
        return reply.fields

    async def _poll(self, limit: int, visibility: float) -> Sequence[Mapping[str, Any]]:
        wanted = {
            "MaxNumberOfMessages": min(limit, MOST_PER_CALL),
            "VisibilityTimeout": whole_seconds(visibility),
            "WaitTimeSeconds": self._wait_seconds,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        if not self.fifo:
            return await self._receive(wanted)
        return await self._attempts.make(
            lambda attempt: self._receive({**wanted, "ReceiveRequestAttemptId": attempt})
        )

    async def _receive(self, wanted: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        patience = self._wait_seconds + _POLL_MARGIN
        # A repeated poll could hide ten more messages with each try.
        answer = await self._ask("ReceiveMessage", wanted, "receive", patience=patience, tries=1)
        messages: Sequence[Mapping[str, Any]] = answer.get("Messages", [])
        return messages

    def _addressing(self, group: str | None, deduplication: str | None) -> dict[str, Any]:
        if not self.fifo:
            return {"MessageGroupId": token(group)} if group else {}
        unique = str(uuid4())
        return {
            "MessageGroupId": token(group or unique),
            "MessageDeduplicationId": token(deduplication or unique),
        }

    async def _in_tens(
        self, wanted: Mapping[str, Mapping[str, Any]], operation: str, action: str
    ) -> Mapping[str, str]:
        """`wanted` is what is to be done with each receipt, beside naming it."""
        distinct = tuple(wanted)
        tens = [
            distinct[start : start + MOST_PER_CALL]
            for start in range(0, len(distinct), MOST_PER_CALL)
        ]
        if len(tens) == 1:
            return await self._ten(distinct, wanted, operation, action)
        # Each ten is seen to its end: one that fails must not leave the others unheard.
        outcomes = await asyncio.gather(
            *(self._ten(ten, wanted, operation, action) for ten in tens), return_exceptions=True
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
        operation: str,
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
            answer = await self._call(operation, {"Entries": entries}, action)
            pending, why = read_outcomes(pending, answer, refused)
            if not pending:
                return refused
            if attempt < _TRIES:
                jitter = random.random()  # noqa: S311 # no secret
                await asyncio.sleep(backoff(attempt, first=0.2, longest=2.0, jitter=jitter))
        raise QueueUnavailable(
            f"queue `{self._name}`: {action}: {len(pending)} of {len(receipts)} entries failed "
            f"{_TRIES} times; {why}",
            code=why.partition(":")[0],
        )

    def _read(self, wire: Mapping[str, Any]) -> Message | None:
        """Return the message; None, which leaves it to SQS, if it is none."""
        message = read_message(wire)
        if message is None:
            self.corrupt += 1
            fields = {"queue": self._name, "message": wire.get("MessageId", "")}
            _log.warning("message.corrupt queue=%(queue)s message=%(message)s", fields)
        return message

    def _give_back(self, polling: "asyncio.Task[Sequence[Mapping[str, Any]]]") -> None:
        """Make messages visible again that came when nobody waited for them any more."""
        self._abandoned.discard(polling)
        if polling.cancelled() or polling.exception() is not None:
            return
        messages = (read_message(each) for each in polling.result())
        receipts = [message.receipt for message in messages if message is not None]
        if receipts:
            returning = asyncio.create_task(self._make_visible(receipts))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)

    async def _make_visible(self, receipts: Sequence[str]) -> None:
        try:
            await self.set_visibility(dict.fromkeys(receipts, 0.0))
        except QueueError as error:
            fields = {"queue": self._name, "messages": len(receipts), "error": str(error)}
            _log.warning(
                "poll.not_given_back queue=%(queue)s messages=%(messages)d error=%(error)s", fields
            )
