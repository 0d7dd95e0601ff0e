"""Message files: what they say, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lambdo_router.config.messages import (
    Expectation,
    Sample,
    SampleError,
    attribute,
    read_sample,
    read_samples,
)
from lambdo_router.core.message import Attribute

_SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "examples" / "message.schema.json").read_text())
)


def written(folder: Path, content: object, name: str = "m.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_says_queue_attributes_body_and_end(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "$schema": "../message.schema.json",
            "description": "for people",
            "queue": "orders",
            "attributes": {
                "kind": "paid",
                "n": {"type": "Number.int", "value": "5"},
                "blob": {"type": "Binary", "value": "AP8="},
            },
            "body": {"name": "Zoë", "n": [1, 2]},
            "expect": {"route": "r", "exit_code": 0, "events": 2, "settlement": "deleted"},
        },
    )

    assert read_sample(path) == Sample(
        name="m.json",
        queue="orders",
        body='{"name":"Zoë","n":[1,2]}',
        attributes={
            "kind": Attribute("String", "paid"),
            "n": Attribute("Number.int", "5"),
            "blob": Attribute("Binary", b"\x00\xff"),
        },
        expect=Expectation("deleted", route="r", exit_code=0, events=2),
    )


def test_a_body_text_is_sent_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, {"queue": "q", "body_text": '{ "n": 1.10 }'})

    assert read_sample(path) == Sample("m.json", "q", '{ "n": 1.10 }', {})


@pytest.mark.parametrize("number", ["1e400", "0.1000000000000000001", "9" * 4300])
def test_no_number_of_a_body_loses_a_digit(number: str, tmp_path: Path) -> None:
    path = written(tmp_path, f'{{"queue": "q", "body": {{"n": {number}}}}}')

    assert read_sample(path).body == f'{{"n":{number}}}'


_GOOD = {"queue": "q", "body": {}}


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        pytest.param([], ["is a list; a message file is a JSON object"], id="no-object"),
        pytest.param(
            {"body": 1}, ["`queue` must be the name of a queue of the routes file"], id="no-queue"
        ),
        pytest.param(
            {**_GOOD, "atributes": {}},
            [
                (
                    "unknown key `atributes`; did you mean `attributes`? allowed are: $schema, "
                    "attributes, body, body_text, description, expect, queue"
                )
            ],
            id="unknown-key",
        ),
        pytest.param(
            {"queue": "q"},
            ["write either `body`, which is JSON, or `body_text`, which is any text"],
            id="no-body",
        ),
        pytest.param(
            {**_GOOD, "body_text": "x"},
            ["write either `body`, which is JSON, or `body_text`, which is any text"],
            id="two-bodies",
        ),
        pytest.param(
            {"queue": "q", "body_text": ""},
            ["`body_text` must be text, and not empty, which SQS does not accept"],
            id="empty-text",
        ),
        pytest.param(
            {**_GOOD, "attributes": {"n": 5}},
            ['`attributes.n` is the number 5; write text, or {"type": "Number", "value": "5"}'],
            id="bare-number",
        ),
        pytest.param(
            {**_GOOD, "attributes": {"n": {"type": "Numbr", "value": "5"}}},
            [
                (
                    'attribute `n`: there is no type "Numbr"; allowed are String, Number and '
                    "Binary, also with a label as in Number.int"
                )
            ],
            id="unknown-type",
        ),
        pytest.param(
            {**_GOOD, "attributes": {str(n): "x" for n in range(11)}},
            ["11 attributes; SQS accepts 10 per message"],
            id="too-many",
        ),
        pytest.param(
            {**_GOOD, "expect": "deleted"},
            ['`expect` is the text "deleted"; write an object with a `settlement`'],
            id="expect-text",
        ),
        pytest.param(
            {**_GOOD, "expect": {"settlement": "delete", "exit_code": "0", "events": 0}},
            [
                (
                    '`expect.settlement` is the text "delete"; did you mean `deleted`? allowed '
                    "are: deleted, dropped, left, rejected"
                ),
                "`expect.exit_code` must be a whole number from 0",
                "`expect.events` must be a whole number from 1",
            ],
            id="three-at-once",
        ),
        pytest.param(
            {**_GOOD, "expect": {"settlement": "rejected", "reason": "unmatched", "exit_code": 1}},
            ["`expect.reason` is for a message without a Machine: no exit_code, no events"],
            id="reason-and-machine",
        ),
        pytest.param(
            {**_GOOD, "expect": {"settlement": "deleted", "route": 1, "rout": "x"}},
            [
                (
                    "unknown key `expect.rout`; did you mean `route`? allowed are: events, "
                    "exit_code, reason, route, settlement"
                ),
                "`expect.route` must be the name of a route",
            ],
            id="route",
        ),
    ],
)
def test_everything_wrong_with_a_file_is_said_at_once(
    tmp_path: Path, content: Any, problems: list[str]
) -> None:
    path = written(tmp_path, content)

    with pytest.raises(SampleError) as failure:
        read_sample(path)

    assert str(failure.value).split("\n") == [f"{path}: {problem}" for problem in problems]
    assert not _SCHEMA.is_valid(content), "editors would not have said so"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{", "is not JSON: expecting property name", id="syntax"),
        pytest.param('{"body": NaN}', "is not JSON: NaN is no JSON", id="nan"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SampleError, match=problem):
        read_sample(written(tmp_path, text))


def test_a_hostile_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = written(tmp_path, {**_GOOD, "\x1b[2J": 1})

    with pytest.raises(SampleError) as failure:
        read_sample(path)

    assert "\x1b" not in str(failure.value)


def test_a_folder_is_read_whole_and_tells_of_all_its_bad_files(tmp_path: Path) -> None:
    written(tmp_path, _GOOD, "b.json")
    written(tmp_path, {"queue": "q", "body_text": "x"}, "a.json")
    written(tmp_path, "no message", "README.md")
    assert [sample.name for sample in read_samples(tmp_path)] == ["a.json", "b.json"]

    written(tmp_path, "{", "c.json")
    written(tmp_path, [], "d.json")
    with pytest.raises(SampleError, match=r"c\.json: .*\n.*d\.json: "):
        read_samples(tmp_path)


def test_a_folder_without_messages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"there is no message file \(\*\.json\)"):
        read_samples(tmp_path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"gone\.json: cannot be read: No such file"):
        read_sample(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("name", "data_type", "value", "problem"),
    [
        pytest.param("", "String", "x", "a name is 1 to 256", id="no-name"),
        pytest.param("a b", "String", "x", "a name is 1 to 256", id="space"),
        pytest.param(".a", "String", "x", "a name is 1 to 256", id="period-first"),
        pytest.param("a..b", "String", "x", "a name is 1 to 256", id="two-periods"),
        pytest.param("a" * 257, "String", "x", "a name is 1 to 256", id="long"),
        pytest.param("a", "", "x", "there is no type", id="no-type"),
        pytest.param("a", "String", "", "the value is empty", id="empty"),
        pytest.param("a", "Number", "five", '"five" is not a number', id="no-number"),
        pytest.param("a", "Number.x", "1,5", '"1,5" is not a number', id="comma"),
        pytest.param("a", "Binary", "?", "is base64", id="no-base64"),
    ],
)
def test_an_attribute_that_sqs_would_refuse_is_refused(
    name: str, data_type: str, value: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        attribute(name, data_type, value)


@pytest.mark.parametrize("value", ["5", "-0.5", "+5", "007", ".5", "5.", "1e10"])
def test_numbers_are_what_sqs_takes_for_one(value: str) -> None:
    assert attribute("n", "Number", value) == Attribute("Number", value)
