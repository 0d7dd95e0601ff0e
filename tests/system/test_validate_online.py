"""`validate --online` against an SQS, an STS and a Machines API on this machine."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted_runner import ScriptedRunner
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from sts_server import Sts, sts_app

from lambdo_router.admin.serving import serve
from lambdo_router.cli import cli
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.sqs_server import Sqs, sqs_app

pytestmark = pytest.mark.real_time

TOKEN = "fm2_planted-token-0123456789"
ROUTES = """\
version: 1
queues:
  orders: {name: orders, reject_to: rejected}
  rejected: {url: "${REJECTED:-arn:aws:sqs:us-east-1:000000000000:rejected}"}
profiles:
  worker:
    app: jobs
    region: iad,us
    image: registry.fly.io/jobs:1
    max_attempts: 5
routes:
  - {name: all, queue: orders, profile: worker}
"""
FINE = (
    "routes.yaml: 1 route, 2 queues, 1 profile; checked: yaml, variables, shape, meaning, patterns,"
    " queues, apps, regions; not checked: images and sizes, which Fly validates only in a create "
    "request\n"
)
DENY = '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "%s", "Resource": "*"}}'


@dataclass
class World:
    folder: Path
    sqs: Sqs
    sts: Sts
    token_apps: set[str]

    def set(self, queue: str, **attributes: str) -> None:
        self.sqs.set_attributes(queue, attributes, time.time())

    async def validate(self, *arguments: str, routes: str = ROUTES) -> Result:
        """The command in a thread, for the servers are on this loop. No secret in what it says."""
        (self.folder / "routes.yaml").write_text(routes)
        options = ["validate", "--online", *arguments]
        result = await asyncio.to_thread(CliRunner().invoke, cli, options, catch_exceptions=False)
        assert "planted" not in result.output
        return result


class Late:
    """An ASGI app whose Date headers are so many seconds off."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start" and self.seconds:
                moment = time.gmtime(time.time() - self.seconds)
                date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", moment).encode()
                kept = [(k, v) for k, v in message["headers"] if k.lower() != b"date"]
                message = {**message, "headers": [*kept, (b"date", date)]}
            await send(message)

        await self._app(scope, receive, send_late)


