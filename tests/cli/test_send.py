"""`send`: what gets to the queue, what is said about it, and what is refused before that."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_thread import in_thread

from lambdo_router.adapters.sqs import SqsSettings
from lambdo_router.admin.serving import serve
from lambdo_router.cli import cli
from lambdo_router.cli.endpoint import Endpoint
from lambdo_router.core.message import Attribute, Message
from lambdo_router.local.names import LOCAL_KEYS
from lambdo_router.local.sqs_server import Sqs, sqs_app

_EXAMPLE = Path(__file__).parents[2]
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROUTES = """\
version: 1
queues:
  orders: {url: "${ORDERS_QUEUE_URL}", on_unmatched: drop}
  images: {name: acme-images}
  aside: {url: "arn:aws:sqs:eu-west-1:123456789012:acme-aside"}
  gone: {name: acme-gone}
profiles:
  job: {image: x, acknowledge: launch}
routes:
  - {name: paid, queue: [orders, gone], match: {attributes: {kind: paid}}, profile: job}
  - name: sized
    queue: images
    match: {system: {SenderId: [{prefix: A}]}}
    profile: job
"""


@dataclass(frozen=True)
class _Server:
    sqs: Sqs
    url: str

    def taken(self, queue: str) -> list[Message]:
        """The messages of a queue, which is empty afterwards."""
        messages = self.sqs.receive(queue, 10, 60, time.time())
        for message in messages:
            self.sqs.delete(queue, message.receipt, time.time())
        return messages


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    """An SQS in a thread, since `send` has an event loop of its own."""
    sqs = Sqs()
    for name in ("orders", "acme-images", "acme-aside", "acme-uploads", "acme-events"):
        sqs.create_queue(name, {}, time.time())
    with in_thread(lambda: serve(sqs_app(sqs))) as serving:
        yield _Server(sqs, serving.value)


@pytest.fixture
def routes(tmp_path: Path) -> str:
    path = tmp_path / "routes.yaml"
    path.write_text(_ROUTES)
    return str(path)


def send(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["send", *arguments], input=stdin)


def test_a_message_of_options_arrives_as_written(
    server: _Server, routes: str, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_bytes(b"\x00\xff")
    (tmp_path / "event.json").write_text('{ "n": 1.10 }\n')

    sent = send(
        routes, "--endpoint-url", server.url, "--queue", "orders",
        "--attribute", "kind=paid",
        "--attribute", "n:Number=5",
        "--attribute", f"blob:Binary=@{tmp_path / 'blob'}",
        "--attribute", "bytes:Binary.raw=AP8=",
        "--attribute", "note=a=b",
        "--body", f"@{tmp_path / 'event.json'}",
    )  # fmt: skip

    assert (sent.exit_code, sent.stderr) == (0, "takes the route paid\n")
    (message,) = server.taken("orders")
    assert sent.stdout == f"{message.id}\n"
    assert message.body == '{ "n": 1.10 }\n'
    assert message.attributes == {
        "kind": Attribute("String", "paid"),
        "n": Attribute("Number", "5"),
        "blob": Attribute("Binary", b"\x00\xff"),
        "bytes": Attribute("Binary.raw", b"\x00\xff"),
        "note": Attribute("String", "a=b"),
    }


def test_a_body_comes_from_standard_input_and_the_endpoint_from_the_environment(
    server: _Server, routes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

    sent = send(routes, "--queue", "orders", "--body", "-", stdin='{"x": "é"}'.encode())

    assert (sent.exit_code, sent.stderr) == (
        0,
        "warning: the router would drop it (unmatched): no route matches\n",
    )
    (message,) = server.taken("orders")
    assert message.body == '{"x": "é"}'


@pytest.mark.parametrize(
    ("queue", "there", "said"),
    [
        pytest.param(
            "aside",
            "acme-aside",
            "warning: no route reads queue `aside`, so the message stays there\n",
            id="nobody-reads-it",
        ),
        pytest.param(
            "images",
            "acme-images",
            "warning: the router would leave it on the queue (unmatched): no route matches\n"
            "warning: a route matches SQS's own attributes (match.system), which were guessed\n",
            id="system-attributes",
        ),
    ],
)
def test_what_cannot_be_routed_is_sent_with_a_warning(
    server: _Server, routes: str, queue: str, there: str, said: str
) -> None:
    sent = send(routes, "--endpoint-url", server.url, "--queue", queue, "--body", "{}")

    assert (sent.exit_code, sent.stderr) == (0, said)
    assert len(server.taken(there)) == 1


def test_message_files_are_sent_in_order_each_with_what_becomes_of_it(server: _Server) -> None:
    names = ["push-main", "upload-not-json", "upload-s3-test", "upload-folder", "job-denied-image"]
    files = [str(_EXAMPLE / "examples" / "messages" / f"{name}.json") for name in names]

    sent = send(
        str(_EXAMPLE / "routes.example.yaml"),
        "--endpoint-url",
        server.url,
        *(part for file in files for part in ("--message", file)),
    )

    assert sent.exit_code == 0
    assert sent.stderr.splitlines() == [
        "push-main.json: takes the route site-build",
        (
            "warning: upload-not-json.json: the router would reject it to `rejected` (not_json): "
            "the body is not JSON: expecting value, line 1 column 1"
        ),
        (
            "warning: upload-s3-test.json: the router would reject it to `rejected` (unmatched): "
            "no route matches"
        ),
        (
            "warning: upload-folder.json: the router would drop it (schema_invalid, route "
            "image-uploads): Records[0].s3.object.size: 0 is less than the minimum of 1"
        ),
        (
            "warning: job-denied-image.json: the router would reject it to `rejected` "
            "(override_denied, route lambdo): attribute `image` is "
            '"docker.io/somebody/miner:latest"; allowed are: registry.fly.io/acme-jobs:*'
        ),
    ]
    ids = sent.stdout.splitlines()
    assert all(map(_ID.fullmatch, ids))
    arrived = {m.id for name in ("acme-events", "acme-uploads") for m in server.taken(name)}
    assert (arrived, len(ids)) == (set(ids), 5)


def test_a_queue_that_is_not_there_is_said_without_a_traceback(
    server: _Server, routes: str
) -> None:
    sent = send(routes, "--endpoint-url", server.url, "--queue", "gone", "--body", "{}")

    assert (sent.exit_code, sent.stdout) == (1, "")
    assert sent.stderr.startswith("error: queue `gone` (acme-gone) at ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "nothing to send; use --queue and --body, or", id="nothing"),
        pytest.param(["--queue", "orders"], "nothing to send; use", id="no-body"),
        pytest.param(
            ["--queue", "order", "--body", "{}"],
            "has no queue 'order'; did you mean `orders`? allowed are: aside, gone, images, orders",
            id="unknown-queue",
        ),
        pytest.param(
            ["--queue", "orders", "--body", ""], "--body is empty", id="empty"
        ),
        pytest.param(
            ["--queue", "orders", "--body", "@gone"], "'gone' cannot be read: No such", id="no-file"
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--attribute", "kind"],
            "--attribute 'kind' has no `=`; write kind=image, n:Number=5 or blob:Binary=@FILE",
            id="no-equals",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--attribute", "n:Number=five"],
            'attribute `n`: "five" is not a number',
            id="no-number",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--attribute", "a=1", "--attribute", "a=2"],
            "--attribute a is given twice",
            id="twice",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}",
             *(part for n in range(11) for part in ("--attribute", f"a{n}=x"))],
            "11 attributes; SQS accepts 10 per message",
            id="eleven",
        ),
        pytest.param(
            ["--queue", "orders", "--message", "m.json"],
            "a message file has a queue, attributes and a body of its own",
            id="both",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}", "--endpoint-url", "127.0.0.1:4566"],
            "the endpoint '127.0.0.1:4566' is not a URL; write one like http://127.0.0.1:4566",
            id="no-url",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "{}"],
            "queue `orders` is at ${ORDERS_QUEUE_URL}, and that variable is not set",
            id="unset-variable",
        ),
        pytest.param(
            ["--queue", "orders", "--body", "-"],
            "--body: byte 1 is not UTF-8, and SQS accepts only text",
            id="not-utf-8",
        ),
        pytest.param(
            ["NO-FILE", "--queue", "orders", "--body", "{}"],
            "there is no file routes.yaml; name a routes file: lambdo-router send FILE",
            id="no-routes-file",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2_and_says_what_is_right(
    routes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    options = arguments[1:] if arguments[:1] == ["NO-FILE"] else [routes, *arguments]

    sent = send(*options, stdin=b"{\xff}")

    assert (sent.exit_code, sent.stdout) == (2, "")
    assert said in sent.stderr


def test_a_routes_file_with_errors_shows_them(routes: str) -> None:
    Path(routes).write_text(_ROUTES.replace("profile: job}", "profile: jib}"))

    sent = send(routes, "--queue", "orders", "--body", "{}")

    assert sent.exit_code == 1
    assert "no profile is called `jib`; did you mean `job`?" in sent.stderr


@pytest.mark.parametrize(
    ("url", "variables", "settings"),
    [
        pytest.param(
            "http://localhost:1",
            {},
            SqsSettings("http://localhost:1", "us-east-1", keys=LOCAL_KEYS),
            id="here",
        ),
        pytest.param(
            "http://localhost:1",
            {"AWS_ACCESS_KEY_ID": "x", "AWS_REGION": "eu-west-1"},
            SqsSettings("http://localhost:1", "eu-west-1"),
            id="here-with-keys",
        ),
        pytest.param("http://sqs.example", {}, SqsSettings("http://sqs.example"), id="elsewhere"),
        pytest.param(None, {}, SqsSettings(), id="aws"),
    ],
)
def test_keys_are_only_made_up_for_a_server_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
    url: str | None,
    variables: dict[str, str],
    settings: SqsSettings,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert Endpoint(url).settings() == settings
