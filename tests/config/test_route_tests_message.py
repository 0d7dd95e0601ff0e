"""The message of a test, as SQS would deliver it."""

import json
from pathlib import Path
from textwrap import dedent

import pytest

from lambdo_router.config.read.document import value_at
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.config.route_tests.reading import TestReader
from lambdo_router.core.message import Attribute, Message, read_event


def received(text: str, folder: Path = Path()) -> tuple[tuple[str, Message] | None, list[str]]:
    """The message that is written as `text`, and what is said about it."""
    document = read_document(f"message: {dedent(text)}\n", "x.test.yaml", folder / "x.test.yaml")
    reader = TestReader(document, {})
    written = value_at(document.value, ("message",))
    assert isinstance(written, dict)
    return reader.message(written, ("message",)), list(map(str, reader.problems))


def the_message(text: str, folder: Path = Path()) -> Message:
    result, problems = received(text, folder)
    assert problems == []
    assert result is not None
    queue, message = result
    assert queue == "q"
    return message


def test_what_is_not_written_is_as_on_a_first_delivery() -> None:
    assert the_message("{queue: q}") == Message(
        id="test",
        receipt="",
        body="{}",
        attributes={},
        system={
            "SenderId": "AIDAEXAMPLE",
            "SentTimestamp": "1767225600000",
            "ApproximateFirstReceiveTimestamp": "1767225600000",
            "ApproximateReceiveCount": "1",
        },
    )


def test_what_sqs_says_may_be_written() -> None:
    message = the_message("{queue: q, receive_count: 3, system: {SentTimestamp: 5, SenderId: me}}")

    assert (message.receive_count, message.sent_at, message.system["SenderId"]) == (3, 0.005, "me")
    assert message.first_received_at == 1767225600
    assert the_message("{queue: q, receive_count: 2.0}").receive_count == 2


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param("body: {a: [1, x, null], b: true}", '{"a":[1,"x",null],"b":true}', id="yaml"),
        pytest.param("body: {n: 1e400}", None, id="too-large-a-number"),
        pytest.param(
            "body: {n: [1.10, 0.1000000000000000001, 12345678901234567890123]}",
            '{"n":[1.1,0.1000000000000000001,12345678901234567890123]}',
            id="numbers-keep-their-value",
        ),
        pytest.param("body: Zoë", '"Zoë"', id="text"),
        pytest.param("body: null", "null", id="null"),
        pytest.param("body: []", "[]", id="list"),
        pytest.param("body_text: ' {n: 1.10'", " {n: 1.10", id="letter-by-letter"),
        pytest.param("body_file: body.json", '{ "n": 1.10 }\n', id="file"),
    ],
)
def test_a_body(body: str, sent: str | None, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{ "n": 1.10 }\n', "utf-8")
    if sent is None:
        with pytest.raises(Exception, match="out of range"):
            the_message(f"{{queue: q, {body}}}")
        return

    assert the_message(f"{{queue: q, {body}}}", tmp_path).body == sent


@pytest.mark.parametrize(
    ("written", "attribute"),
    [
        pytest.param("image", Attribute("String", "image"), id="text"),
        pytest.param("'5'", Attribute("String", "5"), id="quoted-number"),
        pytest.param("5", Attribute("Number", "5"), id="number"),
        pytest.param("1.50", Attribute("Number", "1.50"), id="number-letter-by-letter"),
        pytest.param(
            "[a, 1, 1.5, null, true]",
            Attribute("String.Array", '["a",1,1.5,null,true]'),
            id="list",
        ),
        pytest.param("{type: Number.int, value: '5'}", Attribute("Number.int", "5"), id="any-type"),
        pytest.param("{type: Binary, value: AP8=}", Attribute("Binary", b"\x00\xff"), id="binary"),
    ],
)
def test_an_attribute(written: str, attribute: Attribute) -> None:
    assert the_message(f"{{queue: q, attributes: {{a: {written}}}}}").attributes == {"a": attribute}


def test_a_message_file_says_queue_attributes_and_body(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(
        '{"queue": "q", "attributes": {"kind": "paid"}, "body": {"n": 1},'
        ' "expect": {"settlement": "deleted"}}',
        "utf-8",
    )
    message = the_message("{file: m.json, receive_count: 2}", tmp_path)

    assert message.body == '{"n":1}'
    assert message.attributes == {"kind": Attribute("String", "paid")}
    assert message.receive_count == 2


def test_in_an_envelope_the_router_finds_what_was_written() -> None:
    message = the_message(
        "{queue: q, envelope: sns, attributes: {kind: image, n: 5, l: [a],"
        " raw: {type: Binary, value: AP8=}}, body: {a: 1}}"
    )
    event = read_event(message, "sns")

    assert message.attributes == {}
    assert event.text == '{"a":1}'
    assert event.attributes == {
        "kind": Attribute("String", "image"),
        "n": Attribute("Number", "5"),
        "l": Attribute("String.Array", '["a"]'),
        "raw": Attribute("Binary", b"\x00\xff"),
    }
    assert "MessageAttributes" not in json.loads(the_message("{queue: q, envelope: sns}").body)


# What is said of most mistakes is in tests/route_tests/broken-meaning.test.out.


def test_a_body_that_sqs_does_not_take_is_told(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b"x" * 1_048_577)
    result, problems = received("{queue: q, body_file: large.json}", tmp_path)

    assert result is not None
    assert problems == [
        ("x.test.yaml:1:1: the body is over 1 MiB; SQS accepts up to 1 MiB [bad-test-message]")
    ]


def test_every_problem_of_a_message_is_told_at_once() -> None:
    result, problems = received(
        "{queue: q, attributes: {.a: x, n: {type: Number, value: five}}, body_file: nowhere.json}"
    )

    assert result is None
    assert [problem.split(": ")[0] for problem in problems] == [
        "x.test.yaml:1:38",
        "x.test.yaml:1:44",
        "x.test.yaml:1:85",
    ]
