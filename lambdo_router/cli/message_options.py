"""
The options for the message of `send` and `explain`.

A message is either on the command line (`--queue`, `--attribute`, `--body`) or in a file
(`--message`) with the same content.
"""

import base64
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lambdo_router.cli.completion import queue_names

if TYPE_CHECKING:  # imported where they are used: they are slow to load
    from lambdo_router.config.messages import Sample
    from lambdo_router.core.message import Attribute
    from lambdo_router.core.routing import Queue, RoutingTable

F = TypeVar("F", bound=Callable[..., Any])


def options(*declared: Callable[[F], F]) -> Callable[[F], F]:
    """Make one decorator of several, in the order of the help."""
    return lambda command: functools.reduce(lambda it, add: add(it), reversed(declared), command)


def message_options(*, several: bool) -> Callable[[F], F]:
    """Declare the options of a message, which are arguments of `messages`."""
    return options(
        click.option(
            "--queue", metavar="NAME", help="A queue of ROUTES.", shell_complete=queue_names
        ),
        click.option(
            "--attribute",
            "attributes",
            multiple=True,
            metavar="NAME[:TYPE]=VALUE",
            help="A message attribute: kind=image, n:Number=5, or blob:Binary=@FILE. Repeatable.",
        ),
        click.option("--body", metavar="TEXT|@FILE|-", help="The body; - reads standard input."),
        click.option(
            "--message",
            "files",
            multiple=several,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="A message file (queue, attributes, body) instead of the options above."
            + " Repeatable." * several,
        ),
    )


def messages(
    purpose: str,
    *,
    queue: str | None,
    attributes: tuple[str, ...],
    body: str | None,
    files: tuple[Path, ...] | Path | None,
) -> "list[Sample]":
    """
    Read the messages of the options; `purpose` is what is done with them, for error messages.

    Raises UsageError if the options are incomplete or contradict each other, and SampleError for
    a malformed file.
    """
    from lambdo_router.config.messages import Sample, read_sample

    if files:
        if queue is not None or attributes or body is not None:
            raise click.UsageError(
                "a message file has a queue, attributes and a body of its own; leave out --queue, "
                "--attribute and --body, or leave out --message"
            )
        return [read_sample(path) for path in (files if isinstance(files, tuple) else (files,))]
    if queue is None or body is None:
        raise click.UsageError(f"nothing to {purpose}; use --queue and --body, or --message FILE")
    return [Sample("", queue, _body(body), _attributes(attributes))]


def the_queue(table: "RoutingTable", sample: "Sample", routes: Path) -> "Queue":
    """Return the queue of the message. Raises UsageError if the routes file has no such queue."""
    from lambdo_router.config.diagnostics import closest

    if sample.queue not in table.queues:
        where = f"{sample.name}: " if sample.name else ""
        hint = closest(sample.queue, table.queues)
        raise click.UsageError(f"{where}{routes} has no queue {sample.queue!r}; {hint}")
    return table.queues[sample.queue]


def existing(routes: Path, command: str) -> Path:
    """Return the path of an existing file. Raises UsageError, which explains how to name one."""
    if routes.is_file():
        return routes
    raise click.UsageError(
        f"there is no file {routes}; name a routes file: lambdo-router {command} FILE ... "
        "(`lambdo-router init` writes one to start with)"
    )


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
            f"--body: byte {error.start} is not UTF-8, and SQS accepts only text; "
            "use a Binary attribute, or encode the body"
        ) from None
    if not body:
        raise click.UsageError("--body is empty, which SQS does not accept")
    return body


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise click.UsageError(f"{path!r} cannot be read: {reason}") from None


def _attributes(written: Sequence[str]) -> "Mapping[str, Attribute]":
    from lambdo_router.config.messages import attribute
    from lambdo_router.core.lease import MOST_ATTRIBUTES
    from lambdo_router.core.message import is_binary

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
            raise click.UsageError(f"--attribute {name} is given twice")
        if is_binary(data_type) and value.startswith("@"):
            value = base64.b64encode(_content(value[1:])).decode()
        try:
            attributes[name] = attribute(name, data_type if colon else "String", value)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from None
    if len(attributes) > MOST_ATTRIBUTES:
        raise click.UsageError(
            f"{len(attributes)} attributes; SQS accepts {MOST_ATTRIBUTES} per message"
        )
    return attributes
