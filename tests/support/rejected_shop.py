"""
A reject queue and the queue that its messages came from, on an SQS server, for `rejected`.

To be loaded with `pytest_plugins = ["sqs_backends", "rejected_shop"]`. It may be imported before
that, as it asserts nothing: PYTEST_DONT_REWRITE.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqs_backends import Backend, Embedded, Wire, new_name, receive

from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.cli import cli, rejected
from lambdo_router.cli.rejected import session as rejected_session

NOW = 1_700_007_200.0
"""When `at_a_fixed_time`."""


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls do not wait for messages."""
    monkeypatch.setattr(rejected_session, "POLL_WAIT", 0)


@pytest.fixture
def at_a_fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "clock", lambda: NOW)


@dataclass
class Shop:
    """A server with the queues of a routes file, whose names no other test uses."""

    backend: Backend
    routes: Path
    orders: str
    """Its name in SQS; in the file it is `orders`."""
    aside: str
    """In the file it is `rejected`."""
    ids: list[str] = field(default_factory=list)
    """The messages that were put on a queue, in order."""

    def url(self, name: str) -> str:
        url: str = self.backend.client.get_queue_url(QueueName=name)["QueueUrl"]
        return url

    def put(self, queue: str, body: str, attributes: Mapping[str, Wire], **more: str) -> str:
        sent = self.backend.client.send_message(
            QueueUrl=self.url(queue), MessageBody=body, MessageAttributes=attributes, **more
        )
        self.ids.append(sent["MessageId"])
        return self.ids[-1]

    def reject(self, body: str, *, group: str | None = None, **changes: Any) -> str:
        """Put a message on the reject queue as the router does; its id there."""
        fields = {
            "reason": "unmatched",
            "detail": "no route matches",
            "route": None,
            "queue": "orders",
            "message_id": f"original-{len(self.ids)}",
            "attempts": 1,
            "time": NOW - 7200.0,
        }
        rejection = {"DataType": "String", "StringValue": json.dumps(fields | changes)}
        more = {"MessageGroupId": group} if group is not None else {}
        if self.aside.endswith(".fifo"):
            more["MessageDeduplicationId"] = f"d{len(self.ids)}"
        attributes = {"lambdo_rejection": rejection, "n": number(len(self.ids))}
        return self.put(self.aside, body, attributes, **more)

    def run(self, *arguments: str) -> Result:
        result = CliRunner().invoke(
            cli, ["rejected", *arguments, "--endpoint-url", self.backend.url]
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def shown(self, text: str) -> str:
        """With stand-ins for what is another at each run."""
        for at, message_id in enumerate(self.ids):
            text = text.replace(message_id, f"{at:036}")
        text = text.replace(self.backend.url, "http://here")
        return text.replace(self.orders, "acme-orders").replace(self.aside, "acme-rejected")

    def contents(self, queue: str) -> Counter[tuple[str, str]]:
        """Bodies and attributes of all that can be received; afterwards it is hidden."""
        found: Counter[tuple[str, str]] = Counter()
        while messages := receive(self.backend, self.url(queue), MessageAttributeNames=["All"]):
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                found[message["Body"], json.dumps(attributes, default=str, sort_keys=True)] += 1
        return found

    def bodies(self, queue: str) -> list[str]:
        return sorted(body for body, _ in self.contents(queue).elements())


def number(value: int) -> Wire:
    return {"DataType": "Number", "StringValue": str(value)}


def shop_of(backend: Backend, folder: Path, *, fifo: bool = False, redrive: int = 0) -> Shop:
    end = ".fifo" if fifo else ""
    orders, aside = f"orders-{new_name()}{end}", f"rejected-{new_name()}{end}"
    kind = {"FifoQueue": "true"} if fifo else {}
    create = backend.client.create_queue
    made = create(QueueName=aside, Attributes=kind)
    arn = backend.attributes(made["QueueUrl"], "QueueArn")["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": redrive}
    more = {"RedrivePolicy": json.dumps(policy)} if redrive else {}
    create(QueueName=orders, Attributes={**kind, **more})
    routes = folder / "routes.yaml"
    routes.write_text(
        "version: 1\n"
        "queues:\n"
        f"  orders: {{name: {orders}, reject_to: rejected}}\n"
        f"  rejected: {{name: {aside}}}\n"
        "profiles: {job: {image: 'jobs:1', app: acme, acknowledge: launch}}\n"
        "routes: [{name: paid, queue: orders, profile: job}]\n"
    )
    return Shop(backend, routes, orders, aside)


@pytest.fixture
def shop(embedded: Embedded, tmp_path: Path) -> Shop:
    return shop_of(embedded, tmp_path)


def interrupt_after(monkeypatch: pytest.MonkeyPatch, action: str, calls: int) -> None:
    """Have somebody press Ctrl-C during that call of an action of the queues."""
    original = getattr(SqsQueue, action)
    left = [calls]

    async def interrupted(self: SqsQueue, *arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return await original(self, *arguments, **more)

    monkeypatch.setattr(SqsQueue, action, interrupted)
