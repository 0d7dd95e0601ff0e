"""The options that the commands of `rejected` share."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lambdo_router.cli.completion import queue_names, route_names
from lambdo_router.cli.endpoint import endpoint_of, endpoint_option

if TYPE_CHECKING:  # imported where they are used: a shell that completes has no use for them
    from lambdo_router.cli.rejected.queues import Known
    from lambdo_router.core.patterns import Pattern
    from lambdo_router.core.rejection import Filters

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Where to look, not looked at yet."""

    routes: Path
    asked_for: bool
    """Whether the routes file was named on the command line."""
    queue: str | None
    endpoint_url: str | None

    def known(self) -> "Known":
        """The queues. Raises ConfigError and UsageError."""
        from lambdo_router.cli.rejected.queues import known_queues

        endpoint = endpoint_of(self.endpoint_url)
        return known_queues(self.routes, endpoint, asked_for=self.asked_for)


def queue_options(command: F) -> F:
    """ROUTES, --queue and --endpoint-url of a command that gets them as `where`."""

    @functools.wraps(command)
    def wrapped(
        *arguments: object,
        routes: Path,
        queue: str | None,
        endpoint_url: str | None,
        **others: object,
    ) -> object:
        context = click.get_current_context()
        asked_for = context.get_parameter_source("routes") is not click.core.ParameterSource.DEFAULT
        where = QueueOptions(routes, asked_for, queue, endpoint_url)
        return command(*arguments, where=where, **others)

    decorated: Any = endpoint_option(wrapped)
    decorated = click.option(
        "--queue",
        metavar="QUEUE",
        help="A queue of ROUTES, or any by URL, ARN or its name in SQS; default: the queue that "
        "ROUTES rejects to, if it is only one.",
        shell_complete=queue_names,
    )(decorated)
    argument = click.argument("routes", default="routes.yaml", type=click.Path(path_type=Path))
    result: F = argument(decorated)
    return result


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """Which messages are meant, not looked at yet."""

    reasons: tuple[str, ...]
    of_routes: tuple[str, ...]
    sources: tuple[str, ...]
    ids: tuple[str, ...]
    older_than: str | None
    newer_than: str | None
    match: str | None

    def filters(self) -> "Filters":
        """The same as the filter that they are. Raises UsageError."""
        from lambdo_router.core.rejection import Filters

        return Filters(
            frozenset(_checked(self.reasons)),
            frozenset(self.of_routes),
            frozenset(self.sources),
            frozenset(self.ids),
            _seconds("--older-than", self.older_than),
            _seconds("--newer-than", self.newer_than),
            _pattern(self.match),
        )


def filter_options(command: F) -> F:
    """The filters of a command that gets them as `only`."""
    declared = (
        click.option(
            "--reason",
            "reasons",
            multiple=True,
            metavar="REASON",
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
            help="Its message id, on this queue or on the one that it came from. Repeatable.",
        ),
        click.option(
            "--older-than", metavar="AGE", help="Rejected at least so long ago, like 30m or 48h."
        ),
        click.option("--newer-than", metavar="AGE", help="Rejected at most so long ago."),
        click.option(
            "--match",
            metavar="PATTERN",
            help="What its event looks like, in JSON, as `match.body` of a route says it.",
        ),
    )
    names = FilterOptions.__dataclass_fields__

    @functools.wraps(command)
    def wrapped(*arguments: object, **given: Any) -> object:  # noqa: ANN401 - click's values
        only = FilterOptions(**{name: given.pop(name) for name in names})
        return command(*arguments, only=only, **given)

    decorated: Any = wrapped
    for option in reversed(declared):
        decorated = option(decorated)
    result: F = decorated
    return result


def _checked(reasons: tuple[str, ...]) -> tuple[str, ...]:
    from lambdo_router.config.diagnostics import closest
    from lambdo_router.core.rejection import REASONS

    for reason in reasons:
        if reason not in REASONS:
            raise click.UsageError(
                f"--reason {reason!r}: there is no such reason; {closest(reason, REASONS)}"
            )
    return reasons


def _seconds(option: str, text: str | None) -> float | None:
    from lambdo_router.config.read.units import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise click.UsageError(f"{option} {text!r} is no duration: {problem}") from None


def _pattern(text: str | None) -> "Pattern | None":
    from lambdo_router.core.patterns import PatternError, compile_pattern
    from lambdo_router.core.strict_json import parse_json

    if text is None:
        return None
    try:
        return compile_pattern(parse_json(text), scalars=True)
    except PatternError as error:
        place = ".".join(map(str, error.path))
        raise click.UsageError(f"--match{' at ' * bool(place)}{place}: {error}") from None
    except ValueError as problem:
        raise click.UsageError(f"--match is not JSON: {problem}") from None
