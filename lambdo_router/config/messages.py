"""
Messages as people write them: to be sent, explained, tested, or shown by `demo`.

    {
      "queue": "orders",
      "attributes": {"kind": "order.paid", "shop": {"type": "Number", "value": "7"}},
      "body": {"order_id": 1001},
      "expect": {"route": "orders", "exit_code": 0, "settlement": "deleted"}
    }

The body is either `body`, any JSON, which is sent in its shortest form, or `body_text`, which is
sent as it is. `expect` says how the message should end, which `demo` compares with what happened.
`$schema` and `description` are for people. examples/message.schema.json is for editors.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from lambdo_router.config.diagnostics import closest, escape
from lambdo_router.config.read.document import in_words
from lambdo_router.config.read.files import link_out, read_regular
from lambdo_router.core.errors import LambdoError
from lambdo_router.core.lease import MOST_ATTRIBUTES
from lambdo_router.core.message import Attribute
from lambdo_router.core.routing import Reason
from lambdo_router.core.strict_json import WideNumber, parse_json

Ending = Literal["deleted", "dropped", "rejected", "left"]
"""How a message ends: launched and deleted, deleted by `drop`, moved, or left on the queue."""

_KEYS = ("$schema", "description", "queue", "attributes", "body", "body_text", "expect")
_EXPECT_KEYS = ("route", "reason", "exit_code", "events", "settlement")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_NAME = 256
_ATTRIBUTE_TYPE = re.compile(r"(String|Number|Binary)(\.[^\s]+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST_FILE: Final = 4 * 1024 * 1024


class SampleError(LambdoError):
    """A file is not a message. One line for each problem, with the file's name."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a message should end. None matches anything."""

    settlement: Ending
    route: str | None = None
    reason: Reason | None = None
    exit_code: int | None = None
    """Of the Machine that gets the message's event."""
    events: int | None = None
    """How many events that Machine gets, this one included."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message that can be sent."""

    name: str
    """The file's name without its folder; empty if there is no file."""
    queue: str
    body: str
    attributes: Mapping[str, Attribute]
    expect: Expectation | None = None


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """Read every *.json of a folder, by name. Raises SampleError with the problems of all."""
    samples: list[Sample] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.json")):
        if link_out(folder, path) is not None:
            problems.append(f"{path}: the link leads out of the folder; copy the file there")
            continue
        try:
            samples.append(read_sample(path))
        except SampleError as error:
            problems.append(str(error))
    if not samples and not problems:
        problems.append(f"{folder}: there is no message file (*.json) in this folder")
    if problems:
        raise SampleError("\n".join(problems))
    return tuple(samples)


def read_sample(path: Path, *, with_expectation: bool = True) -> Sample:
    """Read a message file. Raises SampleError with everything that is wrong with it."""
    fields = _read_json(path)
    problems: list[str] = []
    queue: object = ""
    body, expect = "", None
    attributes: Mapping[str, Attribute] = {}
    if isinstance(fields, dict):
        problems.extend(_unknown_keys(fields, _KEYS, ""))
        queue = fields.get("queue")
        if not isinstance(queue, str) or not queue:
            problems.append("`queue` must be the name of a queue of the routes file")
        body = _body(fields, problems)
        attributes = _attributes(fields.get("attributes", {}), problems)
        if with_expectation and "expect" in fields:
            expect = _expectation(fields["expect"], problems)
    else:
        problems.append(f"is {in_words(fields)}; a message file is a JSON object")
    if problems:
        raise SampleError("\n".join(escape(f"{path}: {problem}") for problem in problems))
    return Sample(path.name, str(queue), body, attributes, expect)


def _read_json(path: Path) -> object:
    try:
        content = read_regular(path, _LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SampleError(f"{path}: cannot be read: {reason}") from error
    if len(content) > _LARGEST_FILE:
        raise SampleError(f"{path}: is over 4 MiB; SQS accepts messages of up to 1 MiB")
    try:
        return parse_json(content)
    except ValueError as problem:
        raise SampleError(f"{path}: is not JSON: {problem}") from None


def _unknown_keys(fields: dict[str, Any], known: tuple[str, ...], prefix: str) -> Iterator[str]:
    for key in fields:
        if key not in known:
            yield f"unknown key `{prefix}{key}`; {closest(key, known)}"


def attribute(name: str, data_type: str, value: str) -> Attribute:
    """
    Return an attribute as SQS takes it; the value of a Binary one is given as base64.

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
            f"attribute `{name}`: there is no type {_json(data_type)}; allowed are String, Number "
            "and Binary, also with a label as in Number.int"
        )
    if not value:
        raise ValueError(f"attribute `{name}`: the value is empty, which SQS does not accept")
    if kind[1] == "Number" and _NUMBER.fullmatch(value) is None:
        raise ValueError(f"attribute `{name}`: {_json(value)} is not a number")
    if kind[1] != "Binary":
        return Attribute(data_type, value)
    try:
        return Attribute(data_type, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError(f"attribute `{name}`: the value of a Binary one is base64") from None


def json_body(value: object) -> str:
    """Return the value in JSON's shortest form, as a body; no number loses a digit."""
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


def notification(message: Sample) -> Sample:
    """Return the message as SNS delivers it to a queue subscribed without raw delivery."""
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
    return Sample(message.name, message.queue, json_body(fields), {})


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
        problems.append("`body_text` must be text, and not empty, which SQS does not accept")
    return str(text)


def _attributes(written: object, problems: list[str]) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    if not isinstance(written, dict):
        problems.append(f"`attributes` is {in_words(written)}; write an object from name to value")
        return attributes
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
        problems.append(f"{len(written)} attributes; SQS accepts {MOST_ATTRIBUTES} per message")
    return attributes


def _expectation(written: object, problems: list[str]) -> Expectation | None:
    """Return the expectation; None, with the problems noted, if it is invalid."""
    if not isinstance(written, dict):
        problems.append(f"`expect` is {in_words(written)}; write an object with a `settlement`")
        return None
    before = len(problems)
    problems.extend(_unknown_keys(written, _EXPECT_KEYS, "expect."))
    _check_choice(written.get("settlement"), get_args(Ending), "settlement", problems)
    if "reason" in written:
        _check_choice(written["reason"], get_args(Reason), "reason", problems)
    for key, least in (("exit_code", 0), ("events", 1)):
        if key in written and not (type(written[key]) is int and written[key] >= least):
            problems.append(f"`expect.{key}` must be a whole number from {least}")
    if "route" in written and not isinstance(written["route"], str):
        problems.append("`expect.route` must be the name of a route")
    if "reason" in written and {"exit_code", "events"} & set(written):
        problems.append(
            "`expect.reason` is for a message without a Machine: no exit_code, no events"
        )
    return None if len(problems) > before else Expectation(**written)


def _check_choice(value: object, allowed: tuple[str, ...], key: str, problems: list[str]) -> None:
    if value not in allowed:
        hint = closest(value if isinstance(value, str) else "", allowed)
        problems.append(f"`expect.{key}` is {in_words(value)}; {hint}")
