"""
What must not grow unnoticed: counts that are the same on every machine, beside a baseline.

    python tests/support/guard.py            print the counts beside those of guard.json
    python tests/support/guard.py --write    make them the new baseline

A wall clock says nothing in a test: machines differ, and neighbours disturb. So what is counted is
what a change in the code changes: calls to SQS and Fly for so many messages, tasks and timers of
the event loop for them, the bytecode that a decision runs and the memory that it keeps, hand-overs
between threads for a call to SQS, modules that `--help` loads. Bytecode, objects and asyncio differ
between versions of Python: their counts are kept for each version.
"""

import asyncio
import gc
import json
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Final
from unittest import mock

from building import message, profile, route, table, text
from memory_queue import MemoryQueue
from scenario import Scenario, ScriptedLauncher, SpiedQueue, running
from virtual_time import VirtualLoop

from lambdo_router.adapters.sqs.queue import SqsQueue
from lambdo_router.adapters.sqs.threads import Threads
from lambdo_router.core import journal
from lambdo_router.core.message import Message
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match, Queue, Routed, RoutingTable, decide
from lambdo_router.core.schemas import compile_schema

BASELINE: Final = Path(__file__).with_name("guard.json")
THIS_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
DECISIONS: Final = 20
_PER_CALL: Final = 10

Counts = dict[str, int]


# Messages on virtual time


