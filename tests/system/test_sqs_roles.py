"""Queues reached by a role, in a region, or at an endpoint of their own."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sts_server import Signers, Sts, sts_app

from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.admin.serving import serve
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.routing import Queue
from lambdo_router.local.sqs_server import Sqs, sqs_app

pytestmark = pytest.mark.real_time

READER = "arn:aws:iam::111111111111:role/reader"
WRITER = "arn:aws:iam::222222222222:role/team/writer"


@dataclass
class World:
    sts: Sts
    sqs: Sqs
    signers: Signers
    url: str
    connector: SqsConnector


@asynccontextmanager
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    sts, sqs = Sts(), Sqs()
    sqs.create_queue("orders", {}, time.time())
    sqs.create_queue("rejected", {}, time.time())
    signers = Signers(sqs_app(sqs))
    async with serve(sts_app(sts)) as sts_url, serve(signers) as sqs_url:
        for name, value in {
            "AWS_ENDPOINT_URL_STS": sts_url,
            "AWS_ENDPOINT_URL_SQS": sqs_url,
            "AWS_ACCESS_KEY_ID": "OWN",
            "AWS_SECRET_ACCESS_KEY": "planted-secret",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }.items():
            monkeypatch.setenv(name, value)
        connector = SqsConnector(SqsSettings(wait_seconds=0))
        try:
            yield World(sts, sqs, signers, sqs_url, connector)
        finally:
            await connector.aclose()


async def test_a_queue_with_a_role_is_reached_with_the_roles_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        read = await here.connector.open(Queue("a", lookup="orders", role_arn=READER))
        await read.receive(1, 30.0)
        written = await here.connector.open(Queue("b", lookup="rejected", role_arn=WRITER))
        await written.send("{}", {})
        await here.connector.open(Queue("c", lookup="orders"))

    assert here.sts.assumed == [READER, WRITER]
    assert list(dict.fromkeys(here.signers.keys)) == ["reader-1", "writer-2", "OWN"]


async def test_two_queues_of_a_role_share_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as here:
        await here.connector.open(Queue("a", lookup="orders", role_arn=READER))
        await here.connector.open(Queue("b", lookup="rejected", role_arn=READER))
        await here.connector.open(
            Queue("c", lookup="rejected", role_arn=READER, region="eu-west-1")
        )

    assert here.sts.assumed == [READER]
    assert set(here.signers.regions) == {"us-east-1", "eu-west-1"}


async def test_a_role_is_assumed_again_before_its_credentials_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        here.sts.lasts = timedelta(seconds=30)  # less than keys may come down to
        opened = await here.connector.open(Queue("a", lookup="orders", role_arn=READER))
        before = len(here.sts.assumed)
        await opened.receive(1, 30.0)
        await opened.receive(1, 30.0)

    assert len(here.sts.assumed) == before + 2
    assert here.signers.keys[-1] == f"reader-{before + 2}"


async def test_a_role_that_may_not_be_assumed_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        here.sts.denied = True
        with pytest.raises(QueueRefused) as refused:
            await here.connector.open(Queue("a", lookup="orders", role_arn=READER))

    text = str(refused.value)
    assert f"queue `a` (orders) at {here.url} as {READER}: AccessDenied: " in text
    assert "is not authorized to perform: sts:AssumeRole" in text
    assert text.endswith(
        "let the role's trust policy allow sts:AssumeRole to the router, and its own policy too"
    )


async def test_a_role_that_is_denied_later_is_no_right_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        here.sts.lasts = timedelta(seconds=30)
        await here.connector.open(Queue("a", lookup="orders", role_arn=READER))
        here.sts.denied = True
        with pytest.raises(QueueRefused, match="trust policy"):
            await here.connector.open(
                Queue("a", url=f"{here.url}/000000000000/orders", role_arn=READER)
            )


async def test_without_credentials_of_its_own_the_router_can_assume_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(QueueRefused, match="Unable to locate credentials; check AWS_ACCESS"):
            await here.connector.open(Queue("a", lookup="orders", role_arn=READER))

    assert here.sts.assumed == []


async def test_an_endpoint_of_a_queue_goes_before_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Sqs()
    other.create_queue("orders", {}, time.time())
    async with world(monkeypatch) as here, serve(sqs_app(other)) as url:
        there = await here.connector.open(Queue("a", lookup="orders", endpoint=url))
        at_home = await here.connector.open(Queue("b", lookup="orders"))
        await there.send('{"n": 1}', {})
        await at_home.send('{"n": 2}', {})

    assert [entry.kind for entry in other.ledger.entries] == ["sent"]
    assert [entry.kind for entry in here.sqs.ledger.entries] == ["sent"]


@pytest.mark.parametrize(
    ("queue", "region"),
    [
        pytest.param(Queue("a", lookup="orders"), "us-east-1", id="of-the-environment"),
        pytest.param(Queue("a", lookup="orders", region="eu-west-3"), "eu-west-3", id="by-name"),
        pytest.param(
            Queue("a", url="http://localhost:1/000000000000/orders", region="eu-west-3"),
            "eu-west-3",
            id="by-the-url-of-another-host",
        ),
        pytest.param(
            Queue("a", url="arn:aws:sqs:us-west-2:000000000000:orders"), "us-west-2", id="by-arn"
        ),
    ],
)
async def test_requests_are_signed_for_the_region_of_the_queue(
    monkeypatch: pytest.MonkeyPatch, queue: Queue, region: str
) -> None:
    async with world(monkeypatch) as here:
        await here.connector.open(queue)

    assert set(here.signers.regions) == {region}


async def test_an_inspection_tells_what_the_queue_is_and_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        here.sqs.create_queue("dead", {}, time.time())
        policy = '{"deadLetterTargetArn": "%s", "maxReceiveCount": "4"}'
        attributes = {
            "RedrivePolicy": policy % here.sqs.queue("dead").arn,
            "MessageRetentionPeriod": "86400",
            "VisibilityTimeout": "0",
            "KmsMasterKeyId": "alias/orders",
            "KmsDataKeyReusePeriodSeconds": "60",
            "Policy": '{"Statement": []}',
        }
        here.sqs.set_attributes("orders", attributes, time.time())
        facts = await here.connector.inspect(Queue("a", lookup="orders"))
        plain = await here.connector.inspect(Queue("b", lookup="rejected", role_arn=READER))

    assert facts.url == f"{here.url}/000000000000/orders"
    assert facts.caller is not None
    assert (facts.caller.account, facts.caller.arn) == ("000000000000", here.sts.arn)
    assert (facts.ahead, facts.attributes, facts.fifo) == (0.0, True, False)
    assert (facts.visibility, facts.retention) == (0.0, 86400.0)
    assert facts.redrive is not None
    assert facts.redrive.most_receives == 4
    assert facts.redrive.target_arn.endswith(":dead")
    assert (facts.kms_key, facts.kms_reuse, facts.policy) == (
        *("alias/orders", 60.0, '{"Statement": []}'),
    )
    assert (plain.redrive, plain.kms_key, plain.kms_reuse, plain.policy) == (None, "", None, "")


async def test_where_sts_is_not_to_be_had_nobody_knows_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch) as here:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        facts = await here.connector.inspect(Queue("a", lookup="orders"))

    assert facts.caller is None
    assert facts.arn.endswith(":orders")
