"""The lines that a fact is worth."""

import pytest
from logged import BATCH, FACTS, IDS

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.machine import batch_id_of
from lambdo_router.telemetry.logs.catalogue import EVENTS
from lambdo_router.telemetry.logs.lines import is_quiet, lines_of


@pytest.mark.parametrize(("fact", "expected"), FACTS, ids=IDS)
def test_each_fact_has_its_lines(fact: journal.Fact, expected: tuple[tuple[str, str], ...]) -> None:
    assert tuple((line.level, line.event) for line in lines_of(fact)) == expected


@pytest.mark.parametrize(("fact", "expected"), FACTS, ids=IDS)
def test_what_is_quiet_has_lines_at_debug_only(
    fact: journal.Fact, expected: tuple[tuple[str, str], ...]
) -> None:
    all_debug = all(level == "debug" for level, _ in expected)
    first_table = isinstance(fact, journal.TableActivated)
    assert is_quiet(fact) == (all_debug and not first_table)


@pytest.mark.parametrize(("fact", "expected"), FACTS, ids=IDS)
def test_each_line_is_in_the_catalogue(
    fact: journal.Fact, expected: tuple[tuple[str, str], ...]
) -> None:
    for line in lines_of(fact):
        known = EVENTS[line.event]
        fields = {*line.fields, *(["exception"] if line.error is not None else [])}
        assert line.level in known.levels
        assert fields == {*known.fields}
    assert expected


def test_every_kind_of_fact_is_logged() -> None:
    assert {type(fact) for fact, _ in FACTS} == set(journal.Fact.__args__)


def test_a_batch_has_a_line_when_it_is_launched_and_one_when_its_machine_has_ended() -> None:
    ids = {"queue": "q", "route": "orders", "app": "jobs", "batch": "b1", "machine": "id"}
    at_info = [
        line
        for fact, _ in FACTS
        for line in lines_of(fact)
        if line.level == "info" and line.fields.get("batch") == "b1"
    ]

    assert [line.event for line in at_info] == ["machine.launched", "machine.ended"]
    assert all(ids.items() <= line.fields.items() for line in at_info)
    assert all(line.topic is None for line in at_info)


def test_the_messages_of_a_batch_lead_to_it() -> None:
    batch = Batch(BATCH.key, BATCH.entries * 2)
    _, *lines = lines_of(journal.BatchClosed(batch, "b1", 0.0))

    assert [line.fields for line in lines] == [
        {"queue": "q", "route": "orders", "batch": "b1", "message": "m1"}
    ] * 2


def test_a_failed_launch_names_its_batch() -> None:
    (line,) = next(
        list(lines_of(fact)) for fact, _ in FACTS if isinstance(fact, journal.LaunchFailed)
    )
    assert line.fields["batch"] == batch_id_of(BATCH)


@pytest.mark.parametrize(("fact", "expected"), FACTS, ids=IDS)
def test_no_body_is_in_a_line(fact: journal.Fact, expected: tuple[tuple[str, str], ...]) -> None:
    assert "secret" not in repr(list(lines_of(fact)))
    assert expected


def test_a_thousand_messages_are_counted_and_ten_of_them_named() -> None:
    ids = tuple(f"m{number}" for number in range(1000))
    line = next(lines_of(journal.LeaseLost("q", ids, "why")))

    assert line.fields["messages"] == 1000
    assert line.fields["message_ids"] == [f"m{number}" for number in range(10)]


def test_services_words_about_one_message_do_not_make_a_topic_of_their_own() -> None:
    one, other = (
        next(lines_of(journal.SettlementFailed("q", ("m",), "delete", f"Invalid: {receipt}")))
        for receipt in ("abc", "def")
    )
    assert one.topic == other.topic == {"queue": "q", "action": "delete", "why": "Invalid"}
