import base64
import json
import sys
from decimal import Decimal

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambdo_router.core.message import (
    Attribute,
    Event,
    Message,
    NotAnEvent,
    Undecodable,
    attribute_document,
    read_event,
    system_document,
)
from lambdo_router.core.strict_json import (
    MAX_DEPTH,
    WideNumber,
    comparable,
    parse_json,
    parse_number,
    plain,
)


def message(body: str, system: dict[str, str] | None = None, **attributes: Attribute) -> Message:
    return Message("1", "r1", body, attributes, system or {})


# What a message says of itself


def test_a_message_knows_its_times_in_seconds() -> None:
    system = {
        "SentTimestamp": "1700000000123",
        "ApproximateFirstReceiveTimestamp": "1700000001000",
        "ApproximateReceiveCount": "3",
    }
    asked = message("{}", system)

    assert (asked.sent_at, asked.first_received_at) == (1700000000.123, 1700000001.0)
    assert asked.receive_count == 3


def test_what_sqs_did_not_say_is_none_and_the_first_delivery() -> None:
    asked = message("{}")

    assert (asked.sent_at, asked.first_received_at, asked.receive_count) == (None, None, 1)


# Strict JSON

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@settings(max_examples=50)
@given(VALUES, st.booleans())
def test_what_json_loads_reads_is_read_alike(value: object, ascii_only: bool) -> None:  # noqa: FBT001
    text = json.dumps(value, ensure_ascii=ascii_only)

    assert parse_json(text) == json.loads(text)
    assert parse_json(text.encode()) == json.loads(text)


def refusal(text: bytes | str) -> Exception | None:
    try:
        parse_json(text)
    except Exception as problem:  # noqa: BLE001 (that no other comes is the claim)
        return problem
    return None


@given(st.binary() | st.text(alphabet='{}[]",:0123456789.eE+-\\u d8ntrfalsI\n\ufeff\ud800é'))
@example(b"\xff\xfe[\x000\x00]\x00")
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example("-")
@example('"\\ud800"')
def test_all_else_is_a_value_error(text: bytes | str) -> None:
    problem = refusal(text)

    assert type(problem) in (ValueError, type(None))
    assert len(str(problem)) < 120


PIECES = (
    *(*'{}[]:,"-0', " ", "\t", "\x0b", "\x00", "\x7f", "é", "\ud800", "\ufeff", "true", "NaN"),
    *('"a":', '"a"', '{"a":1,"a":2}', "[1]", "1", "-0.0", ".5", "1e5", "1E400", "1e-400", "01"),
    *("12345678901234567890", "0.12345678901234567", "5e-324", "1.7976931348623157e308"),
    *(
        "\\",
        "\\u",
        "\\n",
        "\\/",
        "\\x",
        '"\\ud83d\\ude00"',
        "\\ud83d\\ude00",
        "\\udc00",
        "9" * 4301,
    ),
)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@example("[1e400, 1]")
@example('{"a": 1e400, "a": 1}')
def test_the_quick_reader_and_the_careful_one_always_agree(text: str) -> None:
    def outcome() -> str:
        try:
            return repr(parse_json(text))  # 1, 1.0 and True are equal, their texts are not
        except ValueError as problem:
            return f"refused: {problem}"

    def refuse(_: str | bytes) -> object:
        raise ValueError

    quick = outcome()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lambdo_router.core.strict_json._quick_decode", lambda: refuse)
        assert quick == outcome()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "expecting value, line 1 column 1", id="empty"),
        pytest.param("NaN", "NaN is no JSON", id="nan"),
        pytest.param('{"a": -Infinity}', "-Infinity is no JSON", id="infinity"),
        pytest.param("01", "extra data, line 1 column 2", id="leading-zero"),
        pytest.param("+1", "expecting value, line 1 column 1", id="plus"),
        pytest.param("1.", "extra data, line 1 column 2", id="no-fraction"),
        pytest.param("{} {}", "extra data, line 1 column 4", id="two-documents"),
        pytest.param('["a\nb"]', "invalid control character, line 1 column 4", id="control"),
        pytest.param("\xa0{}", "expecting value, line 1 column 1", id="no-break-space"),
        pytest.param(
            "\ufeff{}", "it starts with a byte order mark, which JSON does not allow", id="bom"
        ),
        pytest.param(
            b"\xef\xbb\xbf{}",
            "it starts with a byte order mark, which JSON does not allow",
            id="bom-bytes",
        ),
        pytest.param(b'"\xc3\xa9\xff"', "byte 3 is not UTF-8", id="not-utf-8"),
        pytest.param(
            '{"\\uDC00": 1}',
            "an escape \\uD800 to \\uDFFF that is not half of a pair, line 1 column 3",
            id="lone-surrogate-escape",
        ),
        pytest.param(
            '{"a": 1,\n "b": -%s}' % ("9" * 4301),
            "an integer of 4301 digits, where programs stop reading at 4300, line 2 column 7",
            id="long-integer",
        ),
        pytest.param('"é\ud800"', "character 2 is half of a surrogate pair", id="lone-surrogate"),
    ],
)
def test_the_reason_is_given_with_its_place(text: bytes | str, reason: str) -> None:
    assert str(refusal(text)) == reason


