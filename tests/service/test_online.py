"""What the answers of AWS and Fly mean for a routes file, whoever has asked for them."""

from pathlib import Path

import pytest
from routes_files import compiled

from lambdo_router.adapters.fly.inspection import FlyFacts, RegionFacts, TokenFacts
from lambdo_router.adapters.sqs.inspection import QueueFacts, Redrive
from lambdo_router.core.errors import LaunchError, LaunchRejected, QueueRefused, QueueUnavailable
from lambdo_router.core.routing import RoutingTable
from lambdo_router.service.online import Answers, findings, questions
from lambdo_router.service.online_fly import FlyAnswers, app_of_image

TEXT = """\
version: 1
queues:
  orders: {name: orders, reject_to: rejected}
  rejected: {name: rejected}
  archive: {name: archive}  # used by nobody
defaults: {app: jobs, region: "%s", image: "registry.fly.io/jobs:1"}
profiles:
  worker: {max_attempts: 5}
routes:
  - {name: a, queue: orders, profile: worker}
  - {name: b, queue: orders, profile: {image: "%s", max_attempts: 3}}
"""
FINE = QueueFacts("u", None, 0.0, arn="arn:aws:sqs:us-east-1:1:q", retention=86400.0)


def reported(
    answers: Answers,
    region: str = "iad",
    image: str = "nginx:1",
    text: str = TEXT,
    env: dict[str, str] | None = None,
) -> list[str]:
    """`line:column severity code` of each finding."""
    result = compiled(text % (region, image), env, missing="warning", folder=Path())
    table = RoutingTable("g", result.queues, result.routes)
    found = findings(result.places, table, answers)
    return [f"{d.line}:{d.column} {d.severity} {d.code}" for d in found]


def fly(
    token: TokenFacts | None = None, regions: RegionFacts | None = None, ahead: float = 0.0
) -> FlyAnswers:
    return FlyAnswers({"jobs": None}, facts=FlyFacts(token, regions, ahead))


def test_only_what_the_routes_need_is_asked() -> None:
    result = compiled(TEXT % ("iad", "registry.fly.io/images:2"))
    asked = questions(RoutingTable("g", result.queues, result.routes))

    assert [queue.name for queue in asked.queues] == ["orders", "rejected"]
    assert (asked.apps, asked.image_apps) == (("jobs",), ("images",))


@pytest.mark.parametrize(
    ("image", "app"),
    [
        ("registry.fly.io/jobs:1", "jobs"),
        ("registry.fly.io/jobs", "jobs"),
        ("registry.fly.io/jobs/part:1", "jobs"),
        ("registry.fly.io/jobs@sha256:" + "0" * 64, "jobs"),
        ("nginx:1", ""),
        ("ghcr.io/registry.fly.io/x:1", ""),
        ("", ""),
        ("no image", ""),
    ],
)
def test_the_app_of_an_image(image: str, app: str) -> None:
    assert app_of_image(image) == app


@pytest.mark.parametrize(
    ("redrive", "expected"),
    [
        pytest.param(Redrive("arn", 5), [], id="as-often"),
        pytest.param(Redrive("arn", 4), ["3:18 warning redrive-too-soon"], id="less-often"),
        pytest.param(Redrive("arn", 1), ["3:18 warning redrive-too-soon"], id="once"),
        pytest.param(None, [], id="none-but-attempts-end"),
    ],
)
def test_the_redrive_policy_is_held_against_the_largest_max_attempts(
    redrive: Redrive | None, expected: list[str]
) -> None:
    facts = QueueFacts("u", None, 0.0, redrive=redrive)

    assert reported(Answers({"orders": facts}, fly())) == expected


def test_a_redrive_policy_after_few_receives_is_soon_without_max_attempts_too() -> None:
    text = TEXT.replace(", reject_to: rejected", "")
    facts = {2: QueueFacts("u", None, 0.0, redrive=Redrive("arn", 2))}
    facts[3] = QueueFacts("u", None, 0.0, redrive=Redrive("arn", 3))

    assert reported(Answers({"orders": facts[2]}, fly()), text=text) == [
        "3:18 warning redrive-too-soon"
    ]
    assert reported(Answers({"orders": facts[3]}, fly()), text=text) == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (QueueUnavailable("no answer"), "service-unreachable"),
        (QueueRefused("no", code="AWS.SimpleQueueService.NonExistentQueue"), "queue-not-found"),
        (QueueRefused("no", code="QueueDoesNotExist"), "queue-not-found"),
        (QueueRefused("no", code="InvalidClientTokenId"), "queue-refused"),
        (QueueRefused("no"), "queue-refused"),
    ],
)
def test_a_queue_that_was_not_to_be_had(answer: QueueRefused, code: str) -> None:
    assert reported(Answers({"orders": answer}, fly())) == [f"3:18 error {code}"]


