import json

import pytest
from building import entry, key, message, text

from lambdo_router.core.errors import LaunchUnavailable
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.routing import Policy, Queue, Refused
from lambdo_router.core.settlement import (
    Acknowledge,
    Leave,
    Reject,
    Rejection,
    Retry,
    of_failure,
    of_refusal,
    of_too_large,
    rejected_attributes,
    retry_delay,
)

BUSY = LaunchUnavailable("Machines API: 429", code="rate_limited")
WITH_REJECTS = Queue("q", url="q", reject_to="rejected")
WITHOUT = Queue("q", url="q")


def rejection(detail: str = "why") -> Rejection:
    return Rejection("unmatched", detail, None, "q", "m1", 1, 5.0)


@pytest.mark.parametrize(
    ("receives", "jitter", "expected"),
    [
        (1, 1.0, 5.0),
        (1, 0.0, 2.5),
        (2, 1.0, 10.0),
        (4, 1.0, 40.0),
        (9, 1.0, 900.0),
        (500, 1.0, 900.0),
    ],
)
def test_the_delay_grows_with_the_receive_count(
    receives: int, jitter: float, expected: float
) -> None:
    assert retry_delay(receives, jitter=jitter) == expected


def test_the_services_own_wish_wins_over_a_shorter_delay() -> None:
    assert retry_delay(1, jitter=1.0, at_least=90.0) == 90.0
    assert retry_delay(9, jitter=1.0, at_least=90.0) == 900.0


def test_the_delay_stays_within_sqs_twelve_hours() -> None:
    assert retry_delay(9, jitter=1.0, held_for=43_000.0) == 198.0
    assert retry_delay(9, jitter=1.0, held_for=50_000.0) == 0.0


@pytest.mark.parametrize(
    ("policy", "queue", "expected"),
    [
        ("drop", WITH_REJECTS, Acknowledge("dropped")),
        ("leave", WITH_REJECTS, Leave("unmatched", "why")),
        ("reject", WITH_REJECTS, Reject("rejected", rejection())),
        ("reject", WITHOUT, Leave("unmatched", "why")),
    ],
)
def test_a_refused_message_goes_where_the_policy_says(
    policy: Policy, queue: Queue, expected: object
) -> None:
    assert of_refusal(Refused("unmatched", "why", policy), queue, message(), 5.0) == expected


@pytest.mark.parametrize("launched", [True, False])
@pytest.mark.parametrize(("receives", "retried"), [(2, True), (3, False), (4, False)])
def test_max_attempts_ends_the_retries(
    receives: int,
    retried: bool,  # noqa: FBT001 - a column
    launched: bool,  # noqa: FBT001 - a column
) -> None:
    settlement = of_failure(
        "400 bad image",
        key(max_attempts=3),
        message(receives=receives),
        launched=launched,
        reject_to="rejected",
        delay=7.0,
        now=5.0,
    )
    if retried:
        assert settlement == Retry(7.0, "400 bad image")
    else:
        assert isinstance(settlement, Reject)
        assert settlement.rejection.reason == "max_attempts"
        before = "" if launched else f"not launched in {receives} attempts; the last failure: "
        assert settlement.rejection.detail == f"{before}400 bad image"


def test_an_event_that_is_too_large_is_told_its_limits() -> None:
    settlement = of_too_large(key(batch_bytes=3), entry(body='{"a":1}'), WITH_REJECTS, 5.0)

    assert isinstance(settlement, Reject)
    assert settlement.rejection.reason == "too_large"
    assert "takes 7 bytes" in settlement.rejection.detail
    assert "the limits are 3 (batch_bytes)" in settlement.rejection.detail


def test_a_rejected_message_keeps_its_attributes_and_gains_the_reason() -> None:
    kept = {"kind": text("image"), "raw": Attribute("Binary", b"\0")}
    attributes = rejected_attributes(message(attributes=kept), rejection("bad \0 \u2028 é"))

    assert attributes is not None
    gained = attributes["lambdo_rejection"]
    assert {name: a for name, a in attributes.items() if name != "lambdo_rejection"} == kept
    assert isinstance(gained.value, str)
    assert gained.value.isascii()
    assert gained.value.isprintable()
    assert json.loads(gained.value) == {
        "reason": "unmatched",
        "detail": "bad \0 \u2028 é",
        "route": None,
        "queue": "q",
        "message_id": "m1",
        "attempts": 1,
        "time": 5.0,
    }


@pytest.mark.parametrize(
    ("sent", "possible"),
    [
        pytest.param(message(attributes={str(n): text("x") for n in range(9)}), True, id="nine"),
        pytest.param(message(attributes={str(n): text("x") for n in range(10)}), False, id="ten"),
        pytest.param(
            message(
                attributes={str(n): text("x") for n in range(9)} | {"lambdo_rejection": text("{}")}
            ),
            True,
            id="ten-with-an-earlier-rejection",
        ),
        pytest.param(message(body='"' + "x" * 1_048_000 + '"'), True, id="just-fits"),
        pytest.param(message(body='"' + "x" * 1_048_570 + '"'), False, id="too-long"),
    ],
)
def test_what_sqs_would_not_take_is_left(sent: Message, possible: bool) -> None:  # noqa: FBT001 - a column
    assert (rejected_attributes(sent, rejection()) is not None) is possible
    settlement = of_refusal(Refused("unmatched", "why", "reject"), WITH_REJECTS, sent, 5.0)
    assert isinstance(settlement, Reject if possible else Leave)