@pytest.mark.parametrize("text", ["'a'", "[1,]", '{"a":1,}', "{a:1}", "[1 2]", '{"a" 1}', '"\\x"'])
def test_what_looks_like_json_is_not_enough(text: str) -> None:
    with pytest.raises(ValueError, match=r", line 1 column \d+$"):
        parse_json(text)


def test_pairs_of_surrogates_and_escaped_backslashes_are_fine() -> None:
    assert parse_json('"\\ud83d\\ude00 \\\\ud800"') == "\U0001f600 \\ud800"


def test_of_two_equal_keys_the_last_counts() -> None:
    assert parse_json('{"a": 1, "a": 2}') == {"a": 2}
    assert parse_json('{"a": "\\ud83d\\ude00 \\\\ud800", "a": {"b": [1], "b": 2}}') == {
        "a": {"b": 2}
    }


DEEP = "[" * 600 + "]" * 600


# Every program reads what stands under a key before it knows that the key comes again.
@pytest.mark.parametrize(
    ("hidden", "reason"),
    [
        pytest.param('"\\ud800"', "an escape", id="surrogate"),
        pytest.param('"\\ud83d\\ud83d\\ude00"', "an escape", id="one-and-a-half-pairs"),
        pytest.param('"\\\\\\udc00"', "an escape", id="after-a-backslash"),
        pytest.param('{"\\udfff": 1}', "an escape", id="surrogate-in-a-key"),
        pytest.param(DEEP, "nested deeper", id="depth"),
        pytest.param(f'["\\"", {DEEP}, "\\\\"]', "nested deeper", id="depth-between-texts"),
        pytest.param("9" * 4301, "an integer of 4301 digits", id="long-integer"),
        pytest.param("NaN", "NaN is no JSON", id="constant"),
    ],
)
@pytest.mark.parametrize("around", ['{"a": %s, "a": 1}', '[{"b": {"a": %s}, "b": 1.1e400}]'])
def test_what_a_repeated_key_hides_is_refused_too(hidden: str, reason: str, around: str) -> None:
    assert str(refusal(around % hidden)).startswith(reason)


def depth_of(text: str) -> int:
    """Levels of a document with all that stands under repeated keys: the slow way."""

    def levels(value: object) -> int:
        if isinstance(value, Pairs):
            return 1 + max((levels(child) for _, child in value), default=0)
        return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0

    return levels(json.loads(text, object_pairs_hook=Pairs))


class Pairs(list[tuple[str, object]]):
    """An object as it is written."""