class _CountingLoop(VirtualLoop):
    """Counts what the router has the event loop do."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {"tasks": 0, "timers": 0, "callbacks": 0}

    def create_task(self, coro: Any, **options: Any) -> Any:
        self.counts["tasks"] += 1
        return super().create_task(coro, **options)

    def call_at(  # type: ignore[override] # whatever it is, it is only passed on
        self, *args: Any, **options: Any
    ) -> asyncio.TimerHandle:
        self.counts["timers"] += 1
        return super().call_at(*args, **options)

    def call_soon(  # type: ignore[override] # as above
        self, *args: Any, **options: Any
    ) -> asyncio.Handle:
        self.counts["callbacks"] += 1
        return super().call_soon(*args, **options)


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
    """Calls as SQS and Fly count them."""
    return {f"{traffic.name}: {what}": count for what, count in _run(traffic)[0].items()}


def loop_of(traffic: Traffic) -> Counts:
    """What the event loop did for it."""
    return {f"{traffic.name}: {what}": count for what, count in _run(traffic)[1].items()}


@cache
def _run(traffic: Traffic) -> tuple[Counts, Counts]:
    with asyncio.Runner(loop_factory=_CountingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, _CountingLoop)
        calls = runner.run(_routed(traffic))
        return calls, loop.counts


async def _routed(traffic: Traffic) -> Counts:
    """All calls that it takes."""
    worker = profile(acknowledge="success", batch_size=100)
    made = table(
        route(profile=worker, match=Match(body=compile_pattern({"id": [{"exists": True}]}))),
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


# A decision


_SCHEMA = {
    "type": "object",
    "required": ["source", "detail"],
    "properties": {"detail": {"type": "object", "required": ["kind", "total"]}},
}


def _table_of(routes: int) -> RoutingTable:
    schema = compile_schema(Path("order.json"), lambda _: json.dumps(_SCHEMA).encode()).schema
    conditions: Sequence[Callable[[int], object]] = (
        lambda number: f"kind-{number:05}",
        lambda number: {"prefix": f"kind-{number:05}"},
        lambda number: {"suffix": f"kind-{number:05}"},
    )
    made = [
        route(
            f"route-{number}",
            match=Match(
                attributes=compile_pattern({"tenant": ["acme"]}),
                body=compile_pattern(
                    {"source": ["shop"], "detail": {"kind": [conditions[number % 3](number)]}}
                ),
            ),
            schema=schema,
        )
        for number in range(routes)
    ]
    return table(*made)


def _message_for(number: int) -> Message:
    body = {
        "source": "shop",
        "detail": {
            "kind": f"kind-{number:05}",
            "total": 123.45,
            "items": [{"sku": f"sku-{item}", "quantity": item} for item in range(4)],
        },
    }
    return message(f"m{number}", json.dumps(body), attributes={"tenant": text("acme")})


def of_decisions(routes: int) -> Counts:
    """Bytecode instructions, calls into C, and bytes kept, each for twenty decisions."""
    made = _table_of(routes)
    queue = made.queues["q"]
    messages = [_message_for(number * routes // DECISIONS) for number in range(DECISIONS)]

    def decide_all() -> list[object]:
        return [decide(made, queue, each) for each in messages]

    if not all(isinstance(each, Routed) for each in decide_all()):
        raise AssertionError("a message took no route: the guard is broken")
    found = {
        "instructions": _instructions(decide_all),
        "calls into C": _calls_into_c(decide_all),
        "bytes kept": _bytes_kept(decide_all),
    }
    return {f"{DECISIONS} decisions at {routes:,} routes: {k}": v for k, v in found.items()}


def _instructions(work: Callable[[], object]) -> int:
    """How many bytecode instructions it runs."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def _calls_into_c(work: Callable[[], object]) -> int:
    count = 0

    def profiled(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "c_call"

    before = sys.getprofile()
    sys.setprofile(profiled)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _bytes_kept(work: Callable[[], object]) -> int:
    """Memory of what it returns."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return size


# Calls to SQS


class _Sqs:
    """A client like boto3's that has ten messages and takes everything."""

    def __init__(self) -> None:
        self.calls = 0
        self.meta = mock.Mock(endpoint_url="http://localhost")

    def receive_message(self, **_: object) -> Mapping[str, object]:
        self.calls += 1
        return {
            "Messages": [
                {"MessageId": str(number), "ReceiptHandle": str(number), "Body": "{}"}
                for number in range(_PER_CALL)
            ]
        }

    def delete_message_batch(self, **given: Any) -> Mapping[str, object]:
        self.calls += 1
        return {"Successful": given["Entries"]}

    change_message_visibility_batch = delete_message_batch


def of_calls_to_sqs() -> Counts:
    """Calls and hand-overs to a thread for one receive, and one change of 25 messages."""
    client: Any = _Sqs()
    hops: Counts = {}
    calls: Counts = {}

    async def made(name: str, doing: Callable[[SqsQueue], Any]) -> None:
        submit, submitted = Threads.submit, 0

        def counting(threads: Threads, call: Callable[[], None]) -> None:
            nonlocal submitted
            submitted += 1
            submit(threads, call)

        threads = Threads("calls", 1)
        queue = SqsQueue("q", "q", poll=client, calls=client, threads=threads, wait_seconds=0)
        before = client.calls
        with mock.patch.object(Threads, "submit", counting):
            await doing(queue)
        queue.stop()
        threads.stop()
        hops[f"{name}: thread hops"] = submitted
        calls[f"{name}: calls to SQS"] = client.calls - before

    many = [f"r{number}" for number in range(25)]
    asyncio.run(made("receive", lambda queue: queue.receive(_PER_CALL, 60.0)))
    asyncio.run(made("delete 25", lambda queue: queue.delete(many)))
    asyncio.run(made("hide 25", lambda queue: queue.set_visibility(dict.fromkeys(many, 60.0))))
    return hops | calls


# Modules


HEAVY: Final = ("boto3", "botocore", "httpx", "starlette", "uvicorn", "rich", "jsonschema")
"""Slow to load, and of no use to who asks for help."""
_LOADED = """
import sys
from lambdo_router.cli import main
sys.argv = ["lambdo-router", "--help"]
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def modules_of_help() -> frozenset[str]:
    """All that is loaded when `lambdo-router --help` ends."""
    command = [sys.executable, "-c", _LOADED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(done.stderr.split())


def of_help() -> Counts:
    """How many of them are our own, and how many other people's; the standard library aside."""
    packages = [name.partition(".")[0] for name in modules_of_help()]
    own = packages.count("lambdo_router")
    ignored = sys.stdlib_module_names | {"__main__", "lambdo_router"}
    others = [it for it in packages if it not in ignored and not it.startswith("_")]
    return {"--help: modules of ours": own, "--help: modules of libraries": len(others)}


# The baseline


EVERYWHERE: Final[Mapping[str, Callable[[], Counts]]] = {
    "calls for a backlog": lambda: calls_of(BACKLOG),
    "calls for a trickle": lambda: calls_of(TRICKLE),
    "one call to SQS": of_calls_to_sqs,
    "--help": of_help,
}
"""What is the same on every version of Python."""
BY_VERSION: Final[Mapping[str, Callable[[], Counts]]] = {
    "loop for a backlog": lambda: loop_of(BACKLOG),
    "loop for a trickle": lambda: loop_of(TRICKLE),
    "decisions at 10 routes": lambda: of_decisions(10),
    "decisions at 1,000 routes": lambda: of_decisions(1_000),
}


def read_baseline() -> dict[str, Counts]:
    """The counts by version of Python; those of every version under `any`."""
    baseline: dict[str, Counts] = json.loads(BASELINE.read_text("utf-8"))
    return baseline


def main(arguments: Sequence[str]) -> int:
    """Print, or write."""
    if arguments not in ([], ["--write"]):
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    baseline = read_baseline() if BASELINE.exists() else {}
    found: dict[str, Counts] = {"any": {}, THIS_PYTHON: {}}
    for version, ways in (("any", EVERYWHERE), (THIS_PYTHON, BY_VERSION)):
        for count in ways.values():
            found[version] |= count()
        for what, number in found[version].items():
            before = baseline.get(version, {}).get(what)
            print(f"{what:58}{number:10,}   baseline {before}")  # noqa: T201
    if arguments:
        content = json.dumps(baseline | found, indent=2, sort_keys=True)
        BASELINE.write_text(content + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
