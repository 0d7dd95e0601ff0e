"""`send`: a message to a queue of the routes file, and what the router will make of it."""

import asyncio
import base64
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

import click

from lambdo_router.cli.printing import print_result, print_warning
from lambdo_router.config.diagnostics import closest
from lambdo_router.config.load import load_routes
from lambdo_router.dev.local import LOCAL_KEYS, LOCAL_REGION, is_loopback, local_name
from lambdo_router.dev.samples import Sample, attribute, read_sample
from lambdo_router.events import Attribute, Message
from lambdo_router.routing import Queue, Refused, Routed, RoutingTable, decide
from lambdo_router.settlement import MOST_ATTRIBUTES
from lambdo_router.sqs import SqsConnector, SqsSettings


@click.command()
@click.argument("routes", default="routes.yaml", type=click.Path(path_type=Path))
@click.option("--queue", metavar="NAME", help="A queue of ROUTES.")
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME[:TYPE]=VALUE",
    help="A message attribute: kind=image, n:Number=5, or blob:Binary=@FILE. Repeatable.",
)
@click.option("--body", metavar="TEXT|@FILE|-", help="The body; - reads standard input.")
@click.option(
    "--message",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A message file (queue, attributes, body) instead of the options above. Repeatable.",
)
@click.option(
    "--endpoint-url",
    metavar="URL",
    help="Where SQS is; default: AWS_ENDPOINT_URL, else AWS. `dev` prints its own.",
)
def command(
    routes: Path,
    queue: str | None,
    attributes: tuple[str, ...],
    body: str | None,
    files: tuple[Path, ...],
    endpoint_url: str | None,
) -> None:
    """
    Send a message to a queue of ROUTES (default: routes.yaml).

    Prints the message id on standard output. What the router will do with the message is said on
    standard error: the route it takes, or a warning if it would be refused; it is sent all the
    same.

    \b
      lambdo-router send --queue uploads --attribute kind=image --body '{"key": "a.png"}'
      lambdo-router send --queue uploads --body @event.json
      lambdo-router send --message examples/messages/upload-photo.json

    Exit codes: 0 sent, 1 not sent, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    samples = _samples(queue, attributes, body, files)
    if not routes.is_file():
        raise click.UsageError(
            f"there is no file {routes}; name a routes file: lambdo-router send FILE ..."
        )
    endpoint = _endpoint(endpoint_url)
    loaded = load_routes(routes, os.environ, missing="warning", default_app="unnamed")
    table = loaded.table
    targets = [(_queue(table, sample, routes), sample) for sample in samples]
    asyncio.run(_send_all(table, targets, endpoint))


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Where SQS is; without a URL at AWS, or wherever boto3's own configuration says."""

    url: str | None

    @property
    def is_loopback(self) -> bool:
        return self.url is not None and is_loopback(self.url)

    def address(self, queue: Queue) -> Queue:
        """
        The queue as it is to be looked for there.

        A server on this machine is asked by name: what its queue URLs look like is its own affair,
        and the variables that hold AWS's need not be set.
        """
        if self.is_loopback:
            return replace(queue, url=None, lookup=local_name(queue))
        written = queue.url or queue.lookup or ""
        if "${" in written:
            raise click.UsageError(
                f"queue `{queue.name}` is at {written}, and that variable is not set; set it to "
                "the queue's URL, or name a server on this machine with --endpoint-url"
            )
        return queue

    def settings(self) -> SqsSettings:
        """How to get there. Servers on this machine take any keys, so none are asked for."""
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not self.is_loopback:
            return SqsSettings(self.url)
        keys = None if os.environ.get("AWS_ACCESS_KEY_ID") else LOCAL_KEYS
        return SqsSettings(self.url, region or LOCAL_REGION, keys=keys)


def _endpoint(option: str | None) -> _Endpoint:
    variables = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
    url = option or next((os.environ[name] for name in variables if os.environ.get(name)), None)
    if url is None:
        return _Endpoint(None)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise click.UsageError(
            f"the endpoint {url!r} is no URL; write one like http://127.0.0.1:4566"
        )
    return _Endpoint(url)


