"""
`rejected`: the messages on a reject queue or a dead-letter queue, and sending them back.

The commands and their options are here; `queue_browser` holds the messages of a queue, `session`
connects to it, `replay` sends messages back, and `text` prints them. What a message says about its
rejection is in core/rejection.py.
"""

import asyncio
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lambdo_router.cli.completion import queue_names, route_names
from lambdo_router.cli.endpoint import endpoint_of, endpoint_option
from lambdo_router.cli.message_options import options

if TYPE_CHECKING:  # imported where used, so that shell completion stays fast
    from lambdo_router.cli.rejected.session import KnownQueues, Session
    from lambdo_router.core.patterns import Pattern
    from lambdo_router.core.rejection import Filters, Rejected

clock = time.time
"""Returns unix seconds."""


def _reasons(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    from lambdo_router.config.diagnostics import closest
    from lambdo_router.core.rejection import REASONS

    for value in values:
        if value not in REASONS:
            raise click.BadParameter(f"there is no reason {value!r}; {closest(value, REASONS)}")
    return values


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    from lambdo_router.config.read.units import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as problem:
        raise click.BadParameter(f"{value!r} is not a duration: {problem}") from None


def _pattern(_: click.Context, __: click.Parameter, value: str | None) -> "Pattern | None":
    from lambdo_router.core.patterns import PatternError, compile_pattern
    from lambdo_router.core.strict_json import parse_json

    try:
        return None if value is None else compile_pattern(parse_json(value), scalars=True)
    except PatternError as error:
        place = ".".join(map(str, error.path))
        raise click.BadParameter(f"at {place}: {error}" if place else str(error)) from None
    except ValueError as problem:
        raise click.BadParameter(f"not JSON: {problem}") from None


def _rate(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter(f"{value:g} is not a rate; write messages a second, like 5 or 0.5")
    return value


_queue_options = options(
    click.argument("routes", default="routes.yaml", type=click.Path(path_type=Path)),
    click.option(
        "--queue",
        metavar="QUEUE",
        help="A queue of ROUTES, or any other by URL, ARN or SQS name. Default: the reject queue "
        "of ROUTES, if there is only one.",
        shell_complete=queue_names,
    ),
    endpoint_option,
)
_filter_options = options(
    click.option(
        "--reason",
        "reasons",
        multiple=True,
        metavar="REASON",
        callback=_reasons,
        help="Why it was rejected: unmatched, max_attempts, redrive, ... Repeatable.",
    ),
    click.option(
        "--route",
        "of_routes",
        multiple=True,
        metavar="NAME",
        help="The route that it took, or that refused it. Repeatable.",
        shell_complete=route_names,
    ),
    click.option(
        "--source",
        "sources",
        multiple=True,
        metavar="QUEUE",
        help="The queue that it came from. Repeatable.",
        shell_complete=queue_names,
    ),
    click.option(
        "--id",
        "ids",
        multiple=True,
        metavar="ID",
        help="Its message ID, on this queue or on the one that it came from. Repeatable.",
    ),
    click.option(
        "--older-than",
        metavar="AGE",
        callback=_seconds,
        help="Rejected at least this long ago, like 30m.",
    ),
    click.option(
        "--newer-than",
        metavar="AGE",
        callback=_seconds,
        help="Rejected at most this long ago, like 48h.",
    ),
    click.option(
        "--match",
        "pattern",
        metavar="PATTERN",
        callback=_pattern,
        help="A pattern for its event, in JSON, like `match.body` of a route.",
    ),
)


@click.group()
def command() -> None:
    """
    Inspect rejected messages and dead letters, and send them back.

    A queue with `reject_to` sends its rejected messages there, each with the reason. SQS moves
    messages to a dead-letter queue without one. Both kinds of queue can be listed and replayed.

    \b
      lambdo-router rejected list
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11
      lambdo-router rejected replay --reason schema_invalid --dry-run

    Exit codes: 0 done, 1 a problem was found, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines


@command.command("list")
@_queue_options
@_filter_options
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="N",
    help="Messages to show.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def list_command(
    routes: Path,
    queue: str | None,
    endpoint_url: str | None,
    limit: int,
    form: str,
    **only: Any,  # noqa: ANN401 - options of several types
) -> None:
    """
    List the messages of a reject queue or a dead-letter queue.

    ROUTES (default: routes.yaml) defines the queues; with --queue it may be missing. Messages are
    received and released at once, which SQS counts as a receive. Messages that another consumer
    holds meanwhile are not visible.

    \b
      lambdo-router rejected list
      lambdo-router rejected list --reason schema_invalid --newer-than 24h
      lambdo-router rejected list --match '{"order": {"total": [{"numeric": [">", 100]}]}}'
      lambdo-router rejected list --queue arn:aws:sqs:us-east-1:123456789012:orders-dead
      lambdo-router rejected list --format json | jq -r '.messages[].body'

    Exit codes: 0 listed, 1 interrupted, or an error in the routes file or from SQS, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.rejected.text import list_json, table

    session, messages = _find(_known(routes, endpoint_url), queue, limit, **only)
    if form == "json":
        click.echo(list_json(messages, session))
    elif messages:
        for line in table(messages, clock()):
            say(line)
    session.report(messages)
    sys.exit(1 if session.interrupted else 0)


@command.command("show")
@click.argument("message_id", metavar="ID")
@_queue_options
@click.option(
    "--raw",
    is_flag=True,
    help="Print only the body, byte for byte; on a terminal, control characters are escaped.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "message"]),
    default="text",
    show_default=True,
    help="`message` prints a message file, for explain --message and send --message.",
)
def show_command(
    message_id: str,
    routes: Path,
    queue: str | None,
    endpoint_url: str | None,
    form: str,
    *,
    raw: bool,
) -> None:
    """
    Show one message in full.

    ID is its message ID on this queue, or on the queue that it came from. ROUTES (default:
    routes.yaml) and --queue select the queue.

    \b
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11 --raw > body.json
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11 --format message > m.json
      lambdo-router explain --message m.json

    Exit codes: 0 shown, 1 no such message is visible, or an error in the routes file or from SQS,
    2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.output.printing import print_error, print_raw
    from lambdo_router.cli.rejected.text import details, message_file, show_json
    from lambdo_router.config.diagnostics import counted, escape

    if raw and form != "text":
        raise click.UsageError("--raw is a format of its own; leave out --format")
    session, messages = _find(_known(routes, endpoint_url), queue, 1, ids=(message_id,))
    if not messages:
        name, among = escape(session.queue.name), counted(session.browser.taken, "message")
        print_error(f"message {message_id!r} not found among {among} on queue `{name}`")
        session.report(())
        sys.exit(1)
    (rejected,) = messages
    if raw:
        print_raw(rejected.message.body)
    elif form == "message":
        click.echo(message_file(rejected, session))
    elif form == "json":
        click.echo(show_json(rejected, session))
    else:
        for line in details(rejected, session, clock()):
            say(line)


@command.command("replay")
@_queue_options
@_filter_options
@click.option(
    "--to",
    metavar="QUEUE",
    help="Send all messages to this queue, instead of the one each came from; named like --queue.",
    shell_complete=queue_names,
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Send at most N messages.")
@click.option(
    "--rate", type=float, metavar="N", callback=_rate, help="Send at most N messages a second."
)
@click.option("--dry-run", is_flag=True, help="Show what would be sent where; send nothing.")
@click.option("--yes", is_flag=True, help="Send without asking.")
def replay_command(
    routes: Path,
    queue: str | None,
    endpoint_url: str | None,
    to: str | None,
    limit: int | None,
    rate: float | None,
    *,
    dry_run: bool,
    yes: bool,
    **only: Any,  # noqa: ANN401 - options of several types
) -> None:
    """
    Send messages back to the queues that they came from.

    Each message is sent with its original body and attributes, and then deleted here, one after
    the other: however this is interrupted, at most one message is on both queues, and no message
    is lost. Messages that were received but not sent are released at once. Without filters, all
    messages are sent.

    \b
      lambdo-router rejected replay --dry-run
      lambdo-router rejected replay --reason schema_invalid --route orders
      lambdo-router rejected replay --older-than 10m --rate 5 --yes
      lambdo-router rejected replay --queue orders-dead --to orders

    Exit codes: 0 all selected messages were sent (or would be), 1 some were not, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.rejected.replay import ReplayRequest, replay
    from lambdo_router.cli.rejected.session import is_interactive

    if not (dry_run or yes or is_interactive()):
        raise click.UsageError(
            "there is no terminal to ask on; use --yes to send without asking, or --dry-run to "
            "only see what would be sent"
        )
    known = _known(routes, endpoint_url)
    to_browse, target = known.to_browse(queue), None if to is None else known.named(to, "--to")
    request = ReplayRequest(to_browse, target, _filters(**only), limit, rate, dry_run, yes)
    tally = asyncio.run(replay(known, request, clock))
    sys.exit(0 if tally.complete else 1)


def _known(routes: Path, endpoint_url: str | None) -> "KnownQueues":
    """Load the queues of ROUTES. Raises ConfigError and UsageError."""
    from lambdo_router.cli.rejected.session import known_queues

    source = click.get_current_context().get_parameter_source("routes")
    asked_for = source is not click.core.ParameterSource.DEFAULT
    return known_queues(routes, endpoint_of(endpoint_url), asked_for=asked_for)


def _filters(of_routes: tuple[str, ...] = (), **others: Any) -> "Filters":  # noqa: ANN401 - as above
    from lambdo_router.core.rejection import Filters

    return Filters(routes=of_routes, **others)


def _find(
    known: "KnownQueues",
    queue: str | None,
    limit: int,
    **only: Any,  # noqa: ANN401 - as above
) -> "tuple[Session, Sequence[Rejected]]":
    from lambdo_router.cli.rejected.session import find

    return asyncio.run(find(known, known.to_browse(queue), _filters(**only), limit, clock))
