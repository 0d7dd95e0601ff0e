"""A request's JSON, read with SQS's own complaints; and attributes in the shape of the wire."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lambdo_router.core.message import Attribute
from lambdo_router.local.sqs_server.messages import NewMessage
from lambdo_router.local.sqs_server.rules import SqsError, missing

Wire = dict[str, Any]
"""A JSON object as it goes over the wire."""
_V = TypeVar("_V")
_TRACE_HEADER = "AWSTraceHeader"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The JSON object of a request, or of one entry of a batch. What is absent reads as empty."""

    values: Mapping[str, Any]

    @classmethod
    def read(cls, body: bytes) -> "Parameters":
        try:
            values = json.loads(body or b"{}")
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise SqsError("SerializationException", "The request is not a JSON object.")
        return cls(values)

    def text(self, name: str) -> str:
        """Return a required text."""
        if not (value := self.text_or_none(name)):
            raise missing(name)
        return value

    def text_or_none(self, name: str) -> str | None:
        return self._value(name, str, "a string")

    def number(self, name: str) -> int | None:
        return self._value(name, int, "an integer")

    def texts(self, name: str) -> list[str]:
        return self._list(name, str, "a list of strings")

    def texts_by_name(self, name: str) -> dict[str, str]:
        return self._map(name, str, "a map of strings")

    def entries(self) -> list["Parameters"]:
        """Return the entries of a batch call."""
        return [Parameters(each) for each in self._list("Entries", dict, "a list of structures")]

    def attributes(self, name: str) -> dict[str, Attribute]:
        values = self._map(name, dict, "a map of message attributes")
        return {key: _attribute(key, Parameters(each)) for key, each in values.items()}

    def queue_name(self) -> str:
        """Return the queue of QueueUrl. Only its path counts: requests arrive here anyway."""
        path = urlsplit(self.text("QueueUrl")).path
        if path.count("/") < 2:  # noqa: PLR2004 # /account/name
            text = f"The address {self.text('QueueUrl')} is not valid for this endpoint."
            raise SqsError("InvalidAddress", text)
        return path.rpartition("/")[2]

    def _value(self, name: str, kind: type[_V], wanted: str) -> _V | None:
        value = self.values.get(name)
        # Not isinstance: true and false are integers in Python.
        if value is None or type(value) is kind:
            return value
        raise _wrong_type(name, wanted)

    def _list(self, name: str, kind: type[_V], wanted: str) -> list[_V]:
        values = self._value(name, list, wanted) or []
        if not all(type(each) is kind for each in values):
            raise _wrong_type(name, wanted)
        return values

    def _map(self, name: str, kind: type[_V], wanted: str) -> dict[str, _V]:
        values = self._value(name, dict, wanted) or {}
        if not all(type(each) is kind for each in values.values()):
            raise _wrong_type(name, wanted)
        return values


def new_message(entry: Parameters) -> NewMessage:
    """Return the message that SendMessage, or an entry of SendMessageBatch, sends."""
    return NewMessage(
        body=entry.text("MessageBody"),
        attributes=entry.attributes("MessageAttributes"),
        delay=entry.number("DelaySeconds"),
        trace_header=_trace_header(entry),
        group=entry.text_or_none("MessageGroupId"),
        deduplication=entry.text_or_none("MessageDeduplicationId"),
    )


def attribute_to_wire(attribute: Attribute) -> Wire:
    """Return an attribute as ReceiveMessage gives it."""
    if isinstance(attribute.value, bytes):
        encoded = b64encode(attribute.value).decode()
        return {"BinaryValue": encoded, "DataType": attribute.data_type}
    return {"StringValue": attribute.value, "DataType": attribute.data_type}


def _trace_header(entry: Parameters) -> str | None:
    for name, attribute in entry.attributes("MessageSystemAttributes").items():
        if name != _TRACE_HEADER or attribute.data_type != "String":
            text = f"Message system attribute name '{name}' is invalid."
            raise SqsError("InvalidParameterValue", text)
        return str(attribute.value)
    return None


def _attribute(name: str, values: Parameters) -> Attribute:
    data_type = values.text_or_none("DataType") or ""
    encoded = values.text_or_none("BinaryValue")
    if encoded is None:
        return Attribute(data_type, values.text_or_none("StringValue") or "")
    try:
        return Attribute(data_type, b64decode(encoded, validate=True))
    except ValueError:
        raise _wrong_type(name, "base64") from None


def _wrong_type(name: str, wanted: str) -> SqsError:
    return SqsError("SerializationException", f"{name} must be {wanted}.")
