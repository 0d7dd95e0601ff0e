"""`explain`: the decision for one message, the reasons, and the Machine that would be created."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.config.load import load_routes
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.machine import entry_of, machine_request
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.routing import Routed, decide

_EXAMPLE = Path(__file__).parents[2]
_SECRET = "planted-s3cr3t"
_ROUTES = """\
version: 1
queues:
  orders: {name: orders, reject_to: rejected}
  open: {name: open, on_unmatched: drop}
  rejected: {name: rejected}
defaults: {app: acme, acknowledge: launch, image: "registry.fly.io/acme:1", max_attempts: 3}
profiles:
  secret:
    command: [run, "--key=${KEY}"]
    env: {TOKEN: "${KEY}", UNSET: "${GONE}"}
    machine: {metadata: {note: "is ${KEY}"}}
routes:
  - name: paid
    queue: [orders, open]
    match:
      attributes: {kind: paid}
      body: {total: [{numeric: [">", 0]}]}
    profile: secret
  - name: sized
    queue: orders
    match: {attributes: {kind: [{prefix: x}]}}
    profile: {batch_bytes: 1kb, batch_window: 2s}
    overrides: {size: [shared-cpu-2x]}
  - name: sent-by-us
    queue: orders
    match: {system: {SenderId: [us]}}
    profile: {}
"""
_REASONS = """\
A message of 12 bytes with 1 attribute, on queue `orders`:
  rejected (unmatched): moved to queue `rejected`
    no route matches
  gains the attribute lambdo_rejection: {"reason": "unmatched", "detail": "no route matches", \
"route": null, "queue": "orders", "message_id": "00000000-0000-4000-8000-000000000000", \
"attempts": 1, "time": 1700000000.0}

Routes of queue `orders`; the first that matches takes the message:
  paid        no  body.total: 0 is not > 0  (routes.yaml:17:21)
  sized       no  attributes.kind: "paid" does not start with "x"  (routes.yaml:21:32)
  sent-by-us  no  system.SenderId: absent  (routes.yaml:26:32)
"""
_MACHINE = """\
A message of 12 bytes with 1 attribute, on queue `orders`:
  takes route `paid`
  deleted when Fly has accepted the Machine (acknowledge: launch)
  if that fails, retried with a growing delay, and rejected to `rejected` after 3 receives

Routes of queue `orders`; the first that matches takes the message:
  paid        yes  (routes.yaml:13:5)
  sized       -    not reached  (routes.yaml:19:5)
  sent-by-us  -    not reached  (routes.yaml:24:5)

Batch KEY, for events of the same queue, route, image, size and command:
  holds up to 10 events and 512kb
  is launched when it is full, or as soon as a launch slot is free

Machine lambdo-paid-3oaflyhagb6vuall, if no other event joins the batch:
  app           acme
  region        Fly chooses
  image         registry.fly.io/acme:1
  size          shared-cpu-1x: 1 shared CPU, 256 MB
  command       ["run", "--key=${KEY}"]
