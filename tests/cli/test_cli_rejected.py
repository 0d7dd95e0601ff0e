"""`rejected list` and `rejected show` against SQS servers, and what all of `rejected` refuses."""

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, _NamedTextIOWrapper
from rejected_shop import NOW, Shop, interrupt_after, shop_of
from sqs_backends import Backend, Embedded, Wire, counts, receive

from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.cli import cli
from lambdo_router.cli.rejected import queue_browser
from lambdo_router.cli.rejected.queue_browser import MOST_HELD
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.rejection import REASONS

pytest_plugins = ["sqs_backends", "rejected_shop"]
pytestmark = pytest.mark.usefixtures("nobody_waits")

_EVIL = "\x1b[31mred\u202e\nline"


# list


@pytest.mark.usefixtures("at_a_fixed_time")
def test_a_list_has_a_line_for_each_message(shop: Shop) -> None:
    shop.reject('{"n": 1}')
    shop.reject("{", reason="not_json", detail=_EVIL, attempts=3, time=NOW - 90_061)
    shop.reject("{}", reason="max_attempts", detail="x" * 101, route="paid", queue="gone")
    shop.put(shop.aside, "{}", {})

    listed = shop.run("list", str(shop.routes))

    assert shop.shown(listed.stdout) == (
        f"{'ID':36}  REASON        ROUTE  FROM    RECEIVED  AGE    DETAIL\n"
        "000000000000000000000000000000000000  unmatched     -      orders  1         2h     "
        "no route matches\n"
        "000000000000000000000000000000000001  not_json      -      orders  3         1d 1h  "
        "\\x1b[31mred\\u202e\\nline\n"
        "000000000000000000000000000000000002  max_attempts  paid   gone    1         2h     "
        f"{'x' * 100}...\n"
        "000000000000000000000000000000000003  unknown       -      -       1         0s     "
        "no lambdo_rejection attribute\n"
    )
    assert shop.shown(listed.stderr) == (
        "4 messages on queue `rejected`: 1 unmatched, 1 not_json, 1 max_attempts, "
        "1 unknown\n"
        "SQS estimated 4 messages before this read\n"
    )
    assert listed.exit_code == 0


def test_a_list_in_json_has_everything(shop: Shop) -> None:
    body = '{"a": "\\ud800"}'
    message_id = shop.reject(body, route="paid")

    listed = shop.run("list", str(shop.routes), "--format", "json")

    told = json.loads(listed.stdout)
    (message,) = told.pop("messages")
    system, sent_at = message.pop("system"), message.pop("sent_at")
    assert told == {
        "format_version": "1.0",
        "queue": {
            "name": "rejected",
            "url": shop.url(shop.aside),
            "visible": 1,
            "in_flight": 0,
            "delayed": 0,
            "redrive_to": None,
            "most_receives": None,
            "looked_at": 1,
            "complete": True,
        },
    }
    rejection = message["attributes"].pop("lambdo_rejection")
    assert json.loads(rejection)["message_id"] == "original-0"
    assert message == {
        "id": message_id,
        "reason": "unmatched",
        "detail": "no route matches",
        "route": "paid",
        "source": "orders",
        "source_arn": None,
        "original_id": "original-0",
        "attempts": 1,
        "at": "2023-11-14T22:13:20Z",
        "receive_count": 1,
        "attributes": {"n": {"type": "Number", "value": "0"}},
        "body": body,
    }
    assert system["ApproximateReceiveCount"] == "1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", sent_at)


