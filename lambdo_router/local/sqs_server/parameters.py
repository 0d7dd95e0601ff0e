"""A request's JSON, read with SQS's own complaints; and attributes in the shape of the wire."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lambdo_router.core.message import Attribute
from lambdo_router.local.sqs_server.messages import Outgoing
from lambdo_router.local.sqs_server.rules import SqsError, missing

Wire = dict[str, Any]
"""A JSON object as it goes over the wire."""

_TRACE_HEADER = "AWSTraceHeader"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The JSON object of a request, or of one entry of a batch."""

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
        """A text that has to be there."""
        if not (value := self.text_or_none(name)):
            raise missing(name)
        return value

    def text_or_none(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise _misfit(name, "a string")
        return value

    def number(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise _misfit(name, "an integer")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty if it is absent."""
        value = self.values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _misfit(name, "a list of strings")
        return value

    def texts_by_name(self, name: str) -> dict[str, str]:
        """A map of texts, empty if it is absent."""
        value = self.values.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise _misfit(name, "a map of strings")
        return value

    def entries(self) -> list["Parameters"]:
        """The entries of a batch call."""
        value = self.values.get("Entries") or []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise _misfit("Entries", "a list of structures")
        return [Parameters(each) for each in value]

    def attributes(self, name: str) -> dict[str, Attribute]:
        """A map of message attributes, empty if it is absent."""
        value = self.values.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
            raise _misfit(name, "a map of message attributes")
        return {key: _attribute(key, Parameters(each)) for key, each in value.items()}

    def queue_name(self) -> str:
        """The queue that QueueUrl means. Only its path counts: requests go where they go."""
        path = urlsplit(self.text("QueueUrl")).path
        if path.count("/") < 2:  # noqa: PLR2004 # /account/name
            text = f"The address {self.text('QueueUrl')} is not valid for this endpoint."
            raise SqsError("InvalidAddress", text)
        return path.rpartition("/")[2]


def outgoing(entry: Parameters) -> Outgoing:
    """The message that SendMessage, or an entry of SendMessageBatch, sends."""
    return Outgoing(
        body=entry.text("MessageBody"),
        attributes=entry.attributes("MessageAttributes"),
        delay=entry.number("DelaySeconds"),
        trace_header=_trace_header(entry),
        group=entry.text_or_none("MessageGroupId"),
        deduplication=entry.text_or_none("MessageDeduplicationId"),
    )


def attribute_to_wire(attribute: Attribute) -> Wire:
    """As ReceiveMessage gives it."""
    if isinstance(attribute.value, bytes):
        encoded = b64encode(attribute.value).decode()
        return {"BinaryValue": encoded, "DataType": attribute.data_type}
    return {"StringValue": attribute.value, "DataType": attribute.data_type}


def _trace_header(entry: Parameters) -> str | None:
    attributes = entry.attributes("MessageSystemAttributes")
    for name, attribute in attributes.items():
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
        raise _misfit(name, "base64") from None


def _misfit(name: str, wanted: str) -> SqsError:
    return SqsError("SerializationException", f"{name} must be {wanted}.")