def _samples(
    queue: str | None, attributes: tuple[str, ...], body: str | None, files: tuple[Path, ...]
) -> list[Sample]:
    """The messages that the command line asks for."""
    if files:
        if queue is not None or attributes or body is not None:
            raise click.UsageError(
                "a message file says queue, attributes and body itself; leave out --queue, "
                "--attribute and --body, or leave out --message"
            )
        return [read_sample(path) for path in files]
    if queue is None or body is None:
        raise click.UsageError("say what to send: --queue and --body, or --message FILE")
    return [Sample("", queue, _body(body), _attributes(attributes))]


def _body(written: str) -> str:
    if written == "-":
        content = sys.stdin.buffer.read()
    elif written.startswith("@"):
        content = _content(written[1:])
    else:
        content = os.fsencode(written)
    try:
        body = content.decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"--body: byte {error.start} is not UTF-8, and SQS takes text only; "
            "send a Binary attribute, or encode it"
        ) from None
    if not body:
        raise click.UsageError("--body is empty, which SQS does not take")
    return body


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise click.UsageError(f"{path!r} cannot be read: {reason}") from None


def _attributes(written: tuple[str, ...]) -> Mapping[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    for text in written:
        head, equals, value = text.partition("=")
        name, colon, data_type = head.partition(":")
        if not equals:
            raise click.UsageError(
                f"--attribute {text!r} has no `=`; write kind=image, n:Number=5 or "
                "blob:Binary=@FILE"
            )
        if name in attributes:
            raise click.UsageError(f"--attribute {name} is there twice")
        if data_type.startswith("Binary") and value.startswith("@"):
            value = base64.b64encode(_content(value[1:])).decode()
        try:
            attributes[name] = attribute(name, data_type if colon else "String", value)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from None
    if len(attributes) > MOST_ATTRIBUTES:
        raise click.UsageError(
            f"{len(attributes)} attributes; SQS takes {MOST_ATTRIBUTES} with a message"
        )
    return attributes


def _queue(table: RoutingTable, sample: Sample, routes: Path) -> Queue:
    if sample.queue not in table.queues:
        where = f"{sample.name}: " if sample.name else ""
        hint = closest(sample.queue, table.queues)
        raise click.UsageError(f"{where}{routes} has no queue {sample.queue!r}; {hint}")
    return table.queues[sample.queue]


async def _send_all(
    table: RoutingTable, targets: list[tuple[Queue, Sample]], endpoint: _Endpoint
) -> None:
    addresses = {queue.name: endpoint.address(queue) for queue, _ in targets}
    connector = SqsConnector(endpoint.settings())
    try:
        opened = {name: await connector.open(queue) for name, queue in addresses.items()}
        for queue, sample in targets:
            message_id = await opened[queue.name].send(sample.body, sample.attributes)
            print_result(message_id)
            _tell(table, queue, message_id, sample)
    finally:
        await connector.aclose()


def _tell(table: RoutingTable, queue: Queue, message_id: str, sample: Sample) -> None:
    """Say on stderr what the router will do with the message: its own `decide` knows."""
    system = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
    message = Message(message_id, "", sample.body, sample.attributes, system)
    where = f"{sample.name}: " if sample.name else ""
    if not table.routes_of(queue.name):
        print_warning(f"{where}no route reads queue `{queue.name}`, so the message stays there")
        return
    match decide(table, queue, message):
        case Routed(route=route):
            click.echo(f"{where}takes the route {route.name}", err=True)
        case Refused() as refused:
            print_warning(f"{where}{_refusal(refused, queue)}")
        case unreachable:
            assert_never(unreachable)
    if any(route.match.system is not None for route in table.routes_of(queue.name)):
        print_warning(
            f"{where}a route asks for SQS's own attributes (match.system), which were guessed"
        )


def _refusal(refused: Refused, queue: Queue) -> str:
    fate = {
        "reject": f"reject it to `{queue.reject_to}`",
        "leave": "leave it on the queue",
        "drop": "drop it",
    }[refused.policy]
    by = f", route {refused.route.name}" if refused.route is not None else ""
    return f"the router would {fate} ({refused.reason}{by}): {refused.detail}"
