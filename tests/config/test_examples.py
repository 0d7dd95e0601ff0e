"""The examples: they are what they say they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from lambdo_router.cli import cli
from lambdo_router.config.load import load_routes
from lambdo_router.config.messages import Sample, read_samples
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Refused, Routed, decide

_ROOT = Path(__file__).parents[2]
_ROUTES = _ROOT / "routes.example.yaml"
_MESSAGES = _ROOT / "examples" / "messages"
_SAMPLES = read_samples(_MESSAGES)


def as_json(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_example_routes_are_valid_without_a_warning_or_a_variable() -> None:
    shown = CliRunner().invoke(cli, ["validate", str(_ROUTES)])

    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"{_ROUTES}: 7 routes, 3 queues, 4 profiles; " in shown.stdout


def test_editors_find_the_schema_by_the_first_line() -> None:
    first = _ROUTES.read_text().splitlines()[0]

    assert first == "# yaml-language-server: $schema=./schemas/routes.schema.json"


@pytest.mark.parametrize("sample", _SAMPLES, ids=lambda sample: sample.name)
def test_a_message_takes_the_way_that_its_file_says(sample: Sample) -> None:
    table = load_routes(_ROUTES, {}).table
    message = Message("m", "r", sample.body, sample.attributes, {})
    decision = decide(table, table.queues[sample.queue], message)

    assert sample.expect is not None
    match decision:
        case Routed(route=route):
            assert route.name == sample.expect.route
            # What its Machine fails is taken by the route, and rejected afterwards.
            assert sample.expect.reason in (None, "max_attempts")
            assert (sample.expect.exit_code is None) is (sample.expect.reason is not None)
        case Refused(reason=reason, policy=policy):
            ends = {"reject": "rejected", "drop": "dropped", "leave": "left"}
            assert (reason, ends[policy]) == (sample.expect.reason, sample.expect.settlement)


@pytest.mark.parametrize("path", sorted(_MESSAGES.glob("*.json")), ids=lambda path: path.name)
def test_editors_take_each_message_for_valid(path: Path) -> None:
    content = as_json(path)

    assert (
        path.parent / content["$schema"]
    ).resolve() == _ROOT / "examples" / "message.schema.json"
    Draft202012Validator(as_json(_ROOT / "examples" / "message.schema.json")).validate(content)
    assert content["description"]


def test_every_route_and_every_reason_has_a_message() -> None:
    table = load_routes(_ROUTES, {}).table
    expected = [sample.expect for sample in _SAMPLES if sample.expect is not None]

    assert {it.route for it in expected} - {None} == {route.name for route in table.routes}
    assert {it.reason for it in expected} - {None} == {
        "not_json",
        "unmatched",
        "schema_invalid",
        "override_denied",
        "max_attempts",
    }
    assert {it.exit_code for it in expected} == {None, 0, 1}


@pytest.mark.parametrize("name", ["image-upload", "order-paid"])
def test_the_event_schemas_are_json_schemas(name: str) -> None:
    Draft202012Validator.check_schema(as_json(_ROOT / "schemas" / f"{name}.schema.json"))
