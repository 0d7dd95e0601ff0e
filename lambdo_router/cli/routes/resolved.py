"""Every effective value of a route and where it comes from, as text and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from lambdo_router.cli.output.layout import columns
from lambdo_router.config.diagnostics import Place
from lambdo_router.config.explain.resolved import (
    Values,
    may_be_secret,
    pattern_json,
    profile_values,
    queue_values,
    route_values,
)
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.read.places import Origin
from lambdo_router.core.routing import Part, Route

FORMAT_VERSION = "1.0"


def resolved_lines(
    loaded: LoadedRoutes, routes: Sequence[Route], *, show_values: bool
) -> Iterator[str]:
    """Yield each route with its own keys, then those of its profile."""
    for number, route in enumerate(routes):
        if number:
            yield ""
        noun = "queue" if len(route.queues) == 1 else "queues"
        queues = f"{noun} {', '.join(f'`{name}`' for name in route.queues)}"
        yield f"route `{route.name}`, on {queues}  ({loaded.place_of(route.name)})"
        yield from columns(_rows(loaded, route, show_values=show_values), "  ")


def routes_json(
    loaded: LoadedRoutes,
    routes: Sequence[Route],
    file: str,
    *,
    resolved: bool,
    show_values: bool,
) -> dict[str, object]:
    """Return what `routes --format json` prints; docs/json-output.md describes it."""
    table = loaded.table
    return {
        "format_version": FORMAT_VERSION,
        "routes_file": {"file": file, "generation": loaded.generation},
        "queues": [
            {
                "name": name,
                "values": queue_values(queue if show_values else queue.public),
                "routes": [route.name for route in table.routes_of(name)],
            }
            for name, queue in table.queues.items()
        ],
        "routes": [
            _route_json(loaded, route, resolved=resolved, show_values=show_values)
            for route in routes
        ],
    }


def _route_json(
    loaded: LoadedRoutes, route: Route, *, resolved: bool, show_values: bool
) -> dict[str, object]:
    own = route_values(route, masked=not show_values)
    patterns = route.match.parts()
    name = loaded.places.entry(route.name).get("profile")
    content: dict[str, object] = {
        "name": route.name,
        **_place(loaded.place_of(route.name)),
        "queues": list(route.queues),
        "match": {
            part: pattern_json(patterns[part], masked=not show_values) if part in patterns else None
            for part in get_args(Part)
        },
        "schema": _schema(loaded, route, show_values=show_values),
        "on_invalid": own.get("on_invalid"),
        "overrides": {
            key.removeprefix("overrides."): value
            for key, value in own.items()
            if key.startswith("overrides.")
        },
        "profile": name if isinstance(name, str) else None,
        "values": profile_values(route.profile if show_values else route.profile.public),
    }
    if resolved:
        content["resolved"] = {
            key: {
                "value": _value(key, origin, show_values=show_values),
                "source": origin.source,
                **_place(origin.place),
            }
            for key, origin in loaded.origins(route.name).items()
        }
    return content


def _place(place: Place) -> dict[str, object]:
    return {"file": place.file, "line": place.line, "column": place.column}


def _schema(loaded: LoadedRoutes, route: Route, *, show_values: bool) -> object:
    if show_values:
        return loaded.places.entry(route.name).get("schema")
    return loaded.places.written(route.name, "schema")


def _rows(
    loaded: LoadedRoutes, route: Route, *, show_values: bool
) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and source of the route's own keys, then of its profile's."""
    entry = loaded.places.entry(route.name)
    values: Values = dict(route_values(route, masked=not show_values))
    if route.schema is not None:
        values["schema"] = _schema(loaded, route, show_values=show_values)
    for key, value in values.items():
        path = _path(entry, key)
        source = "default value" if path is None else f"{loaded.place_of(route.name, *path)}"
        yield key, _text(value), source
    for key, origin in loaded.origins(route.name).items():
        source = origin.source
        if source not in ("default value", "environment"):
            source = f"{source}, {origin.place}"
        yield key, _text(_value(key, origin, show_values=show_values)), source


def _value(key: str, origin: Origin, *, show_values: bool) -> object:
    """Return the value, or what is written for it if that may be a secret."""
    return origin.value if show_values or not may_be_secret(key) else origin.written


def _path(entry: Mapping[str, object], key: str) -> tuple[str, ...] | None:
    """Find a key such as `match.body.object.size` in a route's entry; None if it is not there."""
    for name, value in entry.items():
        if key == name:
            return (name,)
        if key.startswith(f"{name}.") and isinstance(value, dict):
            inside = _path(value, key.removeprefix(f"{name}."))
            if inside is not None:
                return (name, *inside)
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