@asynccontextmanager
async def world(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: Mapping[str, str] | None = None,
    late: float = 0.0,
    apps: set[str] | None = None,
) -> AsyncIterator[World]:
    sqs, sts, token_apps = Sqs(), Sts(), {"jobs"}
    for name in ("orders", "rejected"):
        sqs.create_queue(name, {}, time.time())
    machines = MachinesServer(
        ScriptedRunner(), Access({TOKEN: token_apps}, apps), limits=RateLimits(enabled=False)
    )
    async with (
        serve(Late(sqs_app(sqs), late)) as sqs_url,
        serve(sts_app(sts)) as sts_url,
        machines.running(),
        serve(machines_app(machines)) as fly_url,
    ):
        variables = {
            "AWS_ENDPOINT_URL": sqs_url,
            "AWS_ENDPOINT_URL_STS": sts_url,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "planted-secret",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "FLY_API_HOSTNAME": fly_url,
            "LAMBDO_FLY_TOKEN": TOKEN,
            **(environment or {}),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        yield World(folder, sqs, sts, token_apps)


def said(result: Result) -> list[str]:
    """The diagnostics, without their excerpts."""
    return [line for line in result.stderr.splitlines() if line.startswith("routes.yaml:")]


async def test_where_all_is_well_it_says_what_was_checked_and_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        result = await here.validate()

    assert (result.exit_code, result.stderr, result.stdout) == (0, "", FINE)


CASES = [
    pytest.param(
        {"RedrivePolicy": '{"deadLetterTargetArn": "$REJECTED", "maxReceiveCount": 4}'},
        "routes.yaml:3:18: warning: SQS takes a message from queue `orders` after 4 receives, "
        "before the router would reject it after 5 (`max_attempts`), and gives no reason; set "
        "maxReceiveCount to 7 or more, or `max_attempts` to 4 at most [redrive-too-soon]",
        id="moved-before-it-is-rejected",
    ),
    pytest.param(
        {"MessageRetentionPeriod": "3600"},
        "routes.yaml:3:18: warning: SQS deletes the messages of queue `orders` 1h after they were "
        "sent, also while the router holds them, which can be for 12h; set MessageRetentionPeriod "
        "to a day or more (86400), 4 days are usual [retention-short]",
        id="short-retention",
    ),
    pytest.param(
        {"VisibilityTimeout": "0"},
        "routes.yaml:3:18: warning: the visibility timeout of queue `orders` itself is 0: the "
        "router asks for its own (1m), but what anybody else receives, as in the console, is not "
        "hidden from the router; set VisibilityTimeout to 30 or more [queue-visibility-zero]",
        id="no-visibility",
    ),
    pytest.param(
        {"KmsMasterKeyId": "alias/orders", "KmsDataKeyReusePeriodSeconds": "60"},
        "routes.yaml:3:18: warning: queue `orders` is encrypted with the key alias/orders of KMS, "
        "for which the router needs kms:Decrypt; whether it has that cannot be seen from here; "
        "allow it in the role and in the key's policy, then ignore this warning; and KMS is asked "
        "every 1m, which costs and may throttle: set KmsDataKeyReusePeriodSeconds to 300 or more "
        "[queue-needs-kms]",
        id="kms",
    ),
    pytest.param(
        {"Policy": DENY % "sqs:*"},
        "routes.yaml:3:18: the policy of queue `orders` denies sqs:ReceiveMessage, "
        "sqs:DeleteMessage, sqs:ChangeMessageVisibility; take the router out of that statement, as "
        "with a condition on aws:PrincipalArn [queue-policy-denies]",
        id="denied",
    ),
]


@pytest.mark.parametrize(("attributes", "expected"), CASES)
async def test_a_queue_that_does_not_go_with_the_file_is_told_at_its_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attributes: dict[str, str],
    expected: str,
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        rejected = here.sqs.queue("rejected").arn
        here.set("orders", **{k: v.replace("$REJECTED", rejected) for k, v in attributes.items()})
        result = await here.validate()

    assert said(result) == [expected]
    assert result.exit_code == (0 if "warning: " in expected else 1)


async def test_a_reject_queue_that_takes_nothing_is_told_without_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        here.set("rejected", Policy=DENY % "sqs:SendMessage")
        result = await here.validate()

    assert said(result) == [
        (
            "routes.yaml:4:19: the policy of queue `rejected` denies sqs:SendMessage; queue "
            "`orders` rejects to it; take the router out of that statement, as with a condition on "
            "aws:PrincipalArn [queue-policy-denies]"
        )
    ]
    assert not here.sqs.ledger.entries


async def test_a_queue_of_another_account_must_allow_what_is_done_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        here.sts.arn = "arn:aws:sts::222222222222:assumed-role/router/x"
        allow = DENY.replace("Deny", "Allow") % "sqs:*"
        here.set("orders", Policy=allow)
        result = await here.validate()

    assert said(result) == [
        (
            "routes.yaml:4:19: queue `rejected` is in another account than the router "
            "222222222222, and its policy does not allow sqs:SendMessage; queue `orders` rejects "
            "to it; allow it to arn:aws:sts::222222222222:assumed-role/router/x; or assume a role "
            "of that account with `role_arn` [queue-policy-denies]"
        )
    ]


@pytest.mark.parametrize(
    ("routes", "hint"),
    [
        pytest.param(
            ROUTES.replace(", reject_to: rejected", ""),
            "has neither a redrive policy nor `reject_to`",
            id="nowhere-to-go",
        ),
        pytest.param(
            ROUTES.replace("    max_attempts: 5\n", ""),
            "has no redrive policy, and a route of it no `max_attempts`",
            id="no-end-of-attempts",
        ),
    ],
)
async def test_attempts_without_end_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, routes: str, hint: str
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        result = await here.validate(routes=routes)

    (line,) = (line for line in said(result) if "[no-redrive-policy]" in line)
    assert f"queue `orders` {hint}: what fails again and again comes back" in line


async def test_a_fifo_queue_should_reject_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        here.sqs.create_queue("orders.fifo", {"FifoQueue": "true"}, time.time())
        result = await here.validate(routes=ROUTES.replace("name: orders,", "name: orders.fifo,"))

    assert [line.partition(": ")[0] for line in said(result)] == ["routes.yaml:3:42"]
    assert "[queue-kinds-differ]" in said(result)[0]


@pytest.mark.parametrize(
    ("routes", "position", "code"),
    [
        (ROUTES.replace("name: orders,", "name: order,"), "3:18", "queue-not-found"),
        (ROUTES.replace("app: jobs", "app: other"), "7:10", "fly-token-refused"),
        (ROUTES.replace("app: jobs", "app: [jobs, other]"), "7:17", "fly-token-refused"),
        (ROUTES.replace("iad,us", "xyz"), "8:13", "fly-region-unknown"),
        (ROUTES.replace("fly.io/jobs", "fly.io/gone"), "9:12", "image-app-not-found"),
    ],
)
async def test_what_is_not_there_is_an_error_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, routes: str, position: str, code: str
) -> None:
    async with world(tmp_path, monkeypatch, apps={"jobs", "other"}) as here:
        if code == "image-app-not-found":
            here.token_apps.add("gone")
        result = await here.validate(routes=routes)

    (line,) = (line for line in said(result) if code in line)
    assert line.startswith(f"routes.yaml:{position}: ")
    assert result.exit_code == 1
    if code == "fly-token-refused":
        assert "; this one is for jobs [" in line


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"LAMBDO_FLY_TOKEN": "fm2_planted-wrong-token"}, "fly-token-refused"),
        ({"LAMBDO_FLY_TOKEN": ""}, "fly-not-checked"),
        ({"FLY_API_HOSTNAME": "http://127.0.0.1:9"}, "service-unreachable"),
    ],
)
async def test_a_token_or_a_fly_that_is_not_to_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], code: str
) -> None:
    async with world(tmp_path, monkeypatch, environment) as here:
        result = await here.validate()

    (line,) = said(result)
    assert f"[{code}]" in line
    assert result.exit_code == (0 if code == "fly-not-checked" else 1)


