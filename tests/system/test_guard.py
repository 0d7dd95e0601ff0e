"""Nothing grows unnoticed: counts beside their baseline, tests/support/guard.json."""

import functools

import pytest
from guard import (
    BASELINE,
    BY_VERSION,
    EVERYWHERE,
    HEAVY,
    THIS_PYTHON,
    Counts,
    modules_of_help,
    of_decisions,
    read_baseline,
)

TOLERANCE = 0.05
"""Part by which a count may differ from its baseline; below twenty that is not at all."""
REMEDY = (
    f"if that is as it should be: python tests/support/guard.py --write, and commit {BASELINE.name}"
)

_COUNTING = {**EVERYWHERE, **BY_VERSION}


@functools.cache
def counted(what: str) -> Counts:
    return _COUNTING[what]()


def baseline_of(what: str) -> Counts:
    version = THIS_PYTHON if what in BY_VERSION else "any"
    known = read_baseline().get(version)
    if known is None:
        pytest.skip(
            f"no baseline for Python {version}; add one: python tests/support/guard.py --write"
        )
    return {name: count for name, count in known.items() if name in counted(what)}


@pytest.mark.parametrize("what", _COUNTING)
def test_no_count_has_grown(what: str) -> None:
    grown = {
        name: f"{before:,} -> {counted(what)[name]:,}"
        for name, before in baseline_of(what).items()
        if counted(what)[name] > before * (1 + TOLERANCE)
    }
    assert grown == {}, REMEDY


@pytest.mark.parametrize("what", _COUNTING)
def test_what_was_gained_is_kept(what: str) -> None:
    gained = {
        name: f"{before:,} -> {counted(what)[name]:,}"
        for name, before in baseline_of(what).items()
        if counted(what)[name] < before * (1 - TOLERANCE)
    }
    assert gained == {}, f"better than the baseline, which would let it be lost again; {REMEDY}"


@pytest.mark.parametrize("what", _COUNTING)
def test_every_count_has_a_baseline(what: str) -> None:
    assert sorted(counted(what)) == sorted(baseline_of(what)), REMEDY


def test_a_decision_does_not_grow_with_the_routes() -> None:
    few, many = of_decisions(10), of_decisions(1_000)

    for few_count, many_count in zip(few.values(), many.values(), strict=True):
        assert many_count <= few_count * 1.01


def test_help_loads_nothing_heavy() -> None:
    assert [it for it in HEAVY if it in modules_of_help()] == []
