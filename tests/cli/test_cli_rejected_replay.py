"""`rejected replay` against SQS servers: what comes back, and what if something goes wrong."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rejected_shop import Shop, interrupt_after, number, shop_of
from sqs_backends import Backend, Embedded, counts, receive

from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.cli.rejected import replay
from lambdo_router.local.faults import ErrorAnswer, Fault, LoseAnswer
from lambdo_router.local.sqs_server import LedgerEntry

pytest_plugins = ["sqs_backends", "rejected_shop"]
pytestmark = pytest.mark.usefixtures("nobody_waits")


def test_on_every_server_a_replay_brings_back_what_was_there(
    backend: Backend, tmp_path: Path
) -> None:
    shop = shop_of(backend, tmp_path)
    for n in range(23):
        shop.reject(f'{{"n": {n % 5}}}')
    originals = Counter(
        (f'{{"n": {n % 5}}}', json.dumps({"n": number(n)}, sort_keys=True)) for n in range(23)
    )

    replayed = shop.run("replay", str(shop.routes), "--yes")

    assert replayed.stdout == "23 messages replayed: 23 to orders\n"
    assert replayed.exit_code == 0
    assert shop.contents(shop.orders) == originals
    assert counts(backend, shop.url(shop.aside)) == ("0", "0")


def test_a_summary_says_what_went_where_and_what_did_not(shop: Shop) -> None:
    shop.reject("a")
    shop.reject("b", queue="gone")
    shop.reject("c", reason="not_json")
    shop.put(shop.aside, "d", {})

    replayed = shop.run(
        "replay", str(shop.routes), "--yes", "--reason", "unmatched", "--reason", "unknown"
    )

    assert shop.shown(replayed.stdout) == (
        "1 message replayed: 1 to orders\n"
        "1 message skipped: queue `gone` is not in the routes file; name a queue with --to\n"
        "1 message skipped: unknown source queue; name a queue with --to\n"
    )
    assert shop.shown(replayed.stderr) == (
        "1 message to send from queue `rejected`:\n"
        "  1  to orders  http://here/000000000000/acme-orders\n"
        "1 message to skip: queue `gone` is not in the routes file; name a queue with --to\n"
        "1 message to skip: unknown source queue; name a queue with --to\n"
        "1 message on queue `rejected` not selected by the filters\n"
    )
    assert replayed.exit_code == 1
    assert shop.bodies(shop.aside) == ["b", "c", "d"]


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(shop: Shop) -> None:
    shop.reject("a")
    shop.reject("b", queue="gone", detail="x")

    told = shop.run("replay", str(shop.routes), "--dry-run")

    assert shop.shown(told.stdout) == (
        f"would send {0:036} (unmatched) to orders\n"
        "1 message would be replayed: 1 to orders\n"
        "1 message skipped: queue `gone` is not in the routes file; name a queue with --to\n"
    )
    assert (told.exit_code, told.stderr) == (1, "")
    assert shop.bodies(shop.orders) == []
    assert shop.bodies(shop.aside) == ["a", "b"]


@pytest.mark.parametrize("named", ["orders", "name", "url", "arn"])
def test_everything_may_be_sent_to_a_queue_of_choice(shop: Shop, named: str) -> None:
    shop.reject("a", queue="gone")
    shop.put(shop.aside, "b", {})
    url = shop.url(shop.orders)
    to = {
        "orders": "orders",
        "name": shop.orders,
        "url": url,
        "arn": shop.backend.attributes(url, "QueueArn")["QueueArn"],
    }[named]

    replayed = shop.run("replay", str(shop.routes), "--yes", "--to", to)

    assert replayed.exit_code == 0
    assert shop.bodies(shop.orders) == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param(
            "rejected", "the messages are on queue `rejected`; name another with --to", id="itself"
        ),
        pytest.param("missing", "queue `missing` (", id="not-there"),
        pytest.param(
            "unset",
            "queue `unset` is at ${UNSET}, and that variable is not set; set it to the queue's "
            "URL, or name a server on this machine with --endpoint-url",
            id="unset-variable",
        ),
    ],
)
def test_a_target_that_cannot_be_had_is_a_reason_to_skip(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, source: str, why: str
) -> None:
    more = 'queues:\n  missing: {name: gone}\n  unset: {url: "${UNSET}"}\n'
    shop.routes.write_text(shop.routes.read_text().replace("queues:\n", more))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr("lambdo_router.cli.endpoint.Endpoint.is_loopback", False)
    shop.reject("a", queue=source)

    replayed = shop.run("replay", str(shop.routes), "--yes")

    assert replayed.exit_code == 1
    assert replayed.stdout.startswith(f"0 messages replayed\n1 message skipped: {why}")
    assert ("NonExistentQueue" in replayed.stdout) is (source == "missing")
    assert shop.bodies(shop.aside) == ["a"]


def test_a_fifo_replay_keeps_the_order_of_each_group(embedded: Embedded, tmp_path: Path) -> None:
    shop = shop_of(embedded, tmp_path, fifo=True)
    for n in range(12):
        shop.reject(f"a{n:02}", group="a")
    shop.reject("b", group="b")

    there = ["--queue", shop.aside, "--to", shop.orders]
    told = shop.run("replay", *there, "--dry-run", "--limit", "1")
    replayed = shop.run("replay", *there, "--yes")

    assert told.stdout.splitlines()[0] == (
        f"would send {shop.ids[0]} (unmatched) to {shop.orders}, group a"
    )
    assert replayed.stdout == f"13 messages replayed: 13 to {shop.orders}\n"
    arrived = []
    while messages := receive(embedded, shop.url(shop.orders)):
        for message in messages:
            arrived.append(message["Body"])
            embedded.client.delete_message(
                QueueUrl=shop.url(shop.orders), ReceiptHandle=message["ReceiptHandle"]
            )
    assert [body for body in arrived if body != "b"] == [f"a{n:02}" for n in range(12)]
    assert len(arrived) == 13


# Faults and interruptions


@pytest.mark.parametrize(
    ("action", "faults", "there_and_here", "said"),
    [
        pytest.param("SendMessage", [LoseAnswer()], (["a", "a", "b"], []), "", id="lost-send"),
        pytest.param("DeleteMessageBatch", [LoseAnswer()], (["a", "b"], []), "", id="lost-delete"),
        pytest.param(
            "ReceiveMessage", [ErrorAnswer(503)], (["a", "b"], []), "", id="failed-receive"
        ),
        pytest.param(
            "SendMessage",
            [LoseAnswer()] * 3,
            (["a", "a", "a"], ["a", "b"]),
            "it may have been sent",
            id="send-never-answered",
        ),
        pytest.param(
            "DeleteMessageBatch",
            [ErrorAnswer(500)] * 12,
            (["a"], ["b"]),
            "sent, but not deleted",
            id="delete-never-done",
        ),
    ],
)
def test_whatever_gets_lost_no_message_does(
    embedded: Embedded,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    faults: list[Fault],
    there_and_here: tuple[list[str], list[str]],
    said: str,
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", no_delay)
    monkeypatch.setattr("lambdo_router.cli.rejected.queue_browser.backoff", lambda *_, **__: 0.0)
    shop.reject("a")
    shop.reject("b")
    embedded.plan.script("sqs", action, *faults)

    replayed = shop.run("replay", str(shop.routes), "--yes")

    assert (shop.bodies(shop.orders), shop.bodies(shop.aside)) == there_and_here
    assert replayed.exit_code == (1 if said else 0)
    assert f"on both queues: message {shop.ids[0]}: {said}" in replayed.stdout or not said
    ended = "error: a message is, or may be, on both queues"
    assert (ended in replayed.stderr) is bool(said)


def no_delay(*_: object) -> float:
    return 0.0


def test_ctrl_c_ends_a_replay_between_two_messages(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body in "abcd":
        shop.reject(body)
    interrupt_after(monkeypatch, "send", 2)

    replayed = shop.run("replay", str(shop.routes), "--yes")

    assert replayed.exit_code == 1
    assert replayed.stdout == "2 messages replayed: 2 to orders\n"
    assert replayed.stderr.endswith("error: interrupted; released 2 messages\n")
    assert shop.bodies(shop.orders) == ["a", "b"]
    assert shop.bodies(shop.aside) == ["c", "d"]


def test_a_second_ctrl_c_ends_it_at_once_and_says_which_message_was_under_way(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for body in "ab":
        shop.reject(body)
    original = SqsQueue.send

    async def interrupted(self: SqsQueue, *arguments: Any, **more: Any) -> str:
        await original(self, *arguments, **more)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
        return ""

    monkeypatch.setattr(SqsQueue, "send", interrupted)

    replayed = shop.run("replay", str(shop.routes), "--yes")

    assert replayed.exit_code == 128 + signal.SIGINT
    assert replayed.stderr.endswith(
        f"error: message {shop.ids[0]} was being sent and deleted: it is on one of the queues, or "
        "on both\n"
    )
    assert shop.bodies(shop.orders) == ["a"]
    assert shop.bodies(shop.aside) == ["a", "b"]


@pytest.mark.parametrize(
    ("count", "question", "said"),
    [
        pytest.param(1, "Send them?", "0 messages replayed\n", id="no"),
        pytest.param(
            12,
            "Send them, and those that follow?",
            "12 messages replayed: 12 to orders\n",
            id="yes-to-more-than-is-held-at-once",
        ),
    ],
)
def test_a_replay_asks_once_before_it_sends(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, count: int, question: str, said: str
) -> None:
    asked: list[str] = []

    async def ask(question: str, _: object) -> bool:
        asked.append(question)
        return count > 1

    monkeypatch.setattr("lambdo_router.cli.rejected.session.is_interactive", lambda: True)
    monkeypatch.setattr(replay, "ask", ask)
    monkeypatch.setattr(replay, "MOST_PLANNED", 10)
    for n in range(count):
        shop.reject(f"{n}")

    replayed = shop.run("replay", str(shop.routes))

    assert (asked, replayed.stdout) == ([question], said)
    declined = "nothing was sent; all messages are back on the queue\n"
    assert replayed.stderr.endswith(declined) is (count == 1)
    assert replayed.exit_code == (1 if count == 1 else 0)
    assert shop.bodies(shop.aside) == (["0"] if count == 1 else [])


def test_a_replay_that_is_killed_loses_nothing(embedded: Embedded, tmp_path: Path) -> None:
    """A process of its own, killed without a word while it sends."""
    shop = shop_of(embedded, tmp_path)
    for body in "abcdef":
        shop.reject(body)
    command = [sys.executable, "-m", "lambdo_router", "rejected", "replay", str(shop.routes)]
    command += ["--yes", "--rate", "20", "--endpoint-url", embedded.url]
    arrived = threading.Semaphore(0)

    def listen(entry: LedgerEntry) -> None:
        if (entry.kind, entry.queue) == ("sent", shop.orders):
            arrived.release()

    embedded.sqs.ledger.listeners.append(listen)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert arrived.acquire(timeout=20)
        assert arrived.acquire(timeout=20)
        process.kill()
    embedded.sqs.ledger.listeners.remove(listen)

    for message in embedded.sqs.queue(shop.aside).messages():
        embedded.sqs.queue(shop.aside).show(message.id, time.time())
    here, there = Counter(shop.bodies(shop.aside)), Counter(shop.bodies(shop.orders))
    assert Counter("abcdef") - here - there == Counter()
    assert (here + there - Counter("abcdef")).total() <= 1
