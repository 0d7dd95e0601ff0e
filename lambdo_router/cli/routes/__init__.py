"""`routes`: a routes file as a table, every effective value, or a graph."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambdo_router.cli.completion import queue_names, route_names
from lambdo_router.cli.message_options import existing

if TYPE_CHECKING:  # imported where they are used: shell completion does not need them
    from lambdo_router.config.load import LoadedRoutes
    from lambdo_router.core.routing import Route, RoutingTable

_LONGEST_MATCH = 100


@click.command()
@click.argument("routes", default="routes.yaml", type=click.Path(path_type=Path))
@click.option(
    "--queue", metavar="NAME", help="Only routes that read this queue.", shell_complete=queue_names
)
@click.option("--route", metavar="NAME", help="Only this route.", shell_complete=route_names)
@click.option(
    "--resolved",
    is_flag=True,
    help="Show every effective value of each route, and where it comes from.",
)
@click.option(
    "--graph", type=click.Choice(["mermaid", "dot"]), help="Print a graph in this language."
)
@click.option(
    "--show-values",
    is_flag=True,
    help="With --resolved or --format json: show the values of variables.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    routes: Path,
    queue: str | None,
    route: str | None,
    graph: str | None,
    form: str,
    *,
    resolved: bool,
    show_values: bool,
) -> None:
    """
    Show the routes of ROUTES (default: routes.yaml), queue by queue, in matching order.

    A route that reads two queues is listed twice. --resolved shows the source of each value: the
    route, its profile, a profile that this one extends, the defaults, the environment, or the
    router's default value.

    \b
      lambdo-router routes
      lambdo-router routes --route image-uploads --resolved
      lambdo-router routes --graph mermaid > routes.mmd
      lambdo-router routes --format json | jq '.routes[].values.image'

    Exit codes: 0 shown, 1 the routes file has errors, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    existing(routes, "routes")
    if graph is not None and (resolved or form == "json"):
        raise click.UsageError("--graph cannot be combined with --resolved or --format json")
    from lambdo_router.cli.loading import load_leniently
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.routes.graph import GRAPHS
    from lambdo_router.cli.routes.resolved import resolved_lines, routes_json

    loaded = load_leniently(routes)
    chosen = _chosen(loaded.table, queue, route, routes)
    if form == "json":
        content = routes_json(
            loaded, chosen, str(routes), resolved=resolved, show_values=show_values
        )
        click.echo(json.dumps(content, indent=2))
        return
    if graph is not None:
        lines = GRAPHS[graph](loaded.table, chosen)
    elif resolved:
        lines = resolved_lines(loaded, chosen, show_values=show_values)
    else:
        lines = _table(loaded, chosen, queue)
    for line in lines:
        say(line)


def _chosen(
    table: "RoutingTable", queue: str | None, route: str | None, routes: Path
) -> "list[Route]":
    """Return the routes that the options select. Raises UsageError for unknown names."""
    from lambdo_router.config.diagnostics import closest

    names = [one.name for one in table.routes]
    if queue is not None and queue not in table.queues:
        raise click.UsageError(f"{routes} has no queue {queue!r}; {closest(queue, table.queues)}")
    if route is not None and route not in names:
        raise click.UsageError(f"{routes} has no route {route!r}; {closest(route, names)}")
    return [
        one
        for one in (table.routes if queue is None else table.routes_of(queue))
        if route in (None, one.name)
    ]


def _table(loaded: "LoadedRoutes", chosen: "Sequence[Route]", queue: str | None) -> Iterator[str]:
    from lambdo_router.cli.output.layout import columns

    table = loaded.table
    names = {route.name for route in chosen}
    rows = [
        _row(loaded, name, route)
        for name in ([queue] if queue is not None else table.queues)
        for route in table.routes_of(name)
        if route.name in names
    ]
    heading = ("QUEUE", "ROUTE", "PROFILE", "IMAGE", "SIZE", "BATCH", "MATCH")
    yield from columns([heading, *rows])
    written_only = [name for name in table.queues if not table.routes_of(name)]
    if written_only and queue is None and len(chosen) == len(table.routes):
        yield ""
        yield f"Not read by any route: {', '.join(written_only)}"


def _row(loaded: "LoadedRoutes", queue: str, route: "Route") -> tuple[str, ...]:
    from lambdo_router.config.explain.match_text import match_text
    from lambdo_router.config.explain.resolved import duration_text

    profile, overrides = route.profile.public, route.overrides
    image, size = profile.image, profile.size
    if overrides.image:
        image = f"{image} or the sender's" if image else "the sender's"
    if overrides.size:
        size = f"{size} or the sender's"
    batch = str(profile.batch_size)
    if profile.batch_window:
        batch = f"{batch} in {duration_text(profile.batch_window)}"
    asked = match_text(route.match)
    asked = asked if len(asked) <= _LONGEST_MATCH else f"{asked[:_LONGEST_MATCH]}..."
    named = isinstance(loaded.places.entry(route.name).get("profile"), str)
    return queue, route.name, profile.name if named else "(its own)", image, size, batch, asked
