"""What messages say about their rejection, which are selected, and where they go back to."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from building import message, text
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.rejection import (
    Filters,
    NoTarget,
    Rejected,
    Sources,
    read_rejected,
    target_of,
)
from lambdo_router.core.routing import Queue
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE, Rejection, rejected_attributes

_ORDERS_ARN = "arn:aws:sqs:eu-west-1:123456789012:acme-orders"
_REJECTED_ARN = "arn:aws:sqs:eu-west-1:123456789012:acme-rejected"
_ORDERS = Queue("orders", lookup="acme-orders", reject_to="rejected", envelope="sns")
_REJECTED = Queue("rejected", lookup="acme-rejected")
_SOURCES = Sources(
    {"orders": _ORDERS, "rejected": _REJECTED},
    {"acme-orders": "orders", "acme-rejected": "rejected"},
)
_REJECTION = Rejection("unmatched", "no route matches", None, "orders", "o1", 2, 1_700_000_000.25)
_WRITTEN: dict[str, Any] = json.loads(str(_REJECTION.attribute().value))


def rejected_message(
    rejection: Rejection = _REJECTION, *, moved_from: str | None = None, **changes: Any
) -> Message:
    made = message("m1", **changes)
    attributes = {**made.attributes, REJECTION_ATTRIBUTE: rejection.attribute()}
    made = replace(made, attributes=attributes)
    return made if moved_from is None else moved(made, moved_from)


def moved(message: Message, arn: str) -> Message:
    return replace(message, system={**message.system, "DeadLetterQueueSourceArn": arn})


# Reading


def test_what_the_router_has_rejected_tells_all_of_it() -> None:
    aside = rejected_message()

    assert read_rejected(aside, _SOURCES) == Rejected(
        aside,
        "unmatched",
        "no route matches",
        source="orders",
        route=None,
        original_id="o1",
        attempts=2,
        at=1_700_000_000.25,
        envelope="sns",
    )


def test_what_sqs_has_moved_tells_from_where_and_how_often_it_was_received() -> None:
    dead = moved(message("m1", receives=4), _ORDERS_ARN)

    assert read_rejected(dead, _SOURCES) == Rejected(
        dead,
        "redrive",
        f"moved by SQS from {_ORDERS_ARN}; received 4 times in all",
        source="orders",
        source_arn=_ORDERS_ARN,
        original_id="m1",
        at=1_700_000_000.123,
        envelope="sns",
    )


def test_what_sqs_has_moved_is_not_believed_that_it_was_rejected_from_elsewhere() -> None:
    forged = rejected_message(
        replace(_REJECTION, queue="payments"),
        moved_from="arn:aws:sqs:eu-west-1:123456789012:uploads",
    )

    found = read_rejected(forged, _SOURCES)

    assert (found.reason, found.source, found.attempts) == ("redrive", "uploads", None)


def test_what_sqs_has_moved_from_a_reject_queue_was_the_routers_before() -> None:
    found = read_rejected(rejected_message(moved_from=_REJECTED_ARN), _SOURCES)

    assert (found.reason, found.source, found.source_arn) == ("unmatched", "orders", None)


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in _WRITTEN.items() if name != key}


_WRONG: tuple[tuple[str, object], ...] = (
    ("reason", 1),
    ("detail", None),
    ("route", 5),
    ("queue", ["orders"]),
    ("message_id", {}),
    ("attempts", "2"),
    ("attempts", True),
    ("attempts", 1.5),
    ("time", False),
    ("time", -1),
    ("time", 253_402_300_800),
    ("time", "now"),
)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(text(""), id="empty"),
        pytest.param(text("{"), id="no-json"),
        pytest.param(text("[]"), id="a-list"),
        pytest.param(Attribute("Binary", b"\xff"), id="bytes"),
        pytest.param(text("[" * 100_000), id="deep"),
        *(pytest.param(text(json.dumps(without(key))), id=f"no-{key}") for key in _WRITTEN),
        *(
            pytest.param(text(json.dumps(_WRITTEN | {key: value})), id=f"{key}-{value}")
            for key, value in _WRONG
        ),
        pytest.param(text(json.dumps(_WRITTEN).replace("1700000000.25", "1e400")), id="wide"),
    ],
)
def test_an_attribute_that_is_not_the_routers_says_nothing(written: Attribute) -> None:
    aside = message("m1", attributes={REJECTION_ATTRIBUTE: written})

    found = read_rejected(aside, _SOURCES)

    assert (found.reason, found.detail, found.source) == (
        "unknown",
        "malformed lambdo_rejection attribute",
        None,
    )


def test_a_rejection_of_a_later_version_may_say_more() -> None:
    more = text(json.dumps(_WRITTEN | {"machine": "3d8d", "reason": "cursed"}))

    found = read_rejected(message("m1", attributes={REJECTION_ATTRIBUTE: more}), _SOURCES)

    assert (found.reason, found.source) == ("cursed", "orders")


@given(
    st.builds(
        Rejection,
        reason=st.sampled_from(["unmatched", "max_attempts"]),
        detail=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
        route=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        queue=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        message_id=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        attempts=st.integers(0, 10**6),
        time=st.floats(0, 4e9),
    )
)
def test_every_rejection_is_read_as_it_was_written(rejection: Rejection) -> None:
    found = read_rejected(rejected_message(rejection), Sources())

    assert found == Rejected(
        rejected_message(rejection),
        rejection.reason,
        rejection.detail,
        source=rejection.queue,
        route=rejection.route,
        original_id=rejection.message_id,
        attempts=rejection.attempts,
        at=rejection.time,
    )


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        pytest.param(_ORDERS_ARN, "orders", id="of-the-file"),
        pytest.param("arn:aws:sqs:us-east-1:1:others", "others", id="of-none"),
        pytest.param(
            "arn:aws:sqs:us-east-1:1:orders", "arn:aws:sqs:us-east-1:1:orders", id="misleading"
        ),
    ],
)
def test_a_queue_is_called_as_in_the_file_and_never_like_another(arn: str, name: str) -> None:
    assert _SOURCES.name_of(arn) == name


# Filters

_UNMATCHED = read_rejected(rejected_message(), _SOURCES)
_NOW = 1_700_000_060.25
_FILTERS: Mapping[str, tuple[Filters, bool]] = {
    "id-here": (Filters(ids=["m1"]), True),
    "id-there": (Filters(ids=["x", "o1"]), True),
    "other-id": (Filters(ids=["x"]), False),
    "just-old-enough": (Filters(older_than=60), True),
    "not-old-enough": (Filters(older_than=60.5), False),
    "just-new-enough": (Filters(newer_than=60), True),
    "too-old": (Filters(newer_than=59.5), False),
    "one-of-two": (Filters(reasons=["unmatched"], newer_than=1), False),
}


@pytest.mark.parametrize(("filters", "meets"), _FILTERS.values(), ids=_FILTERS)
def test_a_filter_is_met_by_what_it_asks_for(filters: Filters, *, meets: bool) -> None:
    assert filters.select(_UNMATCHED, _NOW) is meets


@pytest.mark.parametrize(
    ("body", "matches"),
    [
        pytest.param('{"n": 1}', True, id="match"),
        pytest.param('{"n": 2}', False, id="other"),
        pytest.param("[1]", False, id="no-event"),
        pytest.param("{", False, id="no-json"),
    ],
)
def test_a_pattern_is_of_the_event(body: str, *, matches: bool) -> None:
    filters = Filters(pattern=compile_pattern({"n": [1]}))

    assert filters.select(read_rejected(message(body=body), Sources()), _NOW) is matches


def test_the_event_of_an_sns_queue_is_in_its_envelope() -> None:
    body = json.dumps({"Type": "Notification", "Message": '{"n": 1}'})
    filters = Filters(pattern=compile_pattern({"n": [1]}))
    aside = rejected_message(body=body)

    assert filters.select(read_rejected(aside, _SOURCES), _NOW)
    assert not filters.select(read_rejected(aside, Sources()), _NOW)


@pytest.mark.parametrize("filters", [Filters(older_than=0), Filters(newer_than=1e12)])
def test_a_message_whose_time_is_not_known_is_neither_old_nor_new(filters: Filters) -> None:
    timeless = replace(message("m1"), system={})

    assert not filters.select(read_rejected(timeless, Sources()), _NOW)


# The way back


@pytest.mark.parametrize(
    ("rejected", "target"),
    [
        pytest.param(_UNMATCHED, _ORDERS, id="of-the-file"),
        pytest.param(
            read_rejected(moved(message("m1"), _ORDERS_ARN), _SOURCES),
            Queue("orders", url=_ORDERS_ARN),
            id="where-sqs-says",
        ),
        pytest.param(
            replace(_UNMATCHED, source="gone"),
            NoTarget("queue `gone` is not in the routes file; name a queue with --to"),
            id="not-in-the-file",
        ),
        pytest.param(
            read_rejected(message("m1"), _SOURCES),
            NoTarget("unknown source queue; name a queue with --to"),
            id="unknown",
        ),
    ],
)
def test_a_message_goes_back_to_where_it_came_from(
    rejected: Rejected, target: Queue | NoTarget
) -> None:
    assert target_of(rejected, _SOURCES) == target


def test_without_a_routes_file_nobody_knows_where_a_queue_is() -> None:
    assert target_of(_UNMATCHED, Sources()) == NoTarget(
        "queue `orders` cannot be found: no routes file; name a queue with --to"
    )


@given(
    st.text(min_size=1),
    st.dictionaries(st.text(max_size=5), st.builds(Attribute, st.text(), st.text()), max_size=9),
)
def test_what_is_sent_back_is_what_was_sent_at_first(
    body: str, attributes: dict[str, Attribute]
) -> None:
    attributes.pop(REJECTION_ATTRIBUTE, None)
    original = message("m1", body.encode(errors="replace").decode(), attributes=attributes)
    aside = rejected_attributes(original, _REJECTION)
    assert aside is not None

    found = read_rejected(replace(original, id="m2", attributes=aside), Sources())

    assert (found.message.body, found.original_attributes) == (original.body, attributes)
    assert (found.group, found.deduplication) == (None, "replay-m2")


def test_a_message_stays_in_its_group_and_is_a_duplicate_of_none_but_itself() -> None:
    system = {"MessageGroupId": "shop-7", "MessageDeduplicationId": "d1"}

    found = read_rejected(replace(message("m1"), system=system), Sources())

    assert (found.group, found.deduplication) == ("shop-7", "replay-m1")
