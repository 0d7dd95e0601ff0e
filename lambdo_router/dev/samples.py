"""
Sample messages as files: one JSON file for each.

    {
      "queue": "orders",
      "attributes": {"kind": "order.paid", "shop": {"type": "Number", "value": "7"}},
      "body": {"order_id": 1001},
      "expect": {"route": "orders", "exit_code": 0, "settlement": "deleted"}
    }

`queue` is a queue of the routes file. The message's body is either `body`, any JSON, which is sent
in its shortest form, or `body_text`, which is sent as it is. `expect` says how the message is to
end; `demo` compares that with what happened. `$schema` and `description` are for people.

examples/message.schema.json says the same to editors.
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
from lambdo_router.config.shape import found
from lambdo_router.errors import LambdoError
from lambdo_router.events import Attribute, parse_json
from lambdo_router.routing import Reason
from lambdo_router.settlement import MOST_ATTRIBUTES

Ending = Literal["deleted", "dropped", "rejected", "left"]
"""How a message is settled for good: launched and deleted, deleted by `drop`, moved, left alone."""

_KEYS = ("$schema", "description", "queue", "attributes", "body", "body_text", "expect")
_EXPECT_KEYS = ("route", "reason", "exit_code", "events", "settlement")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_NAME = 256
_ATTRIBUTE_TYPE = re.compile(r"(String|Number|Binary)(\.[^\s]+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST_FILE: Final = 4 * 1024 * 1024


class SampleError(LambdoError):
    """A message cannot be read as one: every problem on a line of its own, with the file's name."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a message is to end. What is None is not asked."""

    settlement: Ending
    route: str | None = None
    reason: Reason | None = None
    exit_code: int | None = None
    """Of the Machine that the message's event is given to."""
    events: int | None = None
    """How many events that Machine is given, this one included."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message that can be sent."""

    name: str
    """The file's name without its folder."""
    queue: str
    body: str
    attributes: Mapping[str, Attribute]
    expect: Expectation | None = None


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """Every *.json of the folder, by name. Raises SampleError with the problems of all of them."""
    samples: list[Sample] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            samples.append(read_sample(path))
        except SampleError as error:
            problems.append(str(error))
    if not samples and not problems:
        raise SampleError(f"{folder}: there is no message file (*.json) in this folder")
    if problems:
        raise SampleError("\n".join(problems))
    return tuple(samples)


def read_sample(path: Path) -> Sample:
    """One message file. Raises SampleError with everything that is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST_FILE:
        raise SampleError(f"{path}: is over 4 MiB; SQS takes messages of up to 1 MiB")
    try:
        parse_json(content)
    except ValueError as problem:
        raise SampleError(f"{path}: is not JSON: {problem}") from None
    problems: list[str] = []
    sample = _sample(path.name, json.loads(content), problems)
    if problems:
        raise SampleError("\n".join(escape(f"{path}: {problem}") for problem in problems))
    return sample


def attribute(name: str, data_type: str, value: str) -> Attribute:
    """
    An attribute as SQS takes it; the value of a Binary one comes as base64.

    ValueError says what is wrong with the name, the type or the value.
    """
    if _ATTRIBUTE_NAME.fullmatch(name) is None or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"attribute {_quoted(name)}: a name is 1 to 256 letters, digits, `_`, `-` and `.`, "
            "without a period at either end or two in a row"
        )
    kind = _ATTRIBUTE_TYPE.fullmatch(data_type)
    if kind is None:
        raise ValueError(
            f"attribute `{name}`: no type is called {_quoted(data_type)}; allowed are String, "
            "Number and Binary, also with a label as in Number.int"
        )
    if not value:
        raise ValueError(f"attribute `{name}`: the value is empty, which SQS does not take")
    if kind[1] == "Number" and _NUMBER.fullmatch(value) is None:
        raise ValueError(f"attribute `{name}`: {_quoted(value)} is no number")
    if kind[1] != "Binary":
        return Attribute(data_type, value)
    try:
        return Attribute(data_type, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError(f"attribute `{name}`: the value of a Binary one is base64") from None


def _sample(name: str, fields: object, problems: list[str]) -> Sample:
    """The message; what is wrong with it is added to `problems`, and then it is not to be used."""
    if not isinstance(fields, dict):
        problems.append(f"is {found(fields)}; a message file is a JSON object")
        return Sample(name, "", "", {})
    problems.extend(_unknown_keys(fields, _KEYS, ""))
    queue = fields.get("queue")
    if not isinstance(queue, str) or not queue:
        problems.append("`queue` must be the name of a queue of the routes file")
    return Sample(
        name=name,
        queue=str(queue),
        body=_body(fields, problems),
        attributes=_attributes(fields.get("attributes", {}), problems),
        expect=_expectation(fields["expect"], problems) if "expect" in fields else None,
    )


def _unknown_keys(fields: dict[str, Any], known: tuple[str, ...], where: str) -> Iterator[str]:
    for key in fields:
        if key not in known:
            yield f"unknown key `{where}{key}`; {closest(key, known)}"


def _body(fields: dict[str, Any], problems: list[str]) -> str:
    if ("body" in fields) == ("body_text" in fields):
        problems.append("write either `body`, which is JSON, or `body_text`, which is any text")
        return ""
    if "body" in fields:
        try:
            return json.dumps(
                fields["body"], ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
        except ValueError:
            problems.append("`body` has a number beyond a double's range; write it in `body_text`")
            return ""
    text = fields["body_text"]
    if not isinstance(text, str) or not text:
        problems.append("`body_text` must be text, and not empty, which SQS does not take")
    return str(text)


def _attributes(written: object, problems: list[str]) -> dict[str, Attribute]:
    if not isinstance(written, dict):
        problems.append(
            f"`attributes` is {found(written)}; it must be an object from name to value"
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
                    f"`attributes.{name}` is {found(value)}; write text, or "
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


def _expectation(written: object, problems: list[str]) -> Expectation:
    nothing = Expectation("deleted")
    if not isinstance(written, dict):
        problems.append(f"`expect` is {found(written)}; it must be an object with a `settlement`")
        return nothing
    before = len(problems)
    problems.extend(_unknown_keys(written, _EXPECT_KEYS, "expect."))
    _one_of(written.get("settlement"), get_args(Ending), "settlement", problems)
    if "reason" in written:
        _one_of(written["reason"], get_args(Reason), "reason", problems)
    for key, least in (("exit_code", 0), ("events", 1)):
        if key in written and not (type(written[key]) is int and written[key] >= least):
            problems.append(f"`expect.{key}` must be a whole number from {least}")
    if "route" in written and not isinstance(written["route"], str):
        problems.append("`expect.route` must be the name of a route")
    if "reason" in written and {"exit_code", "events"} & set(written):
        problems.append(
            "`expect.reason` is for a message without a Machine: no exit_code, no events"
        )
    return nothing if len(problems) > before else Expectation(**written)


def _one_of(value: object, allowed: tuple[str, ...], key: str, problems: list[str]) -> None:
    if value not in allowed:
        hint = closest(value if isinstance(value, str) else "", allowed)
        problems.append(f"`expect.{key}` is {found(value)}; {hint}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
