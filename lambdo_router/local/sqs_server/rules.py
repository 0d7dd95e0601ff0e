"""
What SQS accepts as a message or a call, and how it refuses.

The limits, the character sets and the checksums of the API reference. An `SqsError` carries what
goes over the wire: the name of the error's shape, the older code that boto3 shows, the status.
"""

import hashlib
import re
import struct
from collections.abc import Mapping

from lambdo_router.core.lease import MOST_ATTRIBUTES, MOST_PER_CALL
from lambdo_router.core.message import Attribute
from lambdo_router.local.sqs_server.messages import NewMessage

LONGEST_DELAY = 900

_LEGACY = "AWS.SimpleQueueService."
_LEGACY_CODES = {
    "QueueDoesNotExist": f"{_LEGACY}NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    **{
        shape: f"{_LEGACY}{shape}"
        for shape in (
            "BatchEntryIdsNotDistinct",
            "BatchRequestTooLong",
            "EmptyBatchRequest",
            "InvalidBatchEntryId",
            "PurgeQueueInProgress",
            "TooManyEntriesInBatchRequest",
            "UnsupportedOperation",
        )
    },
}
_FORBIDDEN = frozenset({"RequestThrottled", "PurgeQueueInProgress", "MissingAuthenticationToken"})
"""What SQS answers with status 403; everything else is 400."""

_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_DATA_TYPE = re.compile(r"(String|Number|Binary)(\..{1,248})?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TOKEN = re.compile(r"[!-~]{1,128}")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_SET = (
    "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
    "#xE000 to #xFFFD | #x10000 to #x10FFFF"
)


class SqsError(Exception):
    """
    A refusal by fault of the sender. `shape` is the error's name in the service model; `in_batch`
    is what an entry of a batch call fails with, if not with the same.
    """

    def __init__(self, shape: str, message: str, in_batch: "SqsError | None" = None) -> None:
        super().__init__(message)
        self.shape = shape
        self.message = message
        self.in_batch = in_batch or self

    @property
    def code(self) -> str:
        """The code of the older query protocol, which boto3 still shows."""
        return _LEGACY_CODES.get(self.shape, self.shape)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 403 if self.shape in _FORBIDDEN else 400


def invalid(
    value: object, parameter: str, reason: str, in_batch: SqsError | None = None
) -> SqsError:
    """Return SQS's usual refusal of a parameter."""
    text = f"Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    return SqsError("InvalidParameterValue", text, in_batch)


def missing(parameter: str) -> SqsError:
    text = f"The request must contain the parameter {parameter}."
    return SqsError("MissingParameter", text)


