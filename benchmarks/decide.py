"""
What a decision costs, and whether that grows with the number of routes.

    python benchmarks/decide.py [ROUTES ...]

First three realistic events go through everything: read, matched, and checked against a schema,
with 10 to 10,000 routes on their queue. Then, for every kind of condition by which routes can
differ, tables of 10, 1,000 and 10,000 routes decide the same kind of messages. It is CPU time that
is taken, and what counts are the ratios: numbers of different machines are not to be compared.
"""

import gc
import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measuring import Column, Table, Target, full_or_quick, least_cpu, tell

from lambdo_router.core.message import Attribute, Message, read_event
from lambdo_router.core.patterns import Index, compile_pattern
from lambdo_router.core.profile import SIZES, Profile
from lambdo_router.core.routing import Match, Queue, Route, Routed, RoutingTable, decide
from lambdo_router.core.schemas import EventSchema, compile_schema

QUEUE = Queue("orders", url="orders")
PROFILE = Profile(name="p", app="a", image="i", size="s", guest=SIZES["shared-cpu-1x"].guest)
SYSTEM = {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000123"}
RESIDUAL = 50
"""In the last table one route of so many has a condition that no index can tell."""
MESSAGES = full_or_quick(500, 50)
ROUNDS = full_or_quick(5, 2)
ROUTES = full_or_quick((10, 100, 1_000, 10_000), (10, 100))
GROWTH = 1.5
"""How many times what it costs at few routes a decision may cost at many."""

Conditions = Callable[[int], object]
"""The condition of the route of this number, on the field `detail.kind`."""


def mixed(number: int) -> object:
    return [exact, prefix, suffix, ignoring_case][number % 4](number)


def exact(number: int) -> object:
    return f"kind-{number:05}"


def prefix(number: int) -> object:
    return {"prefix": f"kind-{number:05}"}


def suffix(number: int) -> object:
    return {"suffix": f"kind-{number:05}"}


def ignoring_case(number: int) -> object:
    return {"equals-ignore-case": f"Kind-{number:05}"}


def with_residual(number: int) -> object:
    return mixed(number) if number % RESIDUAL else {"wildcard": f"*never-{number}*"}


KINDS: Mapping[str, Conditions] = {
    "exact": exact,
    "prefix": prefix,
    "suffix": suffix,
    "ignore-case": ignoring_case,
    "mixed": mixed,
    "mixed, 2 % unindexed": with_residual,
}


@dataclass(frozen=True)
class Result:
    seconds: float
    """For one decision."""
    build: float
    """For the index."""


def measure(conditions: Conditions, size: int) -> Result:
    routes = tuple(
        Route(
            name=f"route-{number}",
            queues=(QUEUE.name,),
            profile=PROFILE,
            match=Match(
                attributes=compile_pattern({"tenant": ["acme"]}),
                body=compile_pattern(
                    {"source": ["shop"], "detail": {"kind": [conditions(number)]}}
                ),
            ),
        )
        for number in range(size)
    )
    gc.collect()
    build = least_cpu(lambda: Index(route.match.parts().items() for route in routes), rounds=2)
    table = RoutingTable("benchmark", {QUEUE.name: QUEUE}, routes)
    chosen = random.Random(1)  # noqa: S311 (the same messages in every run)
    wanted = [number for number in range(size) if number % RESIDUAL]
    messages = [message(chosen.choice(wanted)) for _ in range(MESSAGES)]
    return Result(seconds_of(table, QUEUE, messages), build)


def message(number: int) -> Message:
    """Return a message of about 900 bytes for the route of this number."""
    body = {
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "source": "shop",
        "account": "123456789012",
        "time": "2024-11-23T18:00:00Z",
        "region": "us-east-1",
        "detail": {
            "kind": f"kind-{number:05}",
            "customer": {"id": 4711, "tier": "gold", "since": "2019-05-01", "newsletter": False},
            "items": [
                {"sku": f"sku-{item}", "quantity": item, "price": item + 0.99, "title": "x" * 40}
                for item in range(1, 5)
            ],
            "total": 123.45,
            "currency": "EUR",
            "coupon": None,
            "notes": "leave it at the door",
        },
    }
    attributes = {"tenant": Attribute("String", "acme"), "attempt": Attribute("Number", "1")}
    return Message("m", "r", json.dumps(body), attributes, dict(SYSTEM))


# Three whole events


@dataclass(frozen=True)
class Sample:
    """A realistic event, and what routes of its kind ask."""

    title: str
    message: Callable[[int], Message]
    """For the route of this number."""
    match: Callable[[int], Match]
    schema: Mapping[str, object]
    queue: Queue = QUEUE


def uploaded(number: int) -> Message:
    """Return a notification of S3."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-23T18:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {"name": f"bucket-{number:05}", "arn": f"arn:aws:s3:::bucket-{number:05}"},
            "object": {"key": "photos/0001.png", "size": 123456, "eTag": "d41d8cd98f00b204"},
        },
    }
    return Message("m", "r", json.dumps({"Records": [record]}), {}, dict(SYSTEM))


def paid(number: int) -> Message:
    """Return an order, by way of SNS, which wraps it."""
    order = {"order": {"id": f"A-{number}", "total": 99.5, "items": list(range(20))}, "paid": True}
    envelope = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:orders",
        "Message": json.dumps(order),
        "Timestamp": "2026-11-23T18:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "x" * 340,
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "MessageAttributes": {"tenant": {"Type": "String", "Value": f"tenant-{number:05}"}},
    }
    return Message("m", "r", json.dumps(envelope), {}, dict(SYSTEM))


def pushed(number: int) -> Message:
    """Return what a code host says of a push: about 12 kB, with many commits."""
    commit = {
        "id": "f" * 40,
        "message": "Make it work " * 8,
        "author": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
        "added": [f"src/part_{at}/file.py" for at in range(6)],
        "modified": ["README.md"],
        "timestamp": "2026-11-23T18:00:00Z",
    }
    body = {
        "ref": f"refs/heads/team-{number:05}/main",
        "repository": {"id": 4711, "full_name": "acme/shop", "private": True, "topics": ["shop"]},
        "pusher": {"name": "ada", "email": "ada@example.com"},
        "commits": [commit] * 22,
        "forced": False,
    }
    attributes = {"kind": Attribute("String", "push")}
    return Message("m", "r", json.dumps(body), attributes, dict(SYSTEM))


SAMPLES = (
    Sample(
        "S3 notification",
        uploaded,
        lambda number: Match(
            body=compile_pattern(
                {
                    "Records": {
                        "eventName": [{"prefix": "ObjectCreated:"}],
                        "s3": {"bucket": {"name": [f"bucket-{number:05}"]}},
                    }
                }
            )
        ),
        {
            "required": ["Records"],
            "properties": {
                "Records": {
                    "type": "array",
                    "items": {"type": "object", "required": ["eventName", "s3"]},
                }
            },
        },
    ),
    Sample(
        "order by SNS",
        paid,
        lambda number: Match(
            attributes=compile_pattern({"tenant": [f"tenant-{number:05}"]}),
            body=compile_pattern({"paid": [True], "order": {"total": [{"numeric": [">", 0]}]}}),
        ),
        {
            "required": ["order"],
            "properties": {
                "order": {
                    "type": "object",
                    "required": ["id", "total"],
                    "properties": {"id": {"pattern": "^[A-Z]-[0-9]+$"}, "total": {"minimum": 0}},
                }
            },
        },
        Queue("orders", url="orders", envelope="sns"),
    ),
    Sample(
        "push webhook",
        pushed,
        lambda number: Match(
            attributes=compile_pattern({"kind": ["push"]}),
            body=compile_pattern({"ref": [{"prefix": f"refs/heads/team-{number:05}/"}]}),
        ),
        {
            "required": ["ref", "commits"],
            "properties": {"commits": {"type": "array", "items": {"required": ["id", "author"]}}},
        },
    ),
)


def schema_of(sample: Sample) -> EventSchema:
    """Its schema, compiled."""
    return compile_schema(Path("s.json"), lambda _: json.dumps(sample.schema).encode()).schema


def whole(sample: Sample, size: int) -> float:
    """Seconds for one decision with this many routes."""
    schema = schema_of(sample)
    routes = tuple(
        Route(f"route-{number}", (QUEUE.name,), PROFILE, sample.match(number), schema)
        for number in range(size)
    )
    table = RoutingTable("benchmark", {QUEUE.name: sample.queue}, routes)
    chosen = random.Random(1)  # noqa: S311 (the same messages in every run)
    return seconds_of(
        table, sample.queue, [sample.message(chosen.randrange(size)) for _ in range(MESSAGES)]
    )


def seconds_of(table: RoutingTable, queue: Queue, messages: list[Message]) -> float:
    """For one decision."""
    if not all(isinstance(decide(table, queue, each), Routed) for each in messages):
        raise SystemExit("a message took no route: the benchmark is broken")
    gc.collect()
    gc.freeze()
    work = partial(decide_all, table, queue, messages)
    return least_cpu(work, ROUNDS) / len(messages)


def decide_all(table: RoutingTable, queue: Queue, messages: list[Message]) -> None:
    """One after the other."""
    for each in messages:
        decide(table, queue, each)


def whole_events(sizes: list[int]) -> Table:
    """Return the first table."""
    rows = []
    targets = []
    for sample in SAMPLES:
        one = sample.message(0)
        reading = least_cpu(
            lambda one=one, sample=sample: [
                read_event(one, sample.queue.envelope) for _ in range(MESSAGES)
            ],
            ROUNDS,
        )
        seconds = [whole(sample, size) for size in sizes]
        growth = seconds[-1] / seconds[0]
        speeds = [1 / each for each in seconds]
        rows.append((sample.title, len(one.body), reading / MESSAGES * 1e6, *speeds, growth))
        text = f"{sample.title}: {growth:.2f} times the time at {sizes[-1]:,} routes of that at "
        text += f"{sizes[0]:,}, at most {GROWTH}"
        targets.append(Target(text, growth <= GROWTH))
    columns = (
        Column("event"),
        Column("bytes", ","),
        Column("reading us", ".1f"),
        *(Column(f"{size:,} routes", ",.0f") for size in sizes),
        Column("growth", ".2f"),
    )
    title = "Decisions a second: parse, match, schema"
    note = "Reading is the part of each decision that makes an event of the body."
    return Table("decide", title, columns, rows, note, targets)


def main(sizes: list[int]) -> int:
    """Print both tables."""
    return tell(whole_events(sizes or list(ROUTES)), kinds(sizes or [10, *ROUTES[-2:]]))


def kinds(sizes: list[int]) -> Table:
    """Return the second table."""
    rows = []
    for name, conditions in KINDS.items():
        results = [measure(conditions, size) for size in sizes]
        speeds = [1 / result.seconds for result in results]
        growth = results[-1].seconds / results[0].seconds
        rows.append((name, *speeds, growth, results[-1].build * 1000))
    columns = (
        Column("condition"),
        *(Column(f"{size:,} routes", ",.0f") for size in sizes),
        Column("growth", ".2f"),
        Column("index built in ms", ",.0f"),
    )
    title = "Decisions a second by kind of condition, without a schema"
    return Table("decide_by_condition", title, columns, rows)


if __name__ == "__main__":
    raise SystemExit(main([int(size) for size in sys.argv[1:]]))
