"""A queue's region, role and endpoint, on their way from the routes file to the commands."""

from dataclasses import replace

import click
import pytest
from routes_files import compiled, queue_of, reported

from lambdo_router.cli.endpoint import Endpoint
from lambdo_router.core.routing import Queue
from lambdo_router.engine.router import _address
from lambdo_router.local.names import stand_in

ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"
ROLE = "arn:aws:iam::123456789012:role/reader"
VPC = "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com"
HERE = "http://127.0.0.1:4566"


def test_the_keys_are_taken_over() -> None:
    queue = queue_of(f"name: orders, region: eu-west-1, role_arn: '{ROLE}', endpoint: '{VPC}/'")

    assert queue == Queue("q", lookup="orders", region="eu-west-1", role_arn=ROLE, endpoint=VPC)


@pytest.mark.parametrize(
    "url", [ARN, "https://sqs.eu-west-1.amazonaws.com/123456789012/orders", "http://localhost/1/q"]
)
def test_a_region_that_the_address_tells_too_may_be_written(url: str) -> None:
    assert queue_of(f"url: '{url}', region: eu-west-1").region == "eu-west-1"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("name: o", "name: o, region: eu-west-1", False, id="perhaps-elsewhere"),
        pytest.param("name: o, region: a-b-1", "name: o, region: a-c-1", False, id="two-regions"),
        pytest.param(f"name: o, endpoint: '{HERE}'", "name: o", False, id="two-endpoints"),
        pytest.param(f"name: o, role_arn: '{ROLE}'", "name: o", False, id="perhaps-two-accounts"),
        pytest.param(f"url: '{ARN}', role_arn: '{ROLE}'", f"url: '{ARN}'", True, id="two-roles"),
        pytest.param(
            f"name: orders, region: eu-west-1, role_arn: '{ROLE}'",
            f"url: '{ARN}'",
            True,
            id="by-name-in-the-account-of-the-role",
        ),
        pytest.param('name: o, region: "${R}"', "name: o, region: a-b-1", False, id="not-known"),
    ],
)
def test_two_names_for_one_queue_are_found_as_far_as_that_is_certain(
    one: str, other: str, *, same: bool
) -> None:
    result = compiled(
        f"""
        version: 1
        queues: {{a: {{{one.replace("a-b-1", "eu-west-1").replace("a-c-1", "eu-west-2")}}},
                  b: {{{other.replace("a-b-1", "eu-west-1").replace("a-c-1", "eu-west-2")}}}}}
        defaults: {{app: acme, image: nginx:1}}
        routes: [{{name: r, queue: [a, b], profile: {{}}}}]
        """,
        missing="warning",
    )

    assert [code.split()[1] for code in reported(result)] == (["same-queue"] if same else [])


QUEUE = Queue("q", url=ARN, region="eu-west-1", role_arn=ROLE, endpoint=VPC)


@pytest.mark.parametrize("key", ["region", "role_arn", "endpoint"])
def test_a_queue_that_is_reached_in_another_way_is_another_queue_to_the_router(key: str) -> None:
    changed = replace(QUEUE, **{key: None})  # type: ignore[arg-type]

    assert _address(changed) != _address(QUEUE)


def test_on_this_machine_nothing_of_it_counts() -> None:
    assert stand_in(QUEUE, lookup="orders") == Queue("q", lookup="orders")


@pytest.mark.parametrize(
    ("endpoint", "queue", "expected"),
    [
        pytest.param(
            Endpoint(HERE, asked_for=True),
            QUEUE,
            Queue("q", lookup="orders"),
            id="a-server-here-that-was-asked-for-stands-in-for-all",
        ),
        pytest.param(
            Endpoint(HERE),
            replace(QUEUE, endpoint=None),
            Queue("q", lookup="orders"),
            id="a-server-here-stands-in",
        ),
        pytest.param(Endpoint(HERE), QUEUE, QUEUE, id="but-not-where-the-queue-says-where-it-is"),
        pytest.param(
            Endpoint("https://sqs.example", asked_for=True),
            QUEUE,
            replace(QUEUE, endpoint=None),
            id="another-server-that-was-asked-for",
        ),
        pytest.param(Endpoint("https://sqs.example"), QUEUE, QUEUE, id="another-server"),
        pytest.param(Endpoint(None), QUEUE, QUEUE, id="aws"),
    ],
)
def test_where_send_and_rejected_look_for_a_queue(
    endpoint: Endpoint, queue: Queue, expected: Queue
) -> None:
    assert endpoint.address(queue) == expected


@pytest.mark.parametrize("key", ["region", "role_arn", "endpoint"])
def test_a_variable_in_it_must_be_set_to_go_there(key: str) -> None:
    queue = replace(QUEUE, **{key: "${HERE}"})  # type: ignore[arg-type]

    with pytest.raises(click.UsageError, match=rf"queue `q` has the {key} \$\{{HERE\}}, and that"):
        Endpoint(None).address(queue)
