"""
Messages as people write them: to be sent, to be explained, to be tested.

    {
      "queue": "orders",
      "attributes": {"kind": "order.paid", "shop": {"type": "Number", "value": "7"}},
      "body": {"order_id": 1001}
    }

`queue` is a queue of the routes file. The message's body is either `body`, any JSON, which is sent
in its shortest form, or `body_text`, which is sent as it is. What else a message file may say is
for those who read it (dev/samples.py).
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lambdo_router.config.diagnostics import closest, escape
from lambdo_router.config.read.document import in_words
from lambdo_router.config.read.files import read_regular
from lambdo_router.core.errors import LambdoError
from lambdo_router.core.lease import MOST_ATTRIBUTES
from lambdo_router.core.message import Attribute
from lambdo_router.core.strict_json import WideNumber, parse_json

MESSAGE_KEYS = ("$schema", "description", "queue", "attributes", "body", "body_text", "expect")
"""The keys of a message file."""
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_NAME = 256
_ATTRIBUTE_TYPE = re.compile(r"(String|Number|Binary)(\.[^\s]+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST_FILE: Final = 4 * 1024 * 1024


class SampleError(LambdoError):
    """A message cannot be read as one: every problem on a line of its own, with the file's name."""


@dataclass(frozen=True, slots=True)
class WrittenMessage:
    """What a sender sends, and where."""

    queue: str
    body: str
    attributes: Mapping[str, Attribute]


def read_message(path: Path) -> WrittenMessage:
    """The message of a message file, whatever it expects. Raises SampleError with all problems."""
    fields, problems = read_fields(path), list[str]()
    message = message_of(fields, problems)
    if problems:
        raise problems_of(path, problems)
    return message


def read_fields(path: Path) -> object:
    """The JSON of a message file. Raises SampleError if there is none."""
    try:
        content = read_regular(path, _LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SampleError(f"{path}: cannot be read: {reason}") from error
    if len(content) > _LARGEST_FILE:
        raise SampleError(f"{path}: is over 4 MiB; SQS takes messages of up to 1 MiB")
    try:
        return parse_json(content)
    except ValueError as problem:
        raise SampleError(f"{path}: is not JSON: {problem}") from None


def problems_of(path: Path, problems: list[str]) -> SampleError:
    """The error for a message file with these problems."""
    return SampleError("\n".join(escape(f"{path}: {problem}") for problem in problems))


def message_of(fields: object, problems: list[str]) -> WrittenMessage:
    """The message; what is wrong with it is added to `problems`, and then it is not to be used."""
    if not isinstance(fields, dict):
        problems.append(f"is {in_words(fields)}; a message file is a JSON object")
        return WrittenMessage("", "", {})
    problems.extend(unknown_keys(fields, MESSAGE_KEYS, ""))
    queue = fields.get("queue")
    if not isinstance(queue, str) or not queue:
        problems.append("`queue` must be the name of a queue of the routes file")
    return WrittenMessage(
        queue=str(queue),
        body=_body(fields, problems),
        attributes=_attributes(fields.get("attributes", {}), problems),
    )


def unknown_keys(fields: dict[str, Any], known: tuple[str, ...], where: str) -> Iterator[str]:
    """What to say about each key that is not known; `where` stands before the key."""
    for key in fields:
        if key not in known:
            yield f"unknown key `{where}{key}`; {closest(key, known)}"


def attribute(name: str, data_type: str, value: str) -> Attribute:
    """
    An attribute as SQS takes it; the value of a Binary one comes as base64.

    ValueError says what is wrong with the name, the type or the value.
    """
    if _ATTRIBUTE_NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"attribute {_json(name)}: a name is 1 to 256 letters, digits, `_`, `-` and `.`, "
            "without a period at either end or two in a row"
        )
    kind = _ATTRIBUTE_TYPE.fullmatch(data_type)
    if kind is None:
        raise ValueError(
            f"attribute `{name}`: no type is called {_json(data_type)}; allowed are String, "
            "Number and Binary, also with a label as in Number.int"
        )
    if not value:
        raise ValueError(f"attribute `{name}`: the value is empty, which SQS does not take")
    if kind[1] == "Number" and _NUMBER.fullmatch(value) is None:
        raise ValueError(f"attribute `{name}`: {_json(value)} is no number")
    if kind[1] != "Binary":
        return Attribute(data_type, value)
    try:
        return Attribute(data_type, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError(f"attribute `{name}`: the value of a Binary one is base64") from None


def json_body(value: object) -> str:
    """The value in JSON's shortest form, as a body; no number loses a digit."""
    match value:
        case dict():
            members = (f"{_json(key)}:{json_body(inner)}" for key, inner in value.items())
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(map(json_body, value))}]"
        case WideNumber(text):
            return text
        case _:
            return _json(value)


def _json(scalar: object) -> str:
    return json.dumps(scalar, ensure_ascii=False)


def notification(message: WrittenMessage) -> WrittenMessage:
    """The message as SNS delivers it to a queue that is subscribed without raw delivery."""
    fields: dict[str, object] = {
        "Type": "Notification",
        "MessageId": "00000000-0000-0000-0000-000000000000",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
        "Message": message.body,
        "Timestamp": "2026-01-01T00:00:00.000Z",
    }
    if message.attributes:
        fields["MessageAttributes"] = {
            name: {"Type": it.data_type, "Value": _sns_value(it.value)}
            for name, it in message.attributes.items()
        }
    return WrittenMessage(message.queue, json_body(fields), {})


def _sns_value(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _body(fields: dict[str, Any], problems: list[str]) -> str:
    if ("body" in fields) == ("body_text" in fields):
        problems.append("write either `body`, which is JSON, or `body_text`, which is any text")
        return ""
    if "body" in fields:
        return json_body(fields["body"])
    text = fields["body_text"]
    if not isinstance(text, str) or not text:
        problems.append("`body_text` must be text, and not empty, which SQS does not take")
    return str(text)


def _attributes(written: object, problems: list[str]) -> dict[str, Attribute]:
    if not isinstance(written, dict):
        problems.append(
            f"`attributes` is {in_words(written)}; it must be an object from name to value"
        )
        return {}
    attributes: dict[str, Attribute] = {}
    for name, value in written.items():
        match value:
            case str():
                data_type, text = "String", value
            case {"type": str(data_type), "value": str(text)} if len(value) == 2:  # noqa: PLR2004 - just these
                pass
            case _:
                problems.append(
                    f"`attributes.{name}` is {in_words(value)}; write text, or "
                    '{"type": "Number", "value": "5"}'
                )
                continue
        try:
            attributes[name] = attribute(name, data_type, text)
        except ValueError as problem:
            problems.append(str(problem))
    if len(written) > MOST_ATTRIBUTES:
        problems.append(f"{len(written)} attributes; SQS takes {MOST_ATTRIBUTES} with a message")
    return attributes
