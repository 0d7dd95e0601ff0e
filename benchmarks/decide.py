"""
What a decision costs, and whether that grows with the number of routes.

For every kind of condition by which routes can differ, tables of 10, 1,000 and 10,000 routes
decide the same kind of messages. It is CPU time that is taken, and what counts are the ratios:
numbers of different machines are not to be compared.

Run it with `make bench`, or with a number of routes of your own: `decide.py 10 50000`.
"""

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lambdo_router.events import Attribute, Message, read_event
from lambdo_router.patterns import Index, compile_pattern
from lambdo_router.profiles import SIZES, Profile
from lambdo_router.routing import Match, Queue, Route, Routed, RoutingTable, decide

QUEUE = Queue("orders", url="orders")
PROFILE = Profile(name="p", app="a", image="i", size="s", guest=SIZES["shared-cpu-1x"].guest)
RESIDUAL = 50
"""In the last table one route of so many has a condition that no index can tell."""
MESSAGES = 500
ROUNDS = 5

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
    build = best(lambda: Index(route.match.parts().items() for route in routes), rounds=3)
    table = RoutingTable("benchmark", {QUEUE.name: QUEUE}, routes)
    chosen = random.Random(1)  # noqa: S311 (the same messages in every run)
    wanted = [number for number in range(size) if number % RESIDUAL]
    messages = [message(chosen.choice(wanted)) for _ in range(MESSAGES)]
    if not all(isinstance(decide(table, QUEUE, each), Routed) for each in messages):
        raise SystemExit("a message took no route: the benchmark is broken")
    gc.collect()
    gc.freeze()
    return Result(best(lambda: [decide(table, QUEUE, each) for each in messages]) / MESSAGES, build)


def message(number: int) -> Message:
    """A message of about 900 bytes for the route of this number."""
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
    system = {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000123"}
    return Message("m", "r", json.dumps(body), attributes, system)


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main(sizes: list[int]) -> None:
    one = message(0)
    reading = best(lambda: [read_event(one, "none") for _ in range(MESSAGES)]) / MESSAGES
    print(
        f"{len(one.body)} bytes of JSON; reading them takes {reading * 1e6:.1f} us of each decision"
    )
    print()
    columns = "".join(f"{f'{size:,}':>12}" for size in sizes)
    print(f"{'decisions a second at':<24}{columns}{'ratio':>10}{'index built in':>18}")
    for name, conditions in KINDS.items():
        results = [measure(conditions, size) for size in sizes]
        speeds = "".join(f"{f'{1 / result.seconds:,.0f}':>12}" for result in results)
        ratio = results[-1].seconds / results[0].seconds
        print(f"{name:<24}{speeds}{ratio:>10.2f}{f'{results[-1].build * 1000:.0f} ms':>18}")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10, 1_000, 10_000])
