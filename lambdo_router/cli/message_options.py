"""
The options that say which message is meant, for every command that takes one.

A message is either written on the command line (`--queue`, `--attribute`, `--body`) or in a file
(`--message`) that says the same and can be kept.
"""

import base64
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lambdo_router.cli.completion import queue_names

if TYPE_CHECKING:  # imported where they are used: they are slow to load
    from lambdo_router.config.samples import Sample
    from lambdo_router.core.message import Attribute
    from lambdo_router.core.routing import Queue, RoutingTable

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What the options say, not looked at yet."""

    queue: str | None
    attributes: tuple[str, ...]
    body: str | None
    files: tuple[Path, ...]

    def messages(self, purpose: str) -> "list[Sample]":
        """
        The messages that are meant. `purpose` is what is done with them, for a complaint.

        Raises UsageError if the options say none or contradict each other, SampleError for a file
        that is no message.
        """
        from lambdo_router.config.samples import Sample, read_sample

        if self.files:
            if self.queue is not None or self.attributes or self.body is not None:
                raise click.UsageError(
                    "a message file says queue, attributes and body itself; leave out --queue, "
                    "--attribute and --body, or leave out --message"
                )
            return [read_sample(path) for path in self.files]
        if self.queue is None or self.body is None:
            raise click.UsageError(f"say what to {purpose}: --queue and --body, or --message FILE")
        return [Sample("", self.queue, _body(self.body), _attributes(self.attributes))]


def message_options(*, several: bool) -> Callable[[F], F]:
    """
    The options of a command that gets them as its argument `options`, a MessageOptions.

    With `several` there may be any number of message files, else one.
    """
    declared = (
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
            + (" Repeatable." if several else ""),
        ),
    )

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def wrapped(
            *arguments: object,
            queue: str | None,
            attributes: tuple[str, ...],
            body: str | None,
            files: tuple[Path, ...] | Path | None,
            **others: object,
        ) -> object:
            named = files if isinstance(files, tuple) else () if files is None else (files,)
            options = MessageOptions(queue, attributes, body, named)
            return command(*arguments, options=options, **others)

        decorated: Any = wrapped
        for option in reversed(declared):
            decorated = option(decorated)
        result: F = decorated
        return result

    return decorate


def the_queue(table: "RoutingTable", sample: "Sample", routes: Path) -> "Queue":
    """The queue that the message is for. Raises UsageError with those that there are."""
    from lambdo_router.config.diagnostics import closest

    if sample.queue not in table.queues:
        where = f"{sample.name}: " if sample.name else ""
        hint = closest(sample.queue, table.queues)
        raise click.UsageError(f"{where}{routes} has no queue {sample.queue!r}; {hint}")
    return table.queues[sample.queue]


def existing(routes: Path, command: str) -> Path:
    """The path, if there is a file. Raises UsageError that says how to name one to `command`."""
    if routes.is_file():
        return routes
    raise click.UsageError(
        f"there is no file {routes}; name a routes file: lambdo-router {command} FILE ... "
        "(`lambdo-router init` writes one to begin with)"
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


def _attributes(written: Sequence[str]) -> "Mapping[str, Attribute]":
    from lambdo_router.config.samples import attribute
    from lambdo_router.core.message import is_binary
    from lambdo_router.core.settlement import MOST_ATTRIBUTES

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
        if is_binary(data_type) and value.startswith("@"):
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
