"""
What SQS reports about a queue: its settings, its policy and its clock.

This takes one GetQueueAttributes, which every consumer may call anyway; nothing is sent or
received. service/online_queues.py says what the facts mean for a routes file.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from lambdo_router.adapters.clock_skew import ahead_of
from lambdo_router.adapters.sqs.client import SqsClient
from lambdo_router.adapters.sqs.failures import ServiceError, is_denied
from lambdo_router.adapters.sqs.policy import Caller
from lambdo_router.adapters.sqs.wire import attributes_of


@dataclass(frozen=True, slots=True)
class Redrive:
    """Where SQS moves messages that were received too often."""

    target_arn: str
    most_receives: int
    """A message that was received more often than that is moved."""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """A queue that is there. Durations are seconds."""

    url: str
    caller: Caller | None
    """Whose credentials are used for it; None if that cannot be found out."""
    ahead: float
    """How far this machine's clock is ahead of SQS's, to a second or so; 0 if SQS does not say."""
    attributes: bool = True
    """False: GetQueueAttributes is not allowed, and what follows is not known."""
    arn: str = ""
    fifo: bool = False
    visibility: float | None = None
    """The queue's own; the router asks for its lease's length with each receive."""
    retention: float | None = None
    redrive: Redrive | None = None
    kms_key: str = ""
    """Of a queue that is encrypted with a key of KMS; empty for SQS's own key, or none."""
    kms_reuse: float | None = None
    """For how long SQS uses a data key before it asks KMS for another."""
    policy: str = ""
    """JSON; empty if it has none."""


async def inspect_queue(client: SqsClient, url: str, caller: Caller | None) -> QueueFacts:
    """Ask SQS for all attributes. Raises what a call raises, except where only that is denied."""
    started = time.time()
    wanted = {"QueueUrl": url, "AttributeNames": ["All"]}
    try:
        fields, date = await client.call("GetQueueAttributes", wanted)
    except ServiceError as error:
        if not is_denied(error):
            raise
        ahead = ahead_of(error.headers.get("date", ""), started, time.time())
        return QueueFacts(url, caller, ahead, attributes=False)
    found = attributes_of(fields)
    kms_key = found.get("KmsMasterKeyId", "")
    return QueueFacts(
        url=url,
        caller=caller,
        ahead=ahead_of(date, started, time.time()),
        arn=found.get("QueueArn", ""),
        fifo=found.get("FifoQueue") == "true",
        visibility=_seconds(found, "VisibilityTimeout"),
        retention=_seconds(found, "MessageRetentionPeriod"),
        redrive=redrive_of(found.get("RedrivePolicy", "")),
        kms_key=kms_key,
        kms_reuse=_seconds(found, "KmsDataKeyReusePeriodSeconds") if kms_key else None,
        policy=found.get("Policy", ""),
    )


def _seconds(attributes: Mapping[str, str], name: str) -> float | None:
    text = attributes.get(name, "")
    return float(text) if text.isdecimal() else None


def redrive_of(text: str) -> Redrive | None:
    """Read the attribute RedrivePolicy of a queue; empty if it has none."""
    try:
        policy = json.loads(text) if text else {}
        return Redrive(str(policy["deadLetterTargetArn"]), int(policy.get("maxReceiveCount", 10)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
