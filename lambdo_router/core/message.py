"""
What arrives: an SQS message, and the event inside it.

A message is one delivery by SQS. Its event is the JSON object that the sender wrote: the body
itself, or, on a queue with `envelope: sns`, the `Message` of an SNS notification. The event's
text is kept as the sender wrote it and is never serialised again, so that numbers, key order and
white space reach the Machine untouched.

Everybody may send: bodies are read as `strict_json` says.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from lambdo_router.core.strict_json import WideNumber, kind_of, parse_json, parse_number


@dataclass(frozen=True, slots=True)
class Attribute:
    """
    One message attribute, typed as SQS types it.

    `data_type` is `String`, `Number` or `Binary`, with an optional label after a period
    (`Number.int`, `String.Array`). `value` is bytes for Binary, else text: SQS sends numbers as
    text of up to 38 digits.
    """

    data_type: str
    value: str | bytes


def is_binary(data_type: str) -> bool:
    """Return whether values of this type are bytes: `Binary`, or `Binary.` and a label."""
    return data_type.partition(".")[0] == "Binary"


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery of an SQS message. `receipt` is new at each delivery, `id` is not."""

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, Attribute]
    system: Mapping[str, str]
    """System attributes as SQS sends them: ApproximateReceiveCount, SentTimestamp, SenderId, ..."""
    # Read once: a dozen places ask for them on the way of a message.
    receive_count: int = field(init=False, repr=False, compare=False)
    """How often SQS has delivered this message, including this time; 1 if SQS did not say."""
    sent_at: float | None = field(init=False, repr=False, compare=False)
    """When it was sent, in seconds since 1970; None if SQS did not say."""

    def __post_init__(self) -> None:
        count = self.system.get("ApproximateReceiveCount", "")
        object.__setattr__(self, "receive_count", int(count) if count.isdecimal() else 1)
        object.__setattr__(self, "sent_at", self._seconds("SentTimestamp"))

    @property
    def first_received_at(self) -> float | None:
        """When SQS first delivered it, in seconds since 1970; None if SQS did not say."""
        return self._seconds("ApproximateFirstReceiveTimestamp")

    def _seconds(self, name: str) -> float | None:
        milliseconds = self.system.get(name, "")
        return int(milliseconds) / 1000 if milliseconds.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Undecodable:
    """
    An attribute whose text is not of its declared type: it exists, but no condition holds for it.

    Not `exists: false`, since it is there, and neither `anything-but` nor `exists: true`, since SNS
    delivers no message whose String.Array is not an array, whatever the filter policy.
    """

    data_type: str


class NotAnEvent(ValueError):
    """The message holds no event; the text says what it holds instead."""


@dataclass(frozen=True, slots=True)
class Event:
    """A JSON object that somebody sent."""

    text: str
    """As the sender wrote it."""
    value: dict[str, object]
    """As `parse_json` reads it."""
    attributes: Mapping[str, Attribute]
    """The message's attributes; with an SNS envelope, the notification's."""


def read_event(message: Message, envelope: Literal["none", "sns"]) -> Event:
    """
    Return the event that the message carries. Raises NotAnEvent.

    With `sns` the body must be a notification, as SNS sends it without raw message delivery.
    """
    if envelope == "none":
        _check_attributes(message.attributes)
        return Event(message.body, _object(message.body, "the body"), message.attributes)
    notification = _object(message.body, "the body")
    kind, text = notification.get("Type"), notification.get("Message")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        raise NotAnEvent(f"the body is an SNS {kind}, not a notification")
    if kind != "Notification" or not isinstance(text, str):
        raise NotAnEvent(
            "the body is no SNS notification: it needs `Type` Notification and a string `Message` "
            "(with raw message delivery the queue's envelope is none)"
        )
    value = _object(text, "the notification's `Message`")
    return Event(text, value, _sns_attributes(notification.get("MessageAttributes", {})))