async def test_an_app_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch, apps=set()) as here:
        result = await here.validate()

    (line,) = said(result)
    assert line.startswith("routes.yaml:7:10: Machines API: 404 ")
    assert "`fly apps create jobs` makes the app" in line
    assert line.endswith("[fly-app-not-found]")


async def test_aws_that_does_not_answer_is_told_at_each_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda *_: 0.0)
    async with world(tmp_path, monkeypatch, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}) as here:
        result = await here.validate()

    assert [line.rpartition(" ")[2] for line in said(result)] == ["[service-unreachable]"] * 2
    assert result.exit_code == 1


@pytest.mark.parametrize(("late", "way"), [(120.0, "ahead of"), (-120.0, "behind")])
async def test_a_clock_that_is_wrong_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: float, way: str
) -> None:
    async with world(tmp_path, monkeypatch, late=late) as here:
        result = await here.validate()

    (line,) = said(result)
    assert line.startswith("routes.yaml:3:18: warning: this machine's clock is 1")
    assert f" seconds {way} AWS's; set it, as with NTP" in line
    assert line.endswith("[clock-skew]")


async def test_a_comment_takes_a_finding_away_and_is_of_use_without_online_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comment = "  # lambdo: ignore=retention-short (it is a test)"
    routes = ROUTES.replace("reject_to: rejected}", f"reject_to: rejected}}{comment}")
    async with world(tmp_path, monkeypatch) as here:
        here.set("orders", MessageRetentionPeriod="3600")
        online = await here.validate("--strict", routes=routes)
    offline = CliRunner().invoke(cli, ["validate", "--strict"], catch_exceptions=False)

    assert (online.exit_code, online.stderr) == (0, "")
    assert (offline.exit_code, offline.stderr) == (0, "")


async def test_strict_takes_findings_for_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        here.set("orders", MessageRetentionPeriod="3600")
        result = await here.validate("--strict")

    assert result.exit_code == 1
    assert "warning" not in result.output


@pytest.mark.parametrize("form", ["json", "github", "sarif", "junit"])
async def test_every_form_carries_the_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        here.set("orders", Policy=DENY % "*")
        result = await here.validate("--format", form)

    assert result.exit_code == 1
    assert "queue-policy-denies" in result.stdout
    if form == "json":
        report: dict[str, Any] = json.loads(result.stdout)
        assert report["files"][0]["checked"][-3:] == ["queues", "apps", "regions"]
        assert report["diagnostics"][0]["range"]["start"] == {"line": 3, "column": 18}


async def test_a_file_with_errors_is_not_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch) as here:
        result = await here.validate(routes=ROUTES.replace("profile: worker", "profile: wroker"))

    assert result.stdout == (
        "routes.yaml: 1 error; checked: yaml, variables, shape, meaning, patterns; not "
        "checked with AWS and Fly, because the file has errors\n"
    )


async def test_what_hangs_on_a_variable_that_is_not_set_is_not_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = ROUTES.replace("name: orders,", 'name: "${NONE}",').replace("jobs:1", "${NONE}:1")
    async with world(tmp_path, monkeypatch) as here:
        result = await here.validate(routes=routes)

    assert {line.rpartition(" ")[2] for line in said(result)} == {"[missing-variable]"}
    assert result.exit_code == 0


async def test_wrong_settings_are_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, monkeypatch, {"LAMBDO_LAUNCH_BURST": "x"}) as here:
        result = await here.validate()

    assert result.exit_code == 2
    assert "LAMBDO_LAUNCH_BURST" in result.stderr