"""

_PAID = ("--queue", "orders", "--attribute", "kind=paid", "--body", '{"total": 5}')


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "routes.yaml").write_text(_ROUTES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    monkeypatch.setenv("KEY", _SECRET)


def explain(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments], input=stdin)


def explained(*arguments: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(explain(*arguments, "--format", "json").stdout)
    return result


def test_a_message_that_no_route_takes_is_told_why_route_by_route() -> None:
    result = explain("--queue", "orders", "--attribute", "kind=paid", "--body", '{"total": 0}')

    assert (result.exit_code, result.stdout) == (1, _REASONS)


def test_a_message_that_is_taken_is_told_its_machine() -> None:
    result = explain(*_PAID)

    key = explained(*_PAID)
    expected = _MACHINE.replace("KEY,", f"{key['batch']['key']},")
    assert (result.exit_code, result.stdout[: len(expected)]) == (0, expected)
    assert "  env           TOKEN=${KEY}\n" in result.stdout
    assert "  file          /tmp/events.json, 14 bytes\n" in result.stdout
    assert result.stderr == (
        "warning: env.UNSET is ${GONE}, and that variable is not set here\n"
        "warning: a route matches SQS's own attributes, and default values were used; set them "
        "with --system\n"
    )


def test_of_several_apps_all_are_named() -> None:
    one = explained(*_PAID)["machine"]
    Path("routes.yaml").write_text(_ROUTES.replace("app: acme", "app: [acme, acme-2]"))
    several = explained(*_PAID)["machine"]

    assert (one["app"], one["apps"]) == ("acme", ["acme"])
    assert (several["app"], several["apps"]) == ("acme", ["acme", "acme-2"])
    text = explain(*_PAID).stdout
    assert "  app           acme, acme-2: the first with a free slot\n" in text


def test_where_a_machine_reports_is_shown_and_its_token_is_not_made_up() -> None:
    careful = _ROUTES.replace("acknowledge: launch", "acknowledge: success")
    Path("routes.yaml").write_text(careful)

    told = explained(*_PAID)

    env = told["machine"]["env"]
    assert env["LAMBDO_REPORT_URL"] == f"http://ROUTER:9091/reports/{env['LAMBDO_BATCH_ID']}"
    assert env["LAMBDO_REPORT_TOKEN"] == "made for each batch"


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_from_variables_are_shown_as_they_are_written(form: str) -> None:
    hidden = explain(*_PAID, "--format", form)
    shown = explain(*_PAID, "--format", form, "--show-values")

    assert _SECRET not in hidden.output
    assert hidden.stdout.count("${KEY}") == 3
    assert shown.stdout.count(_SECRET) == 3


def test_the_request_is_letter_by_letter_what_would_be_sent() -> None:
    printed = explain(*_PAID, "--request")

    loaded = load_routes(Path("routes.yaml"), {"KEY": _SECRET}, missing="warning")
    now = "1700000000000"
    message = Message(
        "00000000-0000-4000-8000-000000000000",
        "",
        '{"total": 5}',
        {"kind": Attribute("String", "paid")},
        {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": now,
            "ApproximateFirstReceiveTimestamp": now,
        },
    )
    queue = loaded.table.queues["orders"]
    decision = decide(loaded.table, queue, message)
    assert isinstance(decision, Routed)
    key = BatchKey("orders", decision.route, decision.profile)
    batch = Batch(key, (entry_of(message, decision.event),))
    deadline = 1_700_000_000 + decision.profile.timeout
    expected = machine_request(batch, generation=loaded.generation, deadline=deadline)
    assert (printed.exit_code, printed.stdout) == (0, f"{expected.body}\n")
    assert json.loads(expected.body)["config"]["env"]["TOKEN"] == _SECRET


def test_without_a_machine_there_is_no_request() -> None:
    printed = explain("--queue", "orders", "--body", "[]", "--request")

    assert (printed.exit_code, printed.stdout) == (1, "")
    assert (
        "warning: there is no request, because the message gets into no batch (not_json: the "
        "body is a JSON array; an event is a JSON object)\n"
    ) in printed.stderr


def test_what_the_sender_chooses_is_told() -> None:
    told = explained(
        *("--queue", "orders", "--attribute", "kind=x", "--attribute", "size=shared-cpu-2x"),
        *("--body", "{}"),
    )

    assert told["overrides"] == [
        {"key": "size", "profile": "shared-cpu-1x", "sender": "shared-cpu-2x"}
    ]
    assert told["machine"]["guest"] == {"cpu_kind": "shared", "cpus": 2, "memory_mb": 512}


def test_a_command_of_the_profile_that_the_sender_replaces_keeps_its_secret() -> None:
    Path("routes.yaml").write_text(
        _ROUTES.replace("    profile: secret\n", "    profile: secret\n    overrides: "
                        "{command: true}\n")
    )  # fmt: skip
    arguments = [*_PAID, "--attribute", 'command=["own"]']

    told = explained(*arguments)

    assert told["overrides"] == [
        {"key": "command", "profile": ["run", "--key=${KEY}"], "sender": ["own"]}
    ]
    assert told["machine"]["command"] == ["own"]
    assert _SECRET not in explain(*arguments).output


def test_messages_share_a_batch_key_exactly_if_they_may_share_a_machine() -> None:
    x = ("--queue", "orders", "--attribute", "kind=x")
    keys = [
        explained(*x, "--body", "{}"),
        explained(*x, "--body", '{"a": 1}'),
        explained(*x, "--body", "{}", "--attribute", "size=shared-cpu-2x"),
    ]

    first, same, other = (told["batch"]["key"] for told in keys)
    assert first == same
    assert first != other


@pytest.mark.parametrize(
    ("arguments", "outcome", "reason", "route"),
    [
        pytest.param(
            ["--queue", "orders", "--body", "hi"], "rejected", "not_json", None, id="not-json"
        ),
        pytest.param(
            ["--queue", "open", "--body", "{}"], "dropped", "unmatched", None, id="dropped"
        ),
        pytest.param(
            ["--queue", "open", "--body", "hi"], "left", "not_json", None, id="left"
        ),
        pytest.param(
            ["--queue", "orders", "--attribute", "kind=x", "--attribute", "size=huge",
             "--body", "{}"],
            "rejected", "override_denied", "sized", id="override-denied",
        ),
        pytest.param(
            ["--queue", "orders", "--attribute", "kind=x", "--body", f'{{"a": "{"x" * 1024}"}}'],
            "rejected", "too_large", "sized", id="too-large",
        ),
        pytest.param(
            ["--queue", "rejected", "--body", "{}"], "not_read", None, None, id="not-read"
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--system", "SenderId=us"],
            "batched", None, "sent-by-us", id="system-attribute",
        ),
    ],
)  # fmt: skip
def test_every_outcome_has_a_word(
    arguments: list[str], outcome: str, reason: str | None, route: str | None
) -> None:
    told = explained(*arguments)

    assert (told["outcome"], told["reason"], told["route"]) == (outcome, reason, route)
    assert (told["rejection"] is not None) == (outcome == "rejected")
    assert (told["machine"] is not None) == (outcome == "batched")
    text = explain(*arguments)
    assert text.exit_code == (0 if outcome == "batched" else 1)
    assert text.stdout


def test_the_problems_of_a_schema_are_listed() -> None:
    told = explained(
        str(_EXAMPLE / "routes.example.yaml"),
        "--message",
        str(_EXAMPLE / "examples" / "messages" / "order-invalid.json"),
    )

    assert told["schema_problems"] == [
        'total: "19.90" is not of type "integer"',
        'items[0]: "quantity" is a required property',
        "the event: Additional properties are not allowed ('payed_at' was unexpected)",
    ]
    assert told["rejection"]["detail"] == "; ".join(told["schema_problems"])
    assert [(step["route"], step["result"]) for step in told["considered"]] == [
        ("site-build", "not_matched"),
        ("orders", "refused"),
        *((name, "not_reached") for name in ("welcome", "stock", "reviews", "lambdo")),
    ]


def test_the_json_keeps_its_shape() -> None:
    told = explained("--queue", "orders", "--body", "{}")

    assert list(told) == [
        "format_version", "routes_file", "message", "outcome", "route", "reason", "detail",
        "schema_problems", "rejected_to", "rejection", "considered", "overrides", "batch",
        "machine", "unknown",
    ]  # fmt: skip
    assert told["format_version"] == "1.0"
    assert told["considered"][0] == {
        "route": "paid", "result": "not_matched", "why": "attributes.kind: absent",
        "part": "attributes", "path": ["kind"],
        "file": "routes.yaml", "line": 16, "column": 26,
    }  # fmt: skip


def test_what_senders_write_cannot_move_the_cursor() -> None:
    result = explain(
        *("--queue", "orders", "--attribute", "kind=paid\x1b[2J\u202e"),
        *("--body", '{"\x1b[31m": "\u202e"}'),
    )

    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


def test_of_many_later_routes_a_few_are_shown(tmp_path: Path) -> None:
    routes = "".join(
        f"  - {{name: r{n}, queue: q, match: {{attributes: {{a: v{n}}}}}, profile: p}}\n"
        for n in range(20)
    )
    file = tmp_path / "many.yaml"
    file.write_text(
        "version: 1\nqueues: {q: {name: q}}\n"
        "profiles: {p: {image: x, app: a, acknowledge: launch}}\n"
        f"routes:\n{routes}"
    )

    result = explain(str(file), "--queue", "q", "--attribute", "a=v0", "--body", "{}")

    assert result.stdout.count("not reached") == 6
    assert "  and 14 more routes, not reached\n" in result.stdout


def test_a_body_comes_from_standard_input() -> None:
    result = explain("--queue", "open", "--body", "-", stdin="no json")

    assert "on queue `open`:\n  left on the queue" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "nothing to explain; use --queue and --body, or", id="empty"),
        pytest.param(
            ["--queue", "order", "--body", "{}"],
            "routes.yaml has no queue 'order'; did you mean `orders`?",
            id="unknown-queue",
        ),
        pytest.param(
            ["gone.yaml", "--queue", "orders", "--body", "{}"],
            "there is no file gone.yaml; name a routes file: lambdo-router explain FILE",
            id="no-file",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--system", "SenderId"],
            "--system 'SenderId' is not NAME=VALUE",
            id="system-without-value",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", *("--system", "SenderId=1") * 2],
            "--system SenderId is there twice",
            id="system-twice",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--system", "SenderID=1"],
            "--system: SQS has no attribute 'SenderID'; did you mean `SenderId`? allowed are: AWS",
            id="unknown-system-attribute",
        ),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_right(arguments: list[str], said: str) -> None:
    result = explain(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_routes_file_with_errors_shows_them() -> None:
    Path("routes.yaml").write_text(_ROUTES.replace("profile: secret", "profile: secrte"))

    result = explain("--queue", "orders", "--body", "{}")

    assert result.exit_code == 1
    assert "did you mean `secret`?" in result.stderr