WRITTEN = st.recursive(
    st.sampled_from(["1", '"[["', '"\\"{\\\\"', '"\\\\"', '"é[\\u005b"', "[]", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(inner, max_size=3).map(
            lambda parts: "{" + ",".join(f'"[a\\"":{part}' for part in parts) + "}"
        )
        | inner.map(lambda part: "[" * 60 + part + "]" * 60)
    ),
)


@settings(max_examples=100)
@given(WRITTEN, st.booleans())
@example('{"[a":%s,"[a":1}' % ("[" * 129 + "]" * 129), False)
def test_depth_is_what_is_written(text: str, wide: bool) -> None:  # noqa: FBT001
    # A wide document has brackets enough to be looked at.
    text = f"[{'[],' * 200}{text}]" if wide else text

    assert (refusal(text) is None) == (depth_of(text) <= MAX_DEPTH)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_deepest_document_is_read_and_a_deeper_one_is_not(opening: str, closing: str) -> None:
    parse_json(opening * (MAX_DEPTH - 1) + "[]" + closing * (MAX_DEPTH - 1))

    with pytest.raises(ValueError, match=rf"^nested deeper than {MAX_DEPTH} levels$"):
        parse_json(opening * MAX_DEPTH + "[]" + closing * MAX_DEPTH)


def test_a_wide_document_is_not_a_deep_one() -> None:
    assert parse_json(f"[{'[[]],' * 1000}{{}}]") == [*([[]] for _ in range(1000)), {}]


# Numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("0", 0, id="int"),
        pytest.param("-0", 0, id="minus-zero"),
        pytest.param("-0.0", -0.0, id="minus-zero-float"),
        pytest.param("0e99999999999999999999", 0.0, id="zero-with-a-long-exponent"),
        pytest.param("9007199254740993", 2**53 + 1, id="int-that-no-double-stands-for"),
        pytest.param("1" * 4300, int("1" * 4300), id="int-as-long-as-python-reads"),
        pytest.param("0.1", 0.1, id="float"),
        pytest.param("1e23", 1e23, id="exponent"),
        pytest.param("0.30000000000000004", 0.30000000000000004, id="seventeen-digits"),
        pytest.param("1.50000000000000000000", 1.5, id="zeros-at-the-end"),
        pytest.param("5e-324", 5e-324, id="smallest"),
        pytest.param("1.7976931348623157e308", sys.float_info.max, id="largest"),
        pytest.param(f"0.{'0' * 1000}1e1001", 1.0, id="long-way-round-to-one"),
        pytest.param("1.0000000000000000001", None, id="too-many-digits"),
        pytest.param("9007199254740993.0", None, id="between-two-doubles"),
        pytest.param("1e400", None, id="too-large"),
        pytest.param("1e-400", None, id="too-small"),
        pytest.param("4e-324", None, id="rounded-to-the-smallest"),
    ],
)
def test_a_number_is_an_int_a_float_or_a_wide_number_with_its_text(
    text: str, number: float | None
) -> None:
    expected = WideNumber(text) if number is None else number

    assert parse_json(text) == parse_number(text) == expected
    assert type(parse_json(text)) is type(parse_number(text)) is type(expected)
    assert parse_json(f'{{"a": [{text}]}}') == {"a": [expected]}


@pytest.mark.parametrize("text", ["", " 1", "1 ", "01", "+1", ".5", "1.", "1e", "NaN", "٣", "0x1"])
def test_what_is_no_json_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^no JSON number$"):
        parse_number(text)


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.floats(-1e20, 1e20).map(Decimal))
@example(Decimal(9007199254740992))
@example(Decimal(123456789012345680000))
@example(Decimal("1E+23"))
def test_a_double_stands_for_the_decimals_that_it_prints(number: Decimal) -> None:
    text = str(number).replace("E+", "e")
    double = float(text)
    finite = abs(double) != float("inf")

    assert comparable(parse_number(text)) == (
        double if finite and Decimal(repr(double)) == number else None
    )


@pytest.mark.parametrize(
    "value", [True, None, "1", WideNumber("1e400"), float("inf"), pytest.param(10**400, id="huge")]
)
def test_nothing_else_is_comparable(value: object) -> None:
    assert comparable(value) is None


def test_a_million_digits_take_no_time_to_speak_of() -> None:
    # A square of the length would take minutes.
    text = "9" * 1_000_000
    assert refusal(f'{{"a": {text}}}') is not None
    assert isinstance(parse_json(f'{{"a": 1.{text}}}'), dict)


# Values for schema validators


def test_an_ordinary_event_is_its_own_plain_value() -> None:
    value = parse_json('{"a": [1, 2.5, 12345678901234567890]}')

    assert plain(value) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e400", Decimal("1E400")),
        ("0.1000000000000000000001", Decimal("0.1000000000000000000001")),
        ("1e99999999999999999999", Decimal("1E+1000000")),
        ("-1E-99999999999999999999", Decimal("-1E-1000000")),
    ],
)
def test_wide_numbers_become_decimals_that_a_validator_takes(text: str, value: Decimal) -> None:
    event = plain(parse_json(f'{{"a": [{text}, {{"b": null}}]}}'))

    assert event == {"a": [value, {"b": None}]}
    number = jsonschema_rs.validator_for({"properties": {"a": {"items": {"not": {"const": 1}}}}})
    assert not list(number.iter_errors(event))
    text_only = jsonschema_rs.validator_for({"properties": {"a": {"items": {"type": "string"}}}})
    assert len(list(text_only.iter_errors(event))) == 2