@pytest.mark.usefixtures("at_a_fixed_time")
@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param([], "abc", id="none"),
        pytest.param(["--reason", "unmatched", "--reason", "unknown"], "a", id="reason"),
        pytest.param(["--route", "paid"], "b", id="route"),
        pytest.param(["--source", "orders"], "ab", id="source"),
        pytest.param(["--id", "original-1", "--id", "original-2"], "bc", id="ids"),
        pytest.param(["--older-than", "2h"], "ac", id="older"),
        pytest.param(["--newer-than", "90m"], "b", id="newer"),
        pytest.param(["--match", '{"kind": ["b", {"prefix": "c"}]}'], "bc", id="match"),
        pytest.param(["--match", '{"kind": "b"}'], "b", id="match-without-a-list"),
        pytest.param(["--source", "orders", "--older-than", "1h"], "a", id="both"),
    ],
)
def test_filters_say_which_messages_are_meant(shop: Shop, options: list[str], found: str) -> None:
    shop.reject('{"kind": "a"}')
    shop.reject('{"kind": "b"}', reason="schema_invalid", route="paid", time=NOW - 60)
    shop.reject('{"kind": "c"}', reason="not_json", queue="gone")

    listed = shop.run("list", str(shop.routes), "--format", "json", *options)

    kinds = [
        json.loads(message["body"])["kind"] for message in json.loads(listed.stdout)["messages"]
    ]
    assert "".join(sorted(kinds)) == found


@pytest.mark.parametrize(
    ("limits", "rows", "said"),
    [
        pytest.param(["--limit", "2"], 2, "stopped at --limit: there may be more\n", id="asked"),
        pytest.param(
            [], 10, f"limited to {MOST_HELD} messages: there may be more\n", id="all-it-may-hold"
        ),
    ],
)
def test_a_limit_is_said(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, limits: list[str], rows: int, said: str
) -> None:
    monkeypatch.setattr(queue_browser, "MOST_HELD", 10)
    for n in range(11):
        shop.reject(f"{n}")

    listed = shop.run("list", str(shop.routes), *limits)

    assert len(listed.stdout.splitlines()) == 1 + rows
    assert said in listed.stderr
    assert counts(shop.backend, shop.url(shop.aside)) == ("11", "0")


_COUNT = "ApproximateNumberOfMessages"
_POLICY = '{"deadLetterTargetArn": "arn:x"%s}'


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        pytest.param(None, (None,) * 5, id="not-allowed-to-ask"),
        pytest.param(
            {_COUNT: "12", f"{_COUNT}NotVisible": "3", f"{_COUNT}Delayed": "0"},
            (12, 3, 0, None, None),
            id="counts",
        ),
        pytest.param(
            {"RedrivePolicy": _POLICY % ', "maxReceiveCount": 4'},
            (None, None, None, "arn:x", 4),
            id="policy",
        ),
        pytest.param(
            {"RedrivePolicy": _POLICY % ', "maxReceiveCount": "4"'},
            (None, None, None, "arn:x", 4),
            id="number-as-text",
        ),
        pytest.param(
            {"RedrivePolicy": _POLICY % ""}, (None, None, None, "arn:x", 10), id="default"
        ),
        pytest.param({"RedrivePolicy": "{"}, (None,) * 5, id="no-json"),
    ],
)
def test_what_sqs_reports_about_a_queue_is_shown(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    attributes: dict[str, str] | None,
    state: tuple[int | str | None, ...],
) -> None:
    async def answer(_: SqsQueue) -> dict[str, str]:
        if attributes is None:
            raise QueueRefused("denied")
        return attributes

    monkeypatch.setattr(SqsQueue, "attributes", answer)
    listed = shop.run("list", str(shop.routes), "--format", "json")

    queue = json.loads(listed.stdout)["queue"]
    keys = ("visible", "in_flight", "delayed", "redrive_to", "most_receives")
    assert tuple(queue[key] for key in keys) == state
    unknown = "SQS does not say how many messages there are\n" in listed.stderr
    assert unknown is (state[0] is None)


def test_what_others_hold_is_counted_only(shop: Shop) -> None:
    shop.reject("held")
    receive(shop.backend, shop.url(shop.aside))
    shop.reject("free")

    listed = shop.run("list", str(shop.routes))

    assert "1 message on queue `rejected`: 1 unmatched\n" in listed.stderr
    assert "SQS estimated 1 message before this read, 1 in flight\n" in listed.stderr


