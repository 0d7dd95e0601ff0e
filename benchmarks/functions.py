"""
Single functions on the way of a message, each beside `json.loads` of the same event.

    python benchmarks/functions.py [ARGUMENTS OF PYTEST ...]

Measured by pytest-benchmark, which calibrates the rounds; its own options work too, such as
`-k batch`, or `--benchmark-save=NAME` and `--benchmark-compare`. The unit of the table is one
`json.loads`, so that the column is of use on any machine. To see where the time goes, give one of
them to a profiler: `--benchmark-cprofile=tottime`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import pytest
from building import entry, key, message, profile, route, table, text
from measuring import Column, Table, full_or_quick, tell

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, Batcher
from lambdo_router.core.machine import entry_of, machine_request, room_for_entries
from lambdo_router.core.message import Event, read_event
from lambdo_router.core.patterns import Index, compile_pattern
from lambdo_router.core.routing import Match, Queue, Routed, decide
from lambdo_router.core.schemas import compile_schema
from lambdo_router.telemetry.metrics import Metrics
from lambdo_router.telemetry.status import Overview

BODY = json.dumps(
    {
        "source": "shop",
        "detail": {
            "kind": "kind-7",
            "total": 123.45,
            "items": [{"sku": f"sku-{at}", "title": "x" * 40, "quantity": at} for at in range(8)],
        },
    }
)
SCHEMA = {
    "type": "object",
    "required": ["source", "detail"],
    "properties": {"detail": {"type": "object", "required": ["kind", "total"]}},
}
UNIT = "json.loads"
BATCH = 100

_TESTS: list[tuple[str, Callable[[], object]]] = []


def measured(name: str) -> Callable[[Callable[[], Callable[[], object]]], None]:
    """Register a function whose result is the function to measure."""

    def add(make: Callable[[], Callable[[], object]]) -> None:
        _TESTS.append((name, make()))

    return add


@measured(UNIT)
def _() -> Callable[[], object]:
    return lambda: json.loads(BODY)


@measured("read_event")
def _() -> Callable[[], object]:
    one = message(body=BODY)
    return lambda: read_event(one, "none")


def _pattern(number: int) -> Any:  # noqa: ANN401 - a Pattern
    return compile_pattern({"source": ["shop"], "detail": {"kind": [f"kind-{number}"]}})


@measured("a pattern, matched")
def _() -> Callable[[], object]:
    pattern, value = _pattern(7), json.loads(BODY)
    return lambda: pattern.matches(value)


@measured("a schema, checked")
def _() -> Callable[[], object]:
    schema = compile_schema(Path("s.json"), lambda _: json.dumps(SCHEMA).encode()).schema
    value = json.loads(BODY)
    return lambda: schema.problems(value)


@measured("decide, 1,000 routes")
def _() -> Callable[[], object]:
    made = table(*(route(f"r{at}", match=Match(body=_pattern(at))) for at in range(1000)))
    one, queue = message(body=BODY), made.queues["q"]
    if not isinstance(decide(made, queue, one), Routed):
        raise SystemExit("the message took no route: the benchmark is broken")
    return lambda: decide(made, queue, one)


@measured("index of 1,000 routes, built")
def _() -> Callable[[], object]:
    matches = [Match(body=_pattern(at)) for at in range(1000)]
    return lambda: Index([match.parts().items() for match in matches])


@measured("entry_of")
def _() -> Callable[[], object]:
    one, event = message(body=BODY), Event(BODY, {}, {})
    return lambda: entry_of(one, event)


@measured(f"{BATCH} events into a batch, and out")
def _() -> Callable[[], object]:
    entries = [entry(f"m{at}", BODY) for at in range(BATCH)]
    where = key(batch_size=BATCH)

    def work() -> Batch | None:
        batcher = Batcher(room_for_entries)
        for at in entries:
            batcher.add(where, at, 0.0)
        return batcher.take(where)

    return work


@measured(f"create request of {BATCH} events")
def _() -> Callable[[], object]:
    batch = Batch(key(batch_size=BATCH), tuple(entry(f"m{at}", BODY) for at in range(BATCH)))
    return lambda: machine_request(batch, generation="g")


def _facts() -> list[journal.Fact]:
    one = message(body=BODY, attributes={"kind": text("image")})
    made = route(profile=profile())
    decision = Routed(made, made.profile, Event(BODY, {}, {}))
    return [journal.Received("q", one), journal.Decided("q", one.id, decision)]


def _observed(observe: journal.Observer) -> Callable[[], object]:
    made = table(route(), queues=(Queue("q", url="q"),))
    observe(journal.TableActivated(made, None))
    facts = _facts()

    def work() -> None:
        for fact in facts:
            observe(fact)

    return work


@measured("metrics, two facts of a message")
def _() -> Callable[[], object]:
    return _observed(Metrics(None).observe)


@measured("overview, two facts of a message")
def _() -> Callable[[], object]:
    return _observed(Overview(time.time).observe)


@pytest.mark.parametrize(("name", "work"), _TESTS, ids=[name for name, _ in _TESTS])
def test_of(benchmark: Any, name: str, work: Callable[[], object]) -> None:  # noqa: ANN401 - a fixture
    """One function."""
    benchmark.extra_info["name"] = name
    benchmark(work)


def main(arguments: list[str]) -> int:
    """Have pytest measure, and print the table."""
    longest = full_or_quick("0.5", "0.02")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "found.json")
        options = [
            f"--benchmark-json={found}",
            f"--benchmark-max-time={longest}",
            "--benchmark-columns=median,iqr,rounds",
            "--benchmark-quiet",
            "-p",
            "no:cacheprovider",
        ]
        exit_code = pytest.main([__file__, *options, *arguments])
        if exit_code != 0:
            return int(exit_code)
        measured = json.loads(found.read_text("utf-8"))["benchmarks"]
    medians = {it["extra_info"]["name"]: it["stats"]["median"] for it in measured}
    unit = medians.get(UNIT)
    rows = [
        (name, median * 1e6, median / unit if unit else None) for name, median in medians.items()
    ]
    columns = (Column("function"), Column("us", ",.1f"), Column(f"x {UNIT}", ",.2f"))
    note = f"Medians, on an event of {len(BODY)} bytes."
    return tell(Table("functions", "Single functions", columns, rows, note))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
