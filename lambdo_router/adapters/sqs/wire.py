"""
What goes over the wire: messages, attributes and the outcomes of batch calls.

Pure, and on its guard: whatever answers at the endpoint need not be SQS.
"""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambdo_router.core.lease import LONGEST_VISIBILITY
from lambdo_router.core.message import Attribute, Message

_TOKEN: Final = re.compile(r"[!-~]{1,128}")
"""What SQS takes as a group or a deduplication id."""
_TEXT: Final = frozenset({str})


def read_message(wire: Mapping[str, Any]) -> Message | None:
    """Return the message; None if it did not arrive as it was sent, or is none."""
    body, receipt, digest = wire.get("Body") or "", wire.get("ReceiptHandle"), wire.get("MD5OfBody")
    message_id, system = wire.get("MessageId") or "", wire.get("Attributes") or {}
    try:
        if not receipt or (digest and digest.lower() != _md5(body)):
            return None
        _check_texts(message_id, receipt, body, *system.values())
        attributes = {
            key: _read_attribute(value)
            for key, value in (wire.get("MessageAttributes") or {}).items()
        }
        return Message(message_id, receipt, body, attributes, system)
    except (AttributeError, TypeError, ValueError):
        return None


def read_outcomes(
    pending: Sequence[str], answer: Mapping[str, Any], refused: dict[str, str]
) -> tuple[tuple[str, ...], str]:
    """
    Read the answer to a batch call whose entries are numbered as `pending` is.

    Add what SQS refuses to `refused`; return what to try again, and why the last of it failed. An
    entry that the answer does not mention has failed too, so that no answer reads as another.
    """
    done = {entry.get("Id") for entry in answer.get("Successful", ())}
    failed = {entry.get("Id"): entry for entry in answer.get("Failed", ())}
    again, last = [], ""
    for position, receipt in enumerate(pending):
        entry = failed.get(str(position))
        if entry is None and str(position) in done:
            continue
        why = "SQS does not say how it went"
        if entry is not None:
            why = ": ".join(str(entry[key]) for key in ("Code", "Message") if entry.get(key))
        if entry is not None and entry.get("SenderFault"):
            refused[receipt] = why
        else:
            again.append(receipt)
            last = why
    return tuple(again), last


def attributes_of(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a queue's own attributes, as SQS spells them."""
    found = answer.get("Attributes")
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def write_attribute(attribute: Attribute) -> Mapping[str, str]:
    """Return an attribute as SendMessage takes it."""
    if isinstance(attribute.value, bytes):
        value = base64.b64encode(attribute.value).decode()
        return {"DataType": attribute.data_type, "BinaryValue": value}
    return {"DataType": attribute.data_type, "StringValue": attribute.value}


def token(text: str) -> str:
    """Return a group or deduplication id that SQS takes: the text, or else its SHA-256."""
    if _TOKEN.fullmatch(text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def whole_seconds(seconds: float) -> int:
    """Return a visibility that SQS takes, rounded up."""
    return max(0, min(math.ceil(seconds), LONGEST_VISIBILITY))


def _read_attribute(wire: Mapping[str, Any]) -> Attribute:
    kind, binary = wire.get("DataType") or "String", wire.get("BinaryValue")
    text = wire.get("StringValue") or ""
    _check_texts(kind, text)
    return Attribute(kind, text if binary is None else base64.b64decode(binary))


def _check_texts(*values: object) -> None:
    if not _TEXT.issuperset(map(type, values)):
        raise TypeError("this is no text")


def _md5(body: str) -> str:
    content = body.encode("utf-8", "surrogatepass")
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