def test_a_queue_whose_attributes_may_not_be_read_is_a_warning_and_no_more() -> None:
    facts = QueueFacts("u", None, 0.0, attributes=False)

    assert reported(Answers({"orders": facts, "rejected": FINE}, fly())) == [
        "3:18 warning queue-not-inspected"
    ]


def test_a_queue_that_is_only_written_to_needs_less() -> None:
    facts = QueueFacts("u", None, 0.0, retention=60.0, visibility=0.0, redrive=Redrive("arn", 1))

    assert reported(Answers({"rejected": facts}, fly())) == []


def test_a_key_of_kms_is_told_of_both_queues() -> None:
    facts = QueueFacts("u", None, 0.0, kms_key="alias/aws/sqs", kms_reuse=300.0)

    assert reported(Answers({"orders": facts, "rejected": facts}, fly())) == [
        "3:18 warning queue-needs-kms",
        "4:20 warning queue-needs-kms",
    ]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("iad", []),
        ("iad,us,any", []),
        ("usa", []),
        ("xyz", ["6:31 error fly-region-unknown"]),
        ("xyz,any", ["6:31 warning fly-region-unknown"]),
        ("old,iad", ["6:31 warning fly-region-closing"]),
        ("old,xyz", ["6:31 warning fly-region-closing", "6:31 warning fly-region-unknown"]),
    ],
)
def test_regions_are_those_that_fly_has_now(region: str, expected: list[str]) -> None:
    regions = RegionFacts(frozenset({"iad", "fra"}), frozenset({"old"}))

    assert reported(Answers({}, fly(regions=regions)), region) == expected


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (LaunchRejected("401", code="bad_token"), "error fly-token-refused"),
        (LaunchRejected("403", code="forbidden"), "error fly-token-refused"),
        (LaunchRejected("404", code="app_not_found"), "error fly-app-not-found"),
        (LaunchError("no answer", code="connection"), "error service-unreachable"),
        ("it says neither", "warning fly-not-checked"),
    ],
)
def test_an_app_that_the_token_does_not_open(outcome: LaunchError | str, code: str) -> None:
    assert reported(Answers({}, FlyAnswers({"jobs": outcome}))) == [f"6:17 {code}"]


SEVERAL = TEXT.replace("app: jobs", "app: [jobs, '${MORE}', gone]")


def test_every_app_of_a_profile_is_asked_about_unless_its_name_is_not_known() -> None:
    result = compiled(SEVERAL % ("iad", "registry.fly.io/gone:2"), missing="warning")
    asked = questions(RoutingTable("g", result.queues, result.routes))

    assert (asked.apps, asked.image_apps) == (("gone", "jobs"), ())


def test_an_app_that_is_not_to_be_had_is_told_where_it_stands_in_the_list() -> None:
    gone = LaunchRejected("404", code="app_not_found")
    refused = LaunchRejected("403", code="forbidden")
    answers = Answers({}, FlyAnswers({"jobs": None, "more": refused, "gone": gone}))

    assert reported(answers, text=SEVERAL, env={"MORE": "more"}) == [
        "6:24 error fly-token-refused",
        "6:35 error fly-app-not-found",
    ]


def test_a_token_that_is_for_one_machine_cannot_create_any() -> None:
    token = TokenFacts(frozenset({"jobs"}), frozenset(), "m1")

    assert reported(Answers({}, fly(token))) == ["6:17 error fly-token-refused"]


def test_an_image_of_an_app_that_does_not_exist_is_told_where_it_is_named() -> None:
    answers = FlyAnswers({"jobs": None}, frozenset({"images"}))

    assert reported(Answers({}, answers), image="registry.fly.io/images:2") == [
        "11:47 error image-app-not-found"
    ]


def test_without_a_token_the_first_route_says_so() -> None:
    assert reported(Answers()) == ["10:39 warning fly-not-checked"]


@pytest.mark.parametrize(
    ("of_aws", "of_fly", "expected"),
    [
        (0.0, 0.0, []),
        (59.0, -59.0, []),
        (-60.0, 0.0, ["3:18 warning clock-skew"]),
        (0.0, 61.0, ["3:18 warning clock-skew"]),
        (1000.0, 999.0, ["3:18 warning clock-skew"]),
    ],
)
def test_the_clock(of_aws: float, of_fly: float, expected: list[str]) -> None:
    facts = QueueFacts("u", None, of_aws)

    assert reported(Answers({"orders": facts}, fly(ahead=of_fly))) == expected


def test_what_a_variable_stands_for_is_not_told() -> None:
    answers = FlyAnswers({"jobs": None}, frozenset({"planted"}))
    image = "registry.fly.io/${APP}:2"
    result = compiled(TEXT % ("iad", image), {"APP": "planted"})
    table = RoutingTable("g", result.queues, result.routes)
    (finding,) = findings(result.places, table, Answers({}, answers))

    assert finding.message == (
        "there is no app of `registry.fly.io/${APP}:2` on Fly, so there is no such image"
    )