def check_range(parameter: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise invalid(value, parameter, f"Must be >= {least} and <= {most}, if provided.")


def check_token(parameter: str, value: str | None) -> None:
    """Check a group, a deduplication id or an attempt id, if there is one."""
    if value is not None and _TOKEN.fullmatch(value) is None:
        reason = (
            f"{parameter} can only include alphanumeric and punctuation characters. "
            "1 to 128 in length."
        )
        raise invalid(value, parameter, reason)


def not_for_this_queue(parameter: str, value: object) -> SqsError:
    """Return the refusal of a parameter that only the other kind of queue has."""
    reason = "The request include parameter that is not valid for this queue type."
    return invalid(value, parameter, reason)


def deduplication_of(message: NewMessage, *, by_content: bool) -> str:
    """Check that a message may be sent to a FIFO queue; return its deduplication id."""
    if message.group is None:
        raise missing("MessageGroupId")
    if message.delay:
        raise not_for_this_queue("DelaySeconds", message.delay)
    if message.deduplication is not None:
        return message.deduplication
    if not by_content:
        raise SqsError(
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly",
        )
    return hashlib.sha256(_utf8(message.body)).hexdigest()


def check_content(body: str, attributes: Mapping[str, Attribute], largest: int) -> None:
    """Check the body and the user attributes of one message; `largest` in bytes."""
    if not body:
        raise missing("MessageBody")
    if _NOT_XML.search(body):
        raise SqsError("InvalidMessageContents", _XML_SET)
    if len(attributes) > MOST_ATTRIBUTES:
        raise SqsError(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum "
            f"[{MOST_ATTRIBUTES}].",
        )
    for name, attribute in attributes.items():
        _check_attribute(name, attribute)
    if size_of(body, attributes) > largest:
        reason = f"Message must be shorter than {largest} bytes."
        raise SqsError(
            "InvalidParameterValue", f"One or more parameters are invalid. Reason: {reason}"
        )


def size_of(body: str, attributes: Mapping[str, Attribute]) -> int:
    """Return the bytes that count: body, attribute names, types and values."""
    return len(_utf8(body)) + sum(
        len(_utf8(name)) + len(_utf8(attribute.data_type)) + len(_bytes_of(attribute))
        for name, attribute in attributes.items()
    )


def check_entries(action: str, ids: list[str]) -> None:
    """Check the number of entries of a batch call and their ids."""
    if not ids:
        text = f"There should be at least one {action}RequestEntry in the request."
        raise SqsError("EmptyBatchRequest", text)
    if len(ids) > MOST_PER_CALL:
        text = f"Maximum number of entries per request are 10. You have sent {len(ids)}."
        raise SqsError("TooManyEntriesInBatchRequest", text)
    for at, entry_id in enumerate(ids):
        if _ENTRY_ID.fullmatch(entry_id) is None:
            raise SqsError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                "underscores. It can be at most 80 letters long.",
            )
        if entry_id in ids[:at]:
            raise SqsError("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")


def md5_of_body(body: str) -> str:
    return hashlib.md5(_utf8(body), usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Attribute]) -> str | None:
    """Return SQS's checksum over attributes, by name; None without attributes."""
    if not attributes:
        return None
    parts = []
    for name, attribute in sorted(attributes.items()):
        kind = b"\x02" if isinstance(attribute.value, bytes) else b"\x01"
        parts += [_counted(_utf8(name)), _counted(_utf8(attribute.data_type))]
        parts += [kind, _counted(_bytes_of(attribute))]
    return hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()


def _check_attribute(name: str, attribute: Attribute) -> None:
    if (
        _ATTRIBUTE_NAME.fullmatch(name) is None
        or name.lower().startswith(("aws.", "amazon."))
        or name.startswith(".")
        or name.endswith(".")
        or ".." in name
    ):
        text = f"The message attribute name '{name}' is invalid."
        raise SqsError("InvalidParameterValue", text)
    if _DATA_TYPE.fullmatch(attribute.data_type) is None:
        raise SqsError(
            "InvalidParameterValue",
            f"The type of message (user) attribute '{name}' is invalid. You must use only the "
            "following supported type prefixes: Binary, Number, String.",
        )
    wanted = attribute.data_type.partition(".")[0]
    if not attribute.value or isinstance(attribute.value, bytes) is not (wanted == "Binary"):
        raise SqsError(
            "InvalidParameterValue",
            f"Message (user) attribute '{name}' must contain a non-empty value of type '{wanted}'.",
        )
    if isinstance(attribute.value, str) and _NOT_XML.search(attribute.value):
        raise SqsError("InvalidMessageContents", _XML_SET)
    if wanted == "Number" and _NUMBER.fullmatch(str(attribute.value)) is None:
        text = f"Can't cast the value of message (user) attribute '{name}' to a number."
        raise SqsError("InvalidParameterValue", text)


def _bytes_of(attribute: Attribute) -> bytes:
    value = attribute.value
    return value if isinstance(value, bytes) else _utf8(value)


def _utf8(text: str) -> bytes:
    # JSON can carry half a surrogate pair, which must be refused in SQS's words.
    return text.encode("utf-8", "surrogatepass")


def _counted(part: bytes) -> bytes:
    return struct.pack("!I", len(part)) + part