# The event of a message


def test_the_event_is_the_body_as_it_was_written() -> None:
    body = ' {"b": 1.0, "a": "\\u00e9"} '

    assert read_event(message(body, kind=Attribute("String", "x")), "none") == Event(
        body, {"b": 1.0, "a": "é"}, {"kind": Attribute("String", "x")}
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "the body is empty; an event is a JSON object"),
        (" \n", "the body is empty; an event is a JSON object"),
        ("[1, 2]", "the body is a JSON array; an event is a JSON object"),
        ('"text"', "the body is a JSON string; an event is a JSON object"),
        ("1e400", "the body is a JSON number; an event is a JSON object"),
        ("false", "the body is a JSON boolean; an event is a JSON object"),
        ("null", "the body is a JSON null; an event is a JSON object"),
        ("hello", "the body is not JSON: expecting value, line 1 column 1"),
        ('{"a": 1,\n oops}', None),
        pytest.param(
            "<" * 100_000, "the body is not JSON: expecting value, line 1 column 1", id="long"
        ),
    ],
)
def test_what_is_no_event_is_named_and_not_repeated(body: str, reason: str | None) -> None:
    with pytest.raises(NotAnEvent) as caught:
        read_event(message(body), "none")

    if reason is None:
        assert str(caught.value).endswith(", line 2 column 2")
    else:
        assert str(caught.value) == reason


def notification(**changes: object) -> str:
    fields = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:uploads",
        "Message": '{"size": 12.0}',
        "Timestamp": "2026-01-02T03:04:05.678Z",
        "SignatureVersion": "1",
        **changes,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def test_the_event_of_a_notification_is_its_message_with_its_attributes() -> None:
    attributes = {
        "kind": {"Type": "String", "Value": "image"},
        "size": {"Type": "Number", "Value": "12"},
        "tags": {"Type": "String.Array", "Value": '["a", 1]'},
        "blob": {"Type": "Binary", "Value": base64.b64encode(b"\0\1").decode()},
    }
    body = notification(MessageAttributes=attributes)

    assert read_event(message(body, other=Attribute("String", "x")), "sns") == Event(
        '{"size": 12.0}',
        {"size": 12.0},
        {
            "kind": Attribute("String", "image"),
            "size": Attribute("Number", "12"),
            "tags": Attribute("String.Array", '["a", 1]'),
            "blob": Attribute("Binary", b"\0\1"),
        },
    )


@pytest.mark.parametrize("data_type", ["BinaryX", "binary", "String.Binary", ""])
def test_only_binary_and_its_labels_have_bytes(data_type: str) -> None:
    attributes = {
        "like": {"Type": data_type, "Value": "hello!"},
        "seal": {"Type": "Binary.x", "Value": "YWJj"},
    }
    found = read_event(message(notification(MessageAttributes=attributes)), "sns").attributes

    assert found == {"like": Attribute(data_type, "hello!"), "seal": Attribute("Binary.x", b"abc")}


def test_a_notification_needs_no_attributes() -> None:
    assert read_event(message(notification()), "sns").attributes == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param("oops", "the body is not JSON: expecting value", id="text"),
        pytest.param("[]", "the body is a JSON array; an event", id="array"),
        pytest.param('{"size": 12}', "the body is no SNS notification: it needs", id="raw"),
        pytest.param(
            notification(Message={"a": 1}), "the body is no SNS notification", id="object"
        ),
        pytest.param(notification(Type=["x"]), "the body is no SNS notification", id="odd-type"),
        pytest.param(
            notification(Type="SubscriptionConfirmation"),
            "the body is an SNS SubscriptionConfirmation, not a notification",
            id="confirmation",
        ),
        pytest.param(
            notification(Message="plain"),
            "the notification's `Message` is not JSON: expecting value",
            id="message-is-text",
        ),
        pytest.param(
            notification(Message="[]"),
            "the notification's `Message` is a JSON array; an event",
            id="message-is-array",
        ),
        pytest.param(
            notification(MessageAttributes=[1]),
            "the notification's `MessageAttributes` is a JSON array, no object",
            id="attributes-are-a-list",
        ),
        pytest.param(
            notification(MessageAttributes={"a": {"Type": "String", "Value": 5}}),
            "an attribute of the notification lacks a string `Type` or `Value`",
            id="attribute-without-text",
        ),
        pytest.param(
            notification(MessageAttributes={"a": {"Type": "Binary", "Value": "*"}}),
            "a Binary attribute of the notification is no base64",
            id="not-base64",
        ),
        pytest.param(
            notification(MessageAttributes={"a": {"Type": "Binary", "Value": "é"}}),
            "a Binary attribute of the notification is no base64",
            id="not-even-ascii",
        ),
    ],
)
def test_what_is_no_notification_is_no_event(body: str, reason: str) -> None:
    with pytest.raises(NotAnEvent) as caught:
        read_event(message(body), "sns")

    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("half", ["\ud800", "kind \udfff", "é\udcff\U0001f600"])
