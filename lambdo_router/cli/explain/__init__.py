"""`explain`: what the router would do with one message, and why."""

import json
import time
from pathlib import Path
from typing import Any

import click

from lambdo_router.cli.message_options import existing, message_options, messages, the_queue

_MESSAGE_ID = "00000000-0000-4000-8000-000000000000"
"""SQS chooses the ID; a constant one keeps the output constant."""
_ASSUMED = (
    "a route matches SQS's own attributes, and default values were used; set them with --system"
)


@click.command()
@click.argument("routes", default="routes.yaml", type=click.Path(path_type=Path))
@message_options(several=False)
@click.option(
    "--system",
    "system",
    multiple=True,
    metavar="NAME=VALUE",
    help="One of SQS's own attributes, like SenderId=AROAEXAMPLE:app. Repeatable. The default is a "
    "first delivery just now.",
)
@click.option(
    "--request",
    is_flag=True,
    help="Print only the body of the request that would create the Machine.",
)
@click.option(
    "--show-values",
    is_flag=True,
    help="Show the values of variables in the Machine.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    routes: Path,
    system: tuple[str, ...],
    *,
    request: bool,
    show_values: bool,
    form: str,
    **message: Any,  # noqa: ANN401 - options of several types
) -> None:
    """
    Show what the router would do with a message by ROUTES (default: routes.yaml), and why.

    First comes what happens to the message: its batch and Machine, or why there is none. Then each
    route of the queue in turn, with the first condition that failed, the value found, and where the
    condition is written. Nothing is sent, and no network is needed.

    Variables may hold secrets, so they are shown as written: ${NAME}. --show-values shows their
    values, as --request always does.

    \b
      lambdo-router explain --queue uploads --attribute kind=image --body '{"key": "a.png"}'
      lambdo-router explain --message messages/upload.json --format json
      lambdo-router explain --message messages/upload.json --request | jq .config.guest

    Exit codes: 0 the message gets into a batch, 1 it does not, or the routes file has errors,
    2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    (sample,) = messages("explain", **message)
    of_sqs = _system(system)
    existing(routes, "explain")
    from lambdo_router.cli.explain.explanation import explain
    from lambdo_router.cli.explain.text import lines
    from lambdo_router.cli.loading import load_leniently
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.output.printing import print_warning
    from lambdo_router.core.admission import judge
    from lambdo_router.core.machine import machine_request
    from lambdo_router.core.message import Message

    loaded = load_leniently(routes)
    source = the_queue(loaded.table, sample, routes)
    received = Message(_MESSAGE_ID, "", sample.body, sample.attributes, _delivered() | of_sqs)
    verdict = judge(loaded.table, source, received, now=time.time(), record=True)
    shown = show_values or request
    explanation = explain(loaded, str(routes), source, received, verdict, show_values=shown)
    if request and verdict.batch is not None:
        deadline = (received.sent_at or 0.0) + verdict.batch.key.profile.timeout
        request_of = machine_request(verdict.batch, generation=loaded.generation, deadline=deadline)
        click.echo(request_of.body)
    elif form == "json" and not request:
        click.echo(json.dumps(explanation, indent=2))
    elif not request:
        for line in lines(explanation, source, verdict):
            say(line)
    if request and explanation["machine"] is None:
        reason, detail = verdict.refusal
        why = f"{reason}: {detail}" if reason else "no route reads its queue"
        print_warning(f"there is no request, because the message gets into no batch ({why})")
    for key, written in explanation["unknown"].items():
        print_warning(f"{key} is {written}, and that variable is not set here")
    routes_of = loaded.table.routes_of(source.name)
    if not of_sqs and any(route.match.system is not None for route in routes_of):
        print_warning(_ASSUMED)
    raise SystemExit(0 if verdict.outcome == "batched" else 1)


def _delivered() -> dict[str, str]:
    """Return SQS's own attributes of a first delivery, just now."""
    now = str(int(time.time() * 1000))
    return {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": now,
        "ApproximateFirstReceiveTimestamp": now,
    }


def _system(written: tuple[str, ...]) -> dict[str, str]:
    from lambdo_router.config.compile.matches import SYSTEM_ATTRIBUTES
    from lambdo_router.config.diagnostics import closest

    found: dict[str, str] = {}
    for text in written:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(
                f"--system {text!r} is not NAME=VALUE; write it like SenderId=AROAEXAMPLE:app"
            )
        if name in found:
            raise click.UsageError(f"--system {name} is there twice")
        if name not in SYSTEM_ATTRIBUTES:
            hint = closest(name, SYSTEM_ATTRIBUTES)
            raise click.UsageError(f"--system: SQS has no attribute {name!r}; {hint}")
        found[name] = value
    return found