def test_an_interrupted_list_gives_back_and_shows_what_it_has(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        shop.reject(f"{n}")
    interrupt_after(monkeypatch, "receive", 1)

    listed = shop.run("list", str(shop.routes))

    assert listed.exit_code == 1
    assert len(listed.stdout.splitlines()) == 1 + 10
    assert "interrupted: there may be more\n" in listed.stderr
    assert counts(shop.backend, shop.url(shop.aside)) == ("20", "0")


def test_on_every_server_a_list_gives_everything_back(backend: Backend, tmp_path: Path) -> None:
    shop = shop_of(backend, tmp_path)
    for n in range(12):
        shop.reject(f"{n}")

    listed = shop.run("list", str(shop.routes), "--format", "json")

    assert len(json.loads(listed.stdout)["messages"]) == 12
    assert counts(backend, shop.url(shop.aside)) == ("12", "0")
    assert len(shop.contents(shop.aside)) == 12


# Dead letters


@pytest.mark.usefixtures("at_a_fixed_time")
def test_dead_letters_come_without_a_reason_and_go_back_to_where_sqs_took_them(
    embedded: Embedded, tmp_path: Path
) -> None:
    shop = shop_of(embedded, tmp_path, redrive=1)
    attributes = {"kind": {"DataType": "String", "StringValue": "paid"}}
    message_id = shop.put(shop.orders, '{"n": 1}', attributes)
    sent = shop.contents(shop.orders)
    (held,) = embedded.sqs.queue(shop.orders).messages()
    embedded.sqs.queue(shop.orders).show(held.id, time.time())
    assert shop.contents(shop.orders) == Counter()

    # No routes file is needed for that.
    listed = shop.run("list", "--queue", shop.url(shop.aside))
    replayed = shop.run("replay", "--queue", shop.aside, "--yes", "--reason", "redrive")

    arn = embedded.attributes(shop.url(shop.orders), "QueueArn")["QueueArn"]
    line = listed.stdout.splitlines()[1]
    assert re.split(r"  +", line) == [
        message_id,
        "redrive",
        "-",
        shop.orders,
        "2",
        "0s",
        f"moved by SQS from {arn}; received 2 times in all",
    ]
    assert replayed.stdout == f"1 message replayed: 1 to {shop.orders}\n"
    assert replayed.exit_code == 0
    assert shop.contents(shop.orders) == sent
    assert counts(embedded, shop.url(shop.aside)) == ("0", "0")


def test_a_redrive_policy_of_the_queue_itself_is_warned_of(
    embedded: Embedded, tmp_path: Path
) -> None:
    shop = shop_of(embedded, tmp_path, redrive=1)
    shop.put(shop.orders, "{}", {})

    listed = shop.run("list", str(shop.routes), "--queue", "orders")

    arn = embedded.attributes(shop.url(shop.aside), "QueueArn")["QueueArn"]
    assert (
        "warning: routes read queue `orders`: the router does not get messages while they are held "
        "here\n"
        "warning: queue `orders` has a redrive policy, and this counts as a receive: after 1 "
        f"receive SQS moves a message to {arn}\n"
    ) in listed.stderr
    assert "1 message received 1 times: the next receive moves them\n" in listed.stderr


# show


@pytest.mark.usefixtures("at_a_fixed_time")
def test_a_message_is_shown_in_full_and_nothing_of_it_is_acted_upon(shop: Shop) -> None:
    attributes: dict[str, Wire] = {
        "kind": {"DataType": "String", "StringValue": f"paid{_EVIL}".replace("\x1b", "")},
        "blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    rejection = {
        "reason": "schema_invalid", "detail": _EVIL, "route": "paid", "queue": "orders",
        "message_id": "o-1", "attempts": 2, "time": NOW - 61.0,
    }  # fmt: skip
    attributes["lambdo_rejection"] = {
        "DataType": "String", "StringValue": json.dumps(rejection),
    }  # fmt: skip
    message_id = shop.put(shop.aside, '{"a":[1.0e3,{}],"b":"\u202e"}', attributes)

    shown = shop.run("show", message_id, str(shop.routes))

    before, _, rest = shop.shown(shown.stdout).partition("SQS's own attributes\n")
    system, _, body = rest.partition("\n\n")
    assert before == (
        f"message      {0:036}\n"
        "on           rejected  http://here/000000000000/acme-rejected\n"
        "reason       schema_invalid\n"
        "detail       \\x1b[31mred\\u202e\\nline\n"
        "route        paid\n"
        "came from    orders\n"
        "original ID  o-1\n"
        "received     2 times before it was rejected\n"
        "rejected     2023-11-15T00:12:19Z, 1m 1s ago\n"
        "\n"
        "attributes\n"
        "  blob  Binary  AP8=  (2 bytes, base64)\n"
        "  kind  String  paid[31mred\\u202e\\nline\n"
        "\n"
    )
    assert [line.split()[0] for line in system.splitlines()] == [
        "ApproximateFirstReceiveTimestamp",
        "ApproximateReceiveCount",
        "SenderId",
        "SentTimestamp",
    ]
    assert body == (
        "body, 26 bytes, JSON, indented\n"
        "  {\n"
        '    "a": [\n'
        "      1.0e3,\n"
        "      {}\n"
        "    ],\n"
        '    "b": "\\u202e"\n'
        "  }\n"
    )
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert counts(shop.backend, shop.url(shop.aside)) == ("1", "0")


def test_a_body_that_is_no_json_is_shown_line_by_line(shop: Shop) -> None:
    shop.put(shop.aside, "one\n\u2028two\ttabs", {})

    shown = shop.run("show", shop.ids[0], str(shop.routes))

    assert shown.stdout.endswith("body, 15 bytes, as received\n  one\n  \\u2028two\\ttabs\n")
    assert "came from  unknown\n" in shown.stdout


_RAW = ['{ "a": 1.10 }\n', "\r\n\t\U0001f600 ", "{\u202e"]


@pytest.mark.parametrize(
    ("body", "terminal", "shown"),
    [
        *(pytest.param(body, False, body, id=f"file-{n}") for n, body in enumerate(_RAW)),
        pytest.param("a\tb\n\r\x9b31mc\u202e", True, "a\tb\n\\r\\x9b31mc\\u202e", id="terminal"),
    ],
)
def test_raw_is_the_body_letter_by_letter_and_does_nothing_to_a_terminal(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, body: str, shown: str, *, terminal: bool
) -> None:
    shop.reject(body)
    monkeypatch.setattr(_NamedTextIOWrapper, "isatty", lambda _: terminal)

    result = shop.run("show", "original-0", str(shop.routes), "--raw")

    assert result.stdout_bytes == shown.encode()


def test_a_message_file_can_be_explained_and_sent(shop: Shop, tmp_path: Path) -> None:
    shop.reject('{ "a": 1.10 }')

    shown = shop.run("show", shop.ids[0], str(shop.routes), "--format", "message")
    file = tmp_path / "message.json"
    file.write_text(shown.stdout)
    explained = CliRunner().invoke(cli, ["explain", str(shop.routes), "--message", str(file)])

    assert json.loads(shown.stdout) == {
        "queue": "orders",
        "attributes": {"n": {"type": "Number", "value": "0"}},
        "body_text": '{ "a": 1.10 }',
    }
    assert (explained.exit_code, "takes route `paid`" in explained.stdout) == (0, True)


def test_a_message_that_is_not_there_is_a_finding(shop: Shop) -> None:
    shop.reject("{}")

    shown = shop.run("show", "\x1b[31m", str(shop.routes))

    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.startswith(
        "error: message '\\x1b[31m' not found among 1 message on queue `rejected`\n"
    )


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["list", "gone.yaml"], "there is no file gone.yaml", id="no-file"),
        pytest.param(["list"], "there is no file routes.yaml", id="no-default-file"),
        pytest.param(["show"], "Missing argument 'ID'", id="no-id"),
        pytest.param(
            ["show", "x", "FILE", "--raw", "--format", "json"],
            "--raw is a format of its own; leave out --format",
            id="two-formats",
        ),
        pytest.param(
            ["list", "FILE", "--queue", "https://"],
            "--queue 'https://' is not a queue of",
            id="no-queue",
        ),
        pytest.param(
            ["list", "FILE", "--queue", ""], "--queue '' is not a queue of", id="empty-queue"
        ),
        pytest.param(
            ["list", "FILE", "--reason", "schema-invalid"],
            "'--reason': there is no reason 'schema-invalid'; did you mean `schema_invalid`?",
            id="reason",
        ),
        pytest.param(
            ["list", "FILE", "--older-than", "3 days"],
            "'--older-than': '3 days' is not a duration: write a whole number and a unit",
            id="duration",
        ),
        pytest.param(["list", "FILE", "--match", "{"], "'--match': not JSON: ", id="no-json"),
        pytest.param(
            ["list", "FILE", "--match", "[]"], "'--match': a pattern is an object", id="no-pattern"
        ),
        pytest.param(
            ["list", "FILE", "--match", '{"n": [{"prefix": 1}]}'],
            "'--match': at n.0.prefix: `prefix` takes a string",
            id="wrong-pattern",
        ),
        pytest.param(["list", "FILE", "--limit", "0"], "0 is not in the range", id="limit"),
        pytest.param(
            ["replay", "FILE"],
            "there is no terminal to ask on; use --yes to send without asking, or --dry-run",
            id="nobody-to-ask",
        ),
        pytest.param(
            ["replay", "FILE", "--yes", "--rate", "0"],
            "'--rate': 0 is not a rate; write messages",
            id="0",
        ),
        pytest.param(
            ["replay", "FILE", "--yes", "--rate", "nan"],
            "'--rate': nan is not a rate",
            id="no-number",
        ),
        pytest.param(
            ["replay", "FILE", "--yes", "--to", "rejected"],
            "the messages are on queue `rejected`; name another with --to",
            id="to-itself",
        ),
        pytest.param(
            ["replay", "FILE", "--yes", "--to", "a b"],
            "--to 'a b' is not a queue of",
            id="to-no-queue",
        ),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_right(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    (shop.routes.parent / "empty").mkdir()
    monkeypatch.chdir(shop.routes.parent / "empty")

    result = shop.run(*(str(shop.routes) if it == "FILE" else it for it in arguments))

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("queues", "said"),
    [
        pytest.param(
            "{a: {name: a}}", "has no queue with `reject_to`; name one with --queue", id="none"
        ),
        pytest.param(
            "{a: {name: a, reject_to: x}, b: {name: b, reject_to: y}, x: {name: x}, y: {name: y}}",
            "rejects to 2 queues: x, y; name one with --queue",
            id="two",
        ),
    ],
)
def test_without_one_reject_queue_one_must_be_named(shop: Shop, queues: str, said: str) -> None:
    shop.routes.write_text(
        f"version: 1\nqueues: {queues}\n"
        "profiles: {job: {image: 'jobs:1', app: acme, acknowledge: launch}}\n"
        "routes: [{name: paid, queue: a, profile: job}]\n"
    )

    result = shop.run("list", str(shop.routes))

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_queue_that_is_not_there_is_compared_with_those_of_the_file(shop: Shop) -> None:
    result = shop.run("list", str(shop.routes), "--queue", "rejectd")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: queue `rejectd` (rejectd) at ")
    assert result.stderr.endswith(
        f"It is not a queue of {shop.routes} either; did you mean `rejected`? allowed are: orders, "
        "rejected\n"
    )


def test_a_routes_file_with_errors_shows_them(shop: Shop) -> None:
    shop.routes.write_text(shop.routes.read_text().replace("profile: job}", "profile: jib}"))

    result = shop.run("list", str(shop.routes))

    assert result.exit_code == 1
    assert "no profile is called `jib`; did you mean `job`?" in result.stderr


def test_the_documentation_describes_every_key_of_the_json_and_every_reason(shop: Shop) -> None:
    shop.reject("{}")
    page = (Path(__file__).parents[2] / "docs" / "rejected.md").read_text("utf-8")

    told = json.loads(shop.run("list", str(shop.routes), "--format", "json").stdout)
    shown = json.loads(shop.run("show", shop.ids[0], str(shop.routes), "--format", "json").stdout)

    assert {*shown} == {"format_version", "queue", "message"}
    assert shown["message"].keys() == told["messages"][0].keys()
    assert shown["queue"].keys() == told["queue"].keys()
    described = set(re.findall(r"`([a-z_]+)`", page.partition("## JSON\n")[2]))
    assert {*told, *told["queue"], *told["messages"][0]} <= described
    (line,) = re.findall(r"^\| `--reason REASON` .*$", page, re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)`", line)) == set(REASONS)
