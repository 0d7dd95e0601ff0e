"""
`rejected`: what lies on a reject queue or a dead-letter queue, and the way back from there.

The commands are here. What a message says of itself is in core/rejection.py; beside this
file, `queue_browser` holds the messages of a queue and gives them back, `replay` sends them to
where they came from, `session` does one or the other for a command, and the rest is options,
queues and texts.
"""

import math
import sys
import time

import click

from lambdo_router.cli.completion import queue_names
from lambdo_router.cli.rejected.options import (
    FilterOptions,
    QueueOptions,
    filter_options,
    queue_options,
)

wall = time.time
"""Unix seconds."""


@click.group()
def command() -> None:
    """
    Look at rejected messages and dead letters, and send them back.

    A queue with `reject_to` has its rejected messages there, each with the reason. SQS moves
    messages to a dead-letter queue without one. Both kinds of queue can be looked at and replayed.

    \b
      lambdo-router rejected list
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11
      lambdo-router rejected replay --reason schema_invalid --dry-run

    Exit codes: 0 done, 1 found something to mend, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines


@command.command("list")
@queue_options
@filter_options
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
def list_command(where: QueueOptions, only: FilterOptions, limit: int, form: str) -> None:
    """
    List the messages of a reject queue or a dead-letter queue.

    ROUTES (default: routes.yaml) says which queues there are; it may be missing if --queue says
    where to look. Messages are received for that, and given back at once: a look counts as a
    receive of every message. What others hold at that time is not seen.

    \b
      lambdo-router rejected list
      lambdo-router rejected list --reason schema_invalid --newer-than 24h
      lambdo-router rejected list --match '{"order": {"total": [{"numeric": [">", 100]}]}}'
      lambdo-router rejected list --queue arn:aws:sqs:us-east-1:123456789012:orders-dead
      lambdo-router rejected list --format json | jq -r '.messages[].body'

    Exit codes: 0 listed, 1 the routes file or SQS says no, or interrupted, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.rejected.session import look_for, run
    from lambdo_router.cli.rejected.text import as_json, list_json, table

    filters, known = only.filters(), where.known()
    seen = run(look_for(known, known.looked_at(where.queue), filters, limit, wall))
    if form == "json":
        click.echo(as_json(list_json(seen.looked_at, seen.messages)))
    elif seen.messages:
        for line in table(seen.messages, wall()):
            say(line)
    seen.remark()
    sys.exit(1 if seen.interrupted else 0)


@command.command("show")
@click.argument("message_id", metavar="ID")
@queue_options
@click.option(
    "--raw",
    is_flag=True,
    help="Only the body, letter by letter; at a terminal, what it would act upon is escaped.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "message"]),
    default="text",
    show_default=True,
    help="`message` is a message file, for explain --message and send --message.",
)
def show_command(message_id: str, where: QueueOptions, form: str, *, raw: bool) -> None:
    """
    Show one message in full.

    ID is its message id on this queue, or on the queue that it came from. ROUTES (default:
    routes.yaml) and --queue say where to look.

    \b
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11 --raw > body.json
      lambdo-router rejected show 7d3a0f52-1c9e-4b6e-9d57-0c1f5a6f2b11 --format message > m.json
      lambdo-router explain --message m.json

    Exit codes: 0 shown, 1 there is no such message to be seen, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.output.printing import print_error, print_raw
    from lambdo_router.cli.rejected.session import look_for, run
    from lambdo_router.cli.rejected.text import as_json, in_full, message_file, show_json
    from lambdo_router.config.diagnostics import counted, escape
    from lambdo_router.core.rejection import Filters

    if raw and form != "text":
        raise click.UsageError("--raw is a format of its own; leave out --format")
    known, filters = where.known(), Filters(ids=frozenset({message_id}))
    seen = run(look_for(known, known.looked_at(where.queue), filters, 1, wall))
    if not seen.messages:
        among = counted(seen.looked_at.taken, "message")
        name = escape(seen.looked_at.name)
        print_error(f"queue `{name}` shows no message {message_id!r}; {among} could be seen")
        seen.remark()
        sys.exit(1)
    rejected = seen.messages[0]
    if raw:
        print_raw(rejected.message.body)
    elif form == "message":
        click.echo(as_json(message_file(rejected, seen.looked_at)))
    elif form == "json":
        click.echo(as_json(show_json(seen.looked_at, rejected)))
    else:
        for line in in_full(rejected, seen.looked_at, wall()):
            say(line)


@command.command("replay")
@queue_options
@filter_options
@click.option(
    "--to",
    metavar="QUEUE",
    help="Send all there, not to the queue that each came from. Named like --queue.",
    shell_complete=queue_names,
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Send so many at most.")
@click.option("--rate", type=float, metavar="N", help="Send so many a second at most.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent where; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before sending.")
def replay_command(
    where: QueueOptions,
    only: FilterOptions,
    to: str | None,
    limit: int | None,
    rate: float | None,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """
    Send messages back to the queues that they came from.

    Each is sent with its original body and attributes, and then deleted here, one after the other:
    whenever this is interrupted, at most one message is on both queues, and none on neither. What
    was received and is not sent is given back at once. Filters say which messages are meant; with
    none, all are.

    \b
      lambdo-router rejected replay --dry-run
      lambdo-router rejected replay --reason schema_invalid --route orders
      lambdo-router rejected replay --older-than 10m --rate 5 --yes
      lambdo-router rejected replay --queue orders-dead --to orders

    Exit codes: 0 all that were meant are sent (or would be), 1 some are not, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.rejected.replay_request import ReplayRequest, replay
    from lambdo_router.cli.rejected.session import run
    from lambdo_router.cli.rejected.terminal import is_interactive

    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise click.UsageError(
            f"--rate {rate:g} is no pace; write messages a second, like 5 or 0.5"
        )
    if not (dry_run or yes or is_interactive()):
        raise click.UsageError(
            "there is no terminal to ask at; --yes sends without asking, --dry-run only says what "
            "would be sent"
        )
    filters, known = only.filters(), where.known()
    errand = ReplayRequest(
        known,
        known.looked_at(where.queue),
        None if to is None else known.named(to, "--to"),
        filters,
        limit,
        rate,
        wall,
    )
    tally = run(replay(errand, dry_run=dry_run, sure=yes))
    sys.exit(0 if tally.complete else 1)