def test_an_attribute_with_half_of_a_surrogate_pair_is_named(half: str) -> None:
    asked = message("{}", fine=Attribute("String", "\U0001f600"), kind=Attribute("String", half))

    with pytest.raises(NotAnEvent) as caught:
        read_event(asked, "none")

    assert str(caught.value) == "attribute `kind` holds half of a surrogate pair, which is no text"


@pytest.mark.parametrize("field", ["Type", "Value", "Message", "name"])
def test_no_half_of_a_surrogate_pair_comes_out_of_a_notification(field: str) -> None:
    kind = {"Type": "String", "Value": "x"}
    attributes = {"kind": kind | {field: "\ud800"}} | ({"\ud800": kind} if field == "name" else {})
    body = (
        notification(Message='{"a": "\ud800"}')
        if field == "Message"
        else notification(MessageAttributes=attributes)
    )

    with pytest.raises(NotAnEvent, match=r"^the body is not JSON: an escape .* line 1 column \d+$"):
        read_event(message(body), "sns")


# Documents for patterns


@pytest.mark.parametrize(
    ("data_type", "value", "expected"),
    [
        ("String", "5", "5"),
        ("String.url", "x", "x"),
        ("String", "", ""),
        ("Number", "5", 5),
        ("Number.int", "-5", -5),
        ("Number", "1.50", 1.5),
        ("Number", "+5", 5),
        ("Number", "007", 7),
        ("Number", "-.5", -0.5),
        ("Number", "5.", 5),
        ("Number", "1E3", 1000.0),
        (
            "Number",
            "12345678901234567890123456789012345678",
            12345678901234567890123456789012345678,
        ),
        ("Number", "0.12345678901234567890", WideNumber("0.12345678901234567890")),
        ("Number", "five", Undecodable("Number")),
        ("Number", "", Undecodable("Number")),
        ("Number", ".", Undecodable("Number")),
        pytest.param("Number", "1" * 100_000 + "x", Undecodable("Number"), id="long-number"),
        pytest.param(
            "Number", "1" * 4301, Undecodable("Number"), id="longer-than-any-program-reads"
        ),
        ("String.Array", '["a", 1, 2.5, true, false, null]', ["a", 1, 2.5, True, False, None]),
        ("String.Array", "[]", []),
        ("String.Array", "a,b", Undecodable("String.Array")),
        ("String.Array", '{"a": 1}', Undecodable("String.Array")),
        ("String.Array", '"a"', Undecodable("String.Array")),
        ("String.Array", '["a", ["b"]]', Undecodable("String.Array")),
        pytest.param("String.Array", "[" * 100_000, Undecodable("String.Array"), id="bomb"),
    ],
)
def test_attributes_are_read_as_their_type_says(
    data_type: str, value: str, expected: object
) -> None:
    document = attribute_document({"a": Attribute(data_type, value)})

    assert document == {"a": expected}
    assert type(document["a"]) is type(expected)


def test_binary_and_unknown_attributes_are_left_out() -> None:
    attributes = {
        "blob": Attribute("Binary", b"x"),
        "png": Attribute("Binary.png", b"x"),
        "odd": Attribute("Stringy", "x"),
        "a.b": Attribute("String", "x"),
    }

    assert attribute_document(attributes) == {"a.b": "x"}


def test_counts_and_times_of_sqs_are_numbers() -> None:
    system = {
        "ApproximateReceiveCount": "2",
        "SentTimestamp": "1700000000123",
        "ApproximateFirstReceiveTimestamp": "soon",
        "SenderId": "123",
    }

    assert system_document(system) == {
        "ApproximateReceiveCount": 2,
        "SentTimestamp": 1700000000123,
        "ApproximateFirstReceiveTimestamp": "soon",
        "SenderId": "123",
    }
