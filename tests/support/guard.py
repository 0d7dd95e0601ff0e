"""
What must not grow unnoticed: counts that mean something to a user, beside a baseline.

    python tests/support/guard.py            print the counts beside those of guard.json
    python tests/support/guard.py --write    make them the new baseline

A wall clock says nothing in a test: machines differ, and neighbours disturb. These counts are the
same on every machine and every version of Python: calls to SQS and Fly for so many messages, which
are time and money, and modules that `--help` loads, which are time at the terminal.
"""

import asyncio
import gc
import json
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from building import profile, route, table
from memory_queue import MemoryQueue
from scenario import Scenario, ScriptedLauncher, SpiedQueue, running
from virtual_time import VirtualLoop

from lambdo_router.core import journal
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Queue

BASELINE: Final = Path(__file__).with_name("guard.json")
_PER_CALL: Final = 10
Counts = dict[str, int]


# API calls, on virtual time


@dataclass(frozen=True, slots=True)
class Traffic:
    """So many messages, each so many seconds after the one before it."""

    name: str
    messages: int
    every: float


BACKLOG: Final = Traffic("a backlog of 1,000", 1_000, 0.0)
"""Goes out in batches of a hundred."""
TRICKLE: Final = Traffic("a trickle of 250", 250, 10.0)
"""Each is a Machine of its own."""


def calls_of(traffic: Traffic) -> Counts:
    """Return the calls as SQS and Fly count them."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        counts = runner.run(_routed(traffic))
    return {f"{traffic.name}: {what}": count for what, count in counts.items()}


async def _routed(traffic: Traffic) -> Counts:
    made = table(
        route(profile=profile(acknowledge="success", batch_size=100)),
        queues=(Queue("q", url="q", max_waiting=1_000),),
    )
    fly = ScriptedLauncher(takes=0.3, runs_for=40.0)
    queue = SpiedQueue(MemoryQueue("q"), receive_takes=0.02, delete_takes=0.02)
    done, left = asyncio.Event(), traffic.messages

    def count(fact: journal.Fact) -> None:
        nonlocal left
        left -= isinstance(fact, journal.Settled)
        if left == 0:
            done.set()

    def prepare(scenario: Scenario) -> None:
        scenario.onlookers.append(count)

    async with running(made, fly, queues={"q": queue}, prepare=prepare) as scenario:
        for number in range(traffic.messages):
            scenario.put(json.dumps({"id": number}))
            if traffic.every:
                await asyncio.sleep(traffic.every)
        await done.wait()
        receives = queue.inner.receives
    sqs = {
        f"SQS {action}": sum(
            math.ceil(len(receipts) / _PER_CALL)
            for _, call, receipts, _ in queue.calls
            if call == action
        )
        for action in ("delete", "visibility")
    }
    asked = {f"Fly {call}": 0 for call in ("list", "events", "metadata", "destroy")}
    for _, call in fly.calls:
        asked[f"Fly {call}"] += 1
    return {"SQS receive": receives, **sqs, "Fly create": len(fly.attempts), **asked}


# What stays after a launch, and after a run


class _InflatingQueue(SpiedQueue):
    """Holds small messages and makes their bodies large at the receive: nobody else has them."""

    body_bytes = 0

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        received = await super().receive(limit, visibility)
        return [replace(it, body=json.dumps({"x": "x" * self.body_bytes})) for it in received]


class _ForgetfulFly(ScriptedLauncher):
    """Keeps a request's metadata, and not its files."""

    async def launch(self, request: MachineRequest) -> Machine:
        config = {"metadata": json.loads(request.body)["config"]["metadata"]}
        return await super().launch(replace(request, body=json.dumps({"config": config})))


class _NoFacts(list[tuple[float, journal.Fact]]):
    """A journal that nobody keeps."""

    def append(self, _: object) -> None:
        pass


def held_after_launch(messages: int, body_bytes: int) -> tuple[int, int]:
    """Return the bytes kept for messages whose Machines run, and tasks left at the router's end."""

    async def run() -> tuple[int, int]:
        made = table(
            route(profile=profile(acknowledge="success", batch_size=10)),
            queues=(Queue("q", url="q", max_waiting=1_000),),
        )
        queue, fly = _InflatingQueue(MemoryQueue("q")), _ForgetfulFly(runs_for=600.0)
        queue.body_bytes = body_bytes

        def prepare(scenario: Scenario) -> None:
            scenario.facts = _NoFacts()

        async with running(made, fly, queues={"q": queue}, prepare=prepare) as scenario:
            await asyncio.sleep(10.0)
            gc.collect()
            tracemalloc.start()
            scenario.put(*["{}"] * messages)
            await asyncio.sleep(300.0)
            if len(fly.flown) * 10 != messages:
                raise AssertionError("not every batch was launched: the guard is broken")
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return held, len(asyncio.all_tasks()) - 1

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


# Modules


HEAVY: Final = ("boto3", "botocore", "httpx", "starlette", "uvicorn", "rich", "jsonschema")
"""Slow to load, and of no use to somebody who asks for help."""
_LOADED = """
import sys
from lambdo_router.cli import main
sys.argv[0] = "lambdo-router"
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


SPARED: Final = ("boto3", "httpx", "jinja2", "opentelemetry", "rich")
"""What a router loads when somebody looks at it, or with routes or a configuration that need it."""
_STARTED = """
import sys
import lambdo_router.cli.run
import lambdo_router.service.observers
import lambdo_router.adapters.fly
import lambdo_router.adapters.sqs
print(*sys.modules, file=sys.stderr)
"""


def modules_of(*arguments: str) -> frozenset[str]:
    """Return all modules that are loaded when `lambdo-router` with these arguments ends."""
    return _modules(_LOADED, *arguments)


def modules_of_a_start() -> frozenset[str]:
    """Return all modules that `lambdo-router run` has loaded when it reads its first queue."""
    return _modules(_STARTED)


def _modules(code: str, *arguments: str) -> frozenset[str]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(done.stderr.split())


def modules_of_ours(*arguments: str) -> Counts:
    """Return how many of them are this package's own."""
    own = sum(name.partition(".")[0] == "lambdo_router" for name in modules_of(*arguments))
    return {f"{' '.join(arguments)}: modules of ours": own}


# The baseline


COUNTS: Final[Mapping[str, Callable[[], Counts]]] = {
    "calls for a backlog": lambda: calls_of(BACKLOG),
    "calls for a trickle": lambda: calls_of(TRICKLE),
    "--help": lambda: modules_of_ours("--help"),
    "validate --help": lambda: modules_of_ours("validate", "--help"),
}


def read_baseline() -> Counts:
    baseline: Counts = json.loads(BASELINE.read_text("utf-8"))
    return baseline


def main(arguments: Sequence[str]) -> int:
    """Print, or write."""
    if arguments not in ([], ["--write"]):
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    baseline = read_baseline() if BASELINE.exists() else {}
    found = {what: number for count in COUNTS.values() for what, number in count().items()}
    for what, number in found.items():
        print(f"{what:58}{number:10,}   baseline {baseline.get(what)}")  # noqa: T201
    if arguments:
        BASELINE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
