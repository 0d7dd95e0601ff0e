"""`send`: send a message to a queue of the routes file, and say what the router will do with it."""

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import click

from lambdo_router.cli.endpoint import Endpoint, endpoint_of, endpoint_option
from lambdo_router.cli.message_options import existing, message_options, messages, the_queue

if TYPE_CHECKING:  # imported where they are used: botocore is not needed to complete an option
    from lambdo_router.config.messages import Sample
    from lambdo_router.core.routing import Queue, Refused, RoutingTable


@click.command()
@click.argument("routes", default="routes.yaml", type=click.Path(path_type=Path))
@message_options(several=True)
@endpoint_option
def command(routes: Path, endpoint_url: str | None, **message: Any) -> None:  # noqa: ANN401 - options of several types
    """
    Send a message to a queue of ROUTES (default: routes.yaml).

    Prints the message ID on standard output. What the router will do with the message is printed on
    standard error: the route that it takes, or a warning if it would be refused. It is sent in
    either case.

    \b
      lambdo-router send --queue uploads --attribute kind=image --body '{"key": "a.png"}'
      lambdo-router send --queue uploads --body @event.json
      lambdo-router send --message examples/messages/upload-photo.json

    Exit codes: 0 sent, 1 not sent, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.config.load import load_routes

    samples = messages("send", **message)
    existing(routes, "send")
    endpoint = endpoint_of(endpoint_url)
    table = load_routes(routes, os.environ, missing="warning", default_app="unnamed").table
    targets = [(the_queue(table, sample, routes), sample) for sample in samples]
    asyncio.run(_send_all(table, targets, endpoint))


async def _send_all(
    table: "RoutingTable", targets: "list[tuple[Queue, Sample]]", endpoint: Endpoint
) -> None:
    from lambdo_router.adapters.sqs import SqsConnector
    from lambdo_router.cli.output.printing import print_result

    addresses = {queue.name: endpoint.address(queue) for queue, _ in targets}
    connector = SqsConnector(endpoint.settings())
    try:
        opened = {name: await connector.open(queue) for name, queue in addresses.items()}
        for queue, sample in targets:
            message_id = await opened[queue.name].send(sample.body, sample.attributes)
            print_result(message_id)
            _predict(table, queue, message_id, sample)
    finally:
        await connector.aclose()


def _predict(table: "RoutingTable", queue: "Queue", message_id: str, sample: "Sample") -> None:
    """Print on stderr what the router will do with the message, by its own `decide`."""
    from lambdo_router.cli.output.printing import print_warning
    from lambdo_router.config.diagnostics import escape
    from lambdo_router.core.message import Message
    from lambdo_router.core.routing import Refused, Routed, decide

    system = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
    message = Message(message_id, "", sample.body, sample.attributes, system)
    where = f"{sample.name}: " if sample.name else ""
    routes = table.routes_of(queue.name)
    if not routes:
        print_warning(f"{where}no route reads queue `{queue.name}`, so the message stays there")
        return
    match decide(table, queue, message):
        case Routed(route=route):
            click.echo(escape(f"{where}takes the route {route.name}"), err=True)
        case Refused() as refused:
            print_warning(f"{where}{_refusal(refused, queue)}")
        case unreachable:
            assert_never(unreachable)
    if any(route.match.system is not None for route in routes):
        print_warning(
            f"{where}a route matches SQS's own attributes (match.system), which were guessed"
        )


def _refusal(refused: "Refused", queue: "Queue") -> str:
    fate = {
        "reject": f"reject it to `{queue.reject_to}`",
        "leave": "leave it on the queue",
        "drop": "drop it",
    }[refused.policy]
    by = f", route {refused.route.name}" if refused.route is not None else ""
    return f"the router would {fate} ({refused.reason}{by}): {refused.detail}"
