"""docs/deploy.md and fly.toml beside what the code does: rights, ports, times, prices, versions."""

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from click.testing import CliRunner
from pages import ROOT, read_page

from lambdo_router import __version__
from lambdo_router.cli import cli
from lambdo_router.cli.init import StarterNames, starter_files
from lambdo_router.core.prices import read_prices
from lambdo_router.core.profile import SIZES
from lambdo_router.service.settings import read_settings

PAGE = read_page(ROOT / "docs" / "deploy.md")
SETTINGS = read_settings({})
GRACE = SETTINGS.limits.grace
NAMES = StarterNames(
    "jobs", "acme-jobs", "registry.fly.io/acme-jobs:1", "acme-router", "acme/lambdo-router"
)
STARTED = {path: file.content for path, file in starter_files(NAMES, fly=True, ci="github").items()}
FLY_FILES = {"fly.toml": (ROOT / "fly.toml").read_text(), "of init": STARTED["fly.toml"]}
HEREDOC = re.compile(r"^cat > (\S+) <<EOF\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [block.text for block in PAGE.blocks if block.language == language]


def written() -> dict[str, Any]:
    """The JSON files that the page's commands write, by name, with variables as they stand."""
    found = [pair for block in blocks("sh") for pair in HEREDOC.findall(block)]
    return {Path(name).name: json.loads(text) for name, text in found}


# fly.toml


@pytest.fixture(params=list(FLY_FILES))
def fly(request: pytest.FixtureRequest) -> dict[str, Any]:
    return tomllib.loads(FLY_FILES[request.param])


def test_fly_waits_longer_than_a_stop_may_take(fly: dict[str, Any]) -> None:
    assert fly["kill_signal"] == "SIGTERM"
    assert GRACE < int(fly["kill_timeout"].removesuffix("s")) <= 300


def test_fly_looks_where_the_router_listens(fly: dict[str, Any]) -> None:
    checks = fly["checks"]

    assert {fly["metrics"]["port"], *(check["port"] for check in checks.values())} == {
        SETTINGS.admin_port
    }
    assert fly["metrics"]["path"] == "/metrics"
    assert {check["path"] for check in checks.values()} == {"/healthz", "/readyz"}
    assert {(check["type"], check["method"]) for check in checks.values()} == {("http", "get")}


def test_the_router_is_always_on_and_nobody_calls_it(fly: dict[str, Any]) -> None:
    assert fly["restart"] == [{"policy": "always"}]
    assert fly.keys() & {"http_service", "services"} == set()


def test_its_environment_is_made_of_variables_that_run_knows(fly: dict[str, Any]) -> None:
    told = CliRunner().invoke(cli, ["run", "--help"]).stdout
    known = {*re.findall(r"[A-Z]+(?:_[A-Z]+)+", told), "LAMBDO_LOG_FORMAT"}

    assert fly["env"].keys() <= known
    assert read_settings(fly["env"]).fly_app == "acme-jobs" != fly["app"]


MEASURED = {
    what: int(megabytes)
    for table in PAGE.tables
    if table.header == ("", "MB")
    for what, megabytes in table.rows
}


def test_small_events_fit_into_its_size_with_room_for_the_kernel(fly: dict[str, Any]) -> None:
    [machine] = fly["vm"]
    memory = SIZES[machine["size"]].guest.memory_mb
    *fits, (_, too_much) = MEASURED.items()

    assert machine["memory"] == f"{memory}mb"
    assert max(megabytes for _, megabytes in fits) < 0.6 * memory
    assert 0.8 * memory < too_much < 0.6 * 512


@pytest.mark.parametrize("text", FLY_FILES.values(), ids=list(FLY_FILES))
def test_the_comments_of_fly_toml_have_the_measured_numbers(text: str) -> None:
    _, idle, _, small, large = MEASURED.values()
    assert re.findall(r"(\d+) MB", text) == [str(idle), str(small), str(large)]


def test_both_fly_toml_say_the_same_but_for_the_image_and_the_routes() -> None:
    ours, of_init = (tomllib.loads(text) for text in FLY_FILES.values())

    assert ours.pop("build") == {"dockerfile": "Dockerfile"}
    assert of_init.pop("build") == {"dockerfile": "router.Dockerfile"}
    assert ours.pop("files") == [
        {"guest_path": "/etc/lambdo/routes.yaml", "local_path": "routes.yaml"}
    ]
    assert ours == of_init


@pytest.mark.parametrize("file", [pytest.param("Dockerfile", id="of-the-project")])
def test_the_image_runs_the_file_that_fly_toml_puts_there(file: str) -> None:
    text = (ROOT / file).read_text()

    assert 'ENTRYPOINT ["lambdo-router"]' in text
    assert 'CMD ["run", "/etc/lambdo/routes.yaml"]' in text
    assert "COPY routes.yaml /etc/lambdo/\n" in STARTED["router.Dockerfile"]


# Rights


_BOTO = re.compile(r"^\s*(?:import|from) boto(?:3|core)", re.MULTILINE)


_OTHERWISE = {"ListObjectsV2": "ListBucket", "HeadObject": "GetObject"}
"""Operations whose right is called otherwise."""


def called() -> set[str]:
    """The rights for every operation of AWS that the code calls."""
    session = botocore.session.get_session()
    operations = {
        # SQS is called by the names of its operations, the others by boto3's methods.
        name if service == "sqs" else xform_name(name): (
            f"{service}:{_OTHERWISE.get(name, name.removesuffix('Batch'))}"
        )
        for service in ("sqs", "s3", "sts", "kms")
        for name in session.get_service_model(service).operation_names
    } | {"create_assume_role_refresher": "sts:AssumeRole"}
    free = {"sts:GetCallerIdentity"}  # needs no right
    return {operations[name] for name in set(_names_called()) & operations.keys()} - free


def _names_called() -> Iterator[str]:
    """What is called in the packages that import boto3; the others cannot reach its clients."""
    sources = sorted((ROOT / "lambdo_router").rglob("*.py"))
    importing = {file.parent for file in sources if _BOTO.search(file.read_text())}
    for file in sources:
        if file.parent not in importing:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case (
                    ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name))
                    | ast.Constant(value=str(name))
                ):
                    yield name