def _check_attributes(attributes: Mapping[str, Attribute]) -> None:
    # SQS takes no such text, but whoever speaks its protocol might; a notification's are JSON's.
    for name, attribute in attributes.items():
        if not attribute.value.isascii() and _half_of_a_pair(attribute.value):
            raise NotAnEvent(f"attribute `{name}` holds half of a surrogate pair, which is no text")


def _half_of_a_pair(value: str | bytes) -> bool:
    return isinstance(value, str) and re.search("[\ud800-\udfff]", value) is not None


def _object(text: str, what: str) -> dict[str, object]:
    if not text.strip(" \t\r\n"):
        raise NotAnEvent(f"{what} is empty; an event is a JSON object")
    try:
        value = parse_json(text)
    except ValueError as problem:
        raise NotAnEvent(f"{what} is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise NotAnEvent(f"{what} is {kind_of(value)}; an event is a JSON object")
    return value


def _sns_attributes(value: object) -> dict[str, Attribute]:
    if not isinstance(value, dict):
        raise NotAnEvent(f"the notification's `MessageAttributes` is {kind_of(value)}, no object")
    return {name: _sns_attribute(attribute) for name, attribute in value.items()}


def _sns_attribute(value: object) -> Attribute:
    # Spelled {"Type", "Value"} here, not {"DataType", "StringValue"}; bytes are base64.
    match value:
        case {"Type": str(data_type), "Value": str(text)}:
            if not is_binary(data_type):
                return Attribute(data_type, text)
            try:
                return Attribute(data_type, base64.b64decode(text, validate=True))
            except ValueError:
                raise NotAnEvent("a Binary attribute of the notification is no base64") from None
        case _:
            raise NotAnEvent("an attribute of the notification lacks a string `Type` or `Value`")


def attribute_document(attributes: Mapping[str, Attribute]) -> dict[str, object]:
    """
    Return the attributes as SNS filter policies see them: an object from name to value.

    `Number` and `Number.*` are numbers, `String` and `String.*` strings, `String.Array` a list of
    strings, numbers, true, false and null; `Binary` and unknown types are left out. Text that is
    not of its type is `Undecodable`.
    """
    document: dict[str, object] = {}
    for name, attribute in attributes.items():
        if isinstance(attribute.value, bytes):
            continue
        read = _READERS.get(attribute.data_type) or _READERS.get(
            attribute.data_type.partition(".")[0]
        )
        if read is not None:
            try:
                document[name] = read(attribute.value)
            except ValueError:
                document[name] = Undecodable(attribute.data_type)
    return document


def _attribute_number(text: str) -> int | float | WideNumber:
    # SQS takes what Java's BigDecimal takes: +5, 007, .5 and 5. are numbers too.
    found = _ANY_NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("no number")
    whole, fraction = (found["whole"] or "").lstrip("0") or "0", found["fraction"] or found["only"]
    sign = "-" if found["sign"] == "-" else ""
    return parse_number(f"{sign}{whole}{'.' * bool(fraction)}{fraction or ''}{found['exponent']}")


_ANY_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>[0-9]++)(?:\.(?P<fraction>[0-9]*+))?|\.(?P<only>[0-9]++))"
    r"(?P<exponent>(?:[eE][+-]?[0-9]++)?)"
)


def _attribute_array(text: str) -> object:
    value = parse_json(text)
    if not isinstance(value, list) or any(isinstance(item, (list, dict)) for item in value):
        raise ValueError("no flat array")
    return value


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "Number": _attribute_number,
    "String": str,
    "String.Array": _attribute_array,
}

SYSTEM_NUMBERS = frozenset(
    {"ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp"}
)
"""System attributes that patterns see as numbers."""


def system_document(system: Mapping[str, str]) -> dict[str, object]:
    """Return the system attributes for patterns: counts and times (ms) are numbers, others text."""
    return {
        name: int(value) if name in SYSTEM_NUMBERS and value.isdecimal() else value
        for name, value in system.items()
    }
