"""The names and attributes that a queue may have, and how SQS refuses others."""

import json
import re
from collections.abc import Iterable, Mapping

from lambdo_router.core.lease import LARGEST_MESSAGE, LONGEST_VISIBILITY
from lambdo_router.local.sqs_server.rules import (
    LONGEST_DELAY,
    SqsError,
)

_MOST_RECEIVES = 1000
_LONGEST_NAME = 80
_STANDARD_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]+\.fifo")
_STANDARD_NAMES = (
    "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
)
_FIFO_NAMES = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
    "must end with .fifo suffix and be 1 to 80 in length"
)

_NUMBERS = {
    "VisibilityTimeout": (0, LONGEST_VISIBILITY, 30),
    "MaximumMessageSize": (1024, LARGEST_MESSAGE, LARGEST_MESSAGE),
    "MessageRetentionPeriod": (60, 1_209_600, 345_600),
    "DelaySeconds": (0, LONGEST_DELAY, 0),
    "ReceiveMessageWaitTimeSeconds": (0, 20, 0),
}
"""Settable attributes: least, most and default value."""
_FIFO_WORDS = {
    "ContentBasedDeduplication": ("false", "true"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
"""Settable attributes of FIFO queues: the values they may have, the default first."""
_STORED = frozenset(
    {
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "Policy",
        "RedriveAllowPolicy",
        "SqsManagedSseEnabled",
    }
)
"""Settable attributes that this server keeps and gives back, without acting on them."""
_DEFAULTS: Mapping[str, str] = {
    **{name: str(default) for name, (_, _, default) in _NUMBERS.items()},
    "SqsManagedSseEnabled": "true",
}
_FIFO_DEFAULTS: Mapping[str, str] = {name: words[0] for name, words in _FIFO_WORDS.items()}


def new_queue_attributes(name: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return all attributes of a queue to be created, defaults included. Raises SqsError."""
    fifo = "FifoQueue" in attributes
    if fifo and attributes["FifoQueue"] != "true":
        raise _unknown("FifoQueue")
    allowed = _FIFO_NAME if fifo else _STANDARD_NAME
    if allowed.fullmatch(name) is None or len(name) > _LONGEST_NAME:
        raise SqsError("InvalidParameterValue", _FIFO_NAMES if fifo else _STANDARD_NAMES)
    merged = {**_DEFAULTS, **(_FIFO_DEFAULTS if fifo else {}), **attributes}
    _check({k: v for k, v in attributes.items() if k != "FifoQueue"}, merged)
    return merged


def check_changes(existing: Mapping[str, str], changes: Mapping[str, str]) -> None:
    """Check what SetQueueAttributes changes on a queue with the attributes `existing`."""
    if changes.get("FifoQueue", existing.get("FifoQueue")) != existing.get("FifoQueue"):
        raise _invalid_value("FifoQueue", " Reason: Modifying queue type is not supported.")
    changes = {name: value for name, value in changes.items() if name != "FifoQueue"}
    _check(changes, {**existing, **changes})


def check_attribute_names(names: Iterable[str], present: Iterable[str]) -> None:
    """Check the names given to GetQueueAttributes for a queue with the `present` ones."""
    settable = {"FifoQueue", "RedrivePolicy", *_STORED, *_NUMBERS, *_FIFO_WORDS}
    for name in names:
        if name not in {"All", *present, *settable}:
            raise _unknown(name)


def read_redrive_policy(text: str) -> tuple[str, int] | None:
    """Return the ARN of the dead-letter queue and maxReceiveCount (default 10), if there is one."""
    if not text:
        return None
    try:
        policy = json.loads(text)
        target, most = policy["deadLetterTargetArn"], int(policy.get("maxReceiveCount", 10))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _invalid_value("RedrivePolicy") from None
    if not isinstance(target, str) or not 1 <= most <= _MOST_RECEIVES:
        raise _invalid_value("RedrivePolicy")
    return target, most


def _check(attributes: Mapping[str, str], merged: Mapping[str, str]) -> None:
    """Check attributes to be set; `merged` are all that the queue would have then."""
    for name, value in attributes.items():
        if name in _NUMBERS:
            least, most, _ = _NUMBERS[name]
            if not value.isdecimal() or not least <= int(value) <= most:
                raise _invalid_value(name)
        elif name in _FIFO_WORDS:
            if "FifoQueue" not in merged:
                text = f"You can specify the {name} only when FifoQueue is set to true."
                raise SqsError("InvalidAttributeName", text)
            if value not in _FIFO_WORDS[name]:
                raise _invalid_value(name)
        elif name == "RedrivePolicy":
            read_redrive_policy(value)
        elif name not in _STORED:
            raise _unknown(name)
    by_group = merged.get("DeduplicationScope") == "messageGroup"
    if merged.get("FifoThroughputLimit") == "perMessageGroupId" and not by_group:
        reason = " Reason: perMessageGroupId goes with DeduplicationScope messageGroup only."
        raise _invalid_value("FifoThroughputLimit", reason)


def _unknown(name: str) -> SqsError:
    return SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")


def _invalid_value(name: str, reason: str = "") -> SqsError:
    text = f"Invalid value for the parameter {name}.{reason}"
    return SqsError("InvalidAttributeValue", text)
