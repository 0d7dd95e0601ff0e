"""
Sample messages as files: one JSON file for each.

    {
      "queue": "orders",
      "attributes": {"kind": "order.paid", "shop": {"type": "Number", "value": "7"}},
      "body": {"order_id": 1001},
      "expect": {"route": "orders", "exit_code": 0, "settlement": "deleted"}
    }

The message itself is read by config/messages.py. `expect` says how it is to end; `demo` compares
that with what happened. `$schema` and `description` are for people.

examples/message.schema.json says the same to editors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.messages import (
    SampleError,
    attribute,
    message_of,
    problems_of,
    read_fields,
    unknown_keys,
)
from lambdo_router.config.read.document import in_words
from lambdo_router.config.read.files import link_out
from lambdo_router.core.message import Attribute
from lambdo_router.core.routing import Reason

__all__ = [
    "Ending",
    "Expectation",
    "Sample",
    "SampleError",
    "attribute",
    "read_sample",
    "read_samples",
]

Ending = Literal["deleted", "dropped", "rejected", "left"]
"""How a message is settled for good: launched and deleted, deleted by `drop`, moved, left alone."""

_EXPECT_KEYS = ("route", "reason", "exit_code", "events", "settlement")


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
        if link_out(folder, path) is not None:
            problems.append(f"{path}: the link leads out of the folder; copy the file there")
            continue
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
    fields = read_fields(path)
    problems: list[str] = []
    message = message_of(fields, problems)
    expect = None
    if isinstance(fields, dict) and "expect" in fields:
        expect = _expectation(fields["expect"], problems)
    if problems:
        raise problems_of(path, problems)
    return Sample(path.name, message.queue, message.body, message.attributes, expect)


def _expectation(written: object, problems: list[str]) -> Expectation:
    nothing = Expectation("deleted")
    if not isinstance(written, dict):
        problems.append(f"`expect` is {in_words(written)}; write an object with a `settlement`")
        return nothing
    before = len(problems)
    problems.extend(unknown_keys(written, _EXPECT_KEYS, "expect."))
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
        problems.append(f"`expect.{key}` is {in_words(value)}; {hint}")