def actions(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return set(given) if isinstance(given, list) else {given}


def _statements(shown: Any) -> list[dict[str, Any]]:
    """Those of a policy, of a list, or the one that is shown alone."""
    if isinstance(shown, list):
        return shown
    found: list[dict[str, Any]] = shown.get("Statement", [shown])
    return found


def test_the_policies_have_every_right_that_the_code_uses_and_no_other() -> None:
    shown = [json.loads(text) for text in blocks("json")]
    policies = [written()["policy.json"], *shown]
    statements = [statement for policy in policies for statement in _statements(policy)]
    allowed = set().union(*map(actions, statements))

    assert {right for right in allowed if not right.startswith("kms:")} == called()
    assert {right for right in allowed if right.startswith("kms:")} == {
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }
    assert all(it["Effect"] == "Allow" and "*" not in actions(it) for it in statements)
    assert all(it["Resource"].startswith("arn:aws:") for it in statements)


def test_the_table_of_rights_has_those_of_the_policies() -> None:
    [table] = [t for t in PAGE.tables if t.header == ("feature", "on", "permissions")]
    told = set(re.findall(r"`((?:sqs|s3|sts|kms):\w+)`", " ".join(row[2] for row in table.rows)))

    assert told == called() | {"kms:Decrypt", "kms:GenerateDataKey"}


def test_the_router_may_only_read_what_it_reads_and_only_write_where_it_rejects() -> None:
    read, reject = written()["policy.json"]["Statement"]

    assert read["Resource"].endswith(":jobs")
    assert reject["Resource"].endswith(":jobs-rejected")
    assert "sqs:SendMessage" not in actions(read)
    assert actions(reject) & {"sqs:ReceiveMessage", "sqs:DeleteMessage"} == set()


def test_only_the_router_of_one_organization_may_take_the_role() -> None:
    [statement] = written()["trust.json"]["Statement"]

    assert statement["Principal"] == {
        "Federated": "arn:aws:iam::$ACCOUNT:oidc-provider/oidc.fly.io/$ORG"
    }
    assert actions(statement) == {"sts:AssumeRoleWithWebIdentity"}
    assert statement["Condition"] == {
        "StringEquals": {"oidc.fly.io/$ORG:aud": "sts.amazonaws.com"},
        "StringLike": {"oidc.fly.io/$ORG:sub": "$ORG:acme-router:*"},
    }


# What else the page says


def test_the_notes_of_init_have_the_commands_of_the_page() -> None:
    notes = re.findall(r"^```sh\n(.*?)^```$", STARTED["DEPLOY.md"], re.MULTILINE | re.DOTALL)

    assert len(notes) == 7
    assert [block for block in notes if block not in blocks("sh")] == []


def test_whatever_runs_the_router_waits_longer_than_a_stop_may_take() -> None:
    [unit] = blocks("ini")
    service = configparser.ConfigParser()
    service.optionxform = str  # type: ignore[assignment,method-assign] # names keep their letters
    service.read_string(unit)
    [deployment] = [yaml.safe_load(text) for text in blocks("yaml")]
    pod = deployment["spec"]["template"]["spec"]
    [docker] = [text for text in blocks("sh") if text.startswith("docker run")]
    stop = re.search(r"--stop-timeout (\d+)", docker)

    assert int(service["Service"]["TimeoutStopSec"]) > GRACE
    assert pod["terminationGracePeriodSeconds"] > GRACE
    assert stop is not None
    assert int(stop[1]) > GRACE
    [container] = pod["containers"]
    assert container["ports"] == [{"name": "admin", "containerPort": SETTINGS.admin_port}]


def test_the_toml_of_the_page_is_toml_with_a_file_on_its_volume() -> None:
    [volume] = [tomllib.loads(text) for text in blocks("toml")]

    command = volume["processes"]["app"].split()
    assert command[0] == "run"
    assert command[1].startswith(f"{volume['mounts']['destination']}/")


def test_the_versions_of_the_page_are_the_one_of_the_package() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()

    assert set(re.findall(r"lambdo-router:(\d\S*)", text)) == {__version__}


def test_the_costs_are_those_of_the_price_table() -> None:
    [table] = [t for t in PAGE.tables if t.header == ("", "USD")]
    prices = read_prices()
    month = 30 * 86400

    def usd(size: str, seconds: float, megabytes: int | None = None) -> float:
        guest = SIZES[size].guest
        guest = guest if megabytes is None else replace(guest, memory_mb=megabytes)
        return round(prices.machine_second(guest, "iad") * seconds, 2)

    assert [float(price) for _, price in table.rows] == [
        usd("shared-cpu-1x", month),
        usd("shared-cpu-1x", month, 512),
        usd("shared-cpu-1x", 5e6),
        usd("shared-cpu-2x", 5e6),
        usd("performance-1x", 5e6),
        usd("performance-2x", 5e6),
        round(month / SETTINGS.long_poll_seconds * prices.sqs_request["standard"], 2),
        round(1e6 * prices.sqs_request["standard"], 2),
    ]
    assert f"price list of {prices.date}" in PAGE.prose
