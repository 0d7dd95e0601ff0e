"""Nothing grows unnoticed: counts beside their baseline, tests/support/guard.json."""

import functools
import sys
from collections.abc import Callable

import pytest
from building import message, route, table
from guard import (
    BASELINE,
    COUNTS,
    HEAVY,
    SPARED,
    Counts,
    held_after_launch,
    modules_of,
    modules_of_a_start,
    read_baseline,
)

from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match, Routed, decide

TOLERANCE = 0.05
"""Part by which a count may differ from its baseline; below twenty that is not at all."""
REMEDY = (
    f"if that is as it should be: python tests/support/guard.py --write, and commit {BASELINE.name}"
)


@functools.cache
def counted(what: str) -> Counts:
    return COUNTS[what]()


@pytest.mark.parametrize("what", COUNTS)
def test_no_count_has_grown_and_what_was_gained_is_kept(what: str) -> None:
    known = {name: before for name, before in read_baseline().items() if name in counted(what)}
    assert sorted(counted(what)) == sorted(known), REMEDY
    changed = {
        name: f"{before:,} -> {counted(what)[name]:,}"
        for name, before in known.items()
        if abs(counted(what)[name] - before) > before * TOLERANCE
    }
    assert changed == {}, f"a count that fell would be lost again if it were not noted; {REMEDY}"


def test_the_baseline_has_no_count_that_nobody_makes() -> None:
    assert set(read_baseline()) == {name for what in COUNTS for name in counted(what)}


def test_bodies_of_launched_messages_are_let_go_and_no_task_outlives_the_router() -> None:
    held, tasks = held_after_launch(messages=200, body_bytes=50_000)

    assert held / 200 < 10_000  # what is remembered of a message, its body aside
    assert tasks == 0


def test_a_decision_does_not_grow_with_the_routes() -> None:
    def calls_of_a_decision(routes: int) -> int:
        made = table(
            *(
                route(f"r{n}", match=Match(body=compile_pattern({"kind": [f"kind-{n:05}"]})))
                for n in range(routes)
            )
        )
        sent = message(body='{"kind": "kind-00007"}')
        return _calls(lambda: isinstance(decide(made, made.queues["q"], sent), Routed))

    assert calls_of_a_decision(1_000) <= calls_of_a_decision(10) * 1.01


def _calls(work: Callable[[], bool]) -> int:
    """How many functions are called."""
    count = 0

    def profiled(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    assert work()
    sys.setprofile(profiled)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("arguments", [("--help",), ("validate", "--help")], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert [it for it in HEAVY if it in modules_of(*arguments)] == []


def test_a_start_loads_nothing_that_most_routers_never_use() -> None:
    assert [it for it in SPARED if it in modules_of_a_start()] == []
