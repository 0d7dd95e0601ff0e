"""Every effective value of a route, with where it comes from; as text and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence

from lambdo_router.cli.output.layout import columns
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
from lambdo_router.core.routing import Route

FORMAT_VERSION = "1.0"


def resolved_lines(
    loaded: LoadedRoutes, routes: Sequence[Route], *, show_values: bool
) -> Iterator[str]:
    """Each route with its own keys, then those of its profile."""
    for number, route in enumerate(routes):
        if number:
            yield ""
        yield f"route `{route.name}`, on {_queues(route)}  ({loaded.place_of(route.name)})"
        rows = [
            *_own_rows(loaded, route, show_values=show_values),
            *_profile_rows(loaded, route, show_values=show_values),
        ]
        yield from columns(rows, "  ")


def routes_json(
    loaded: LoadedRoutes,
    routes: Sequence[Route],
    file: str,
    *,
    resolved: bool,
    show_values: bool,
) -> dict[str, object]:
    """The routes as `routes --format json` prints them; docs/json-output.md describes it."""
    table = loaded.table
    return {
        "format_version": FORMAT_VERSION,
        "routes_file": {"file": file, "generation": loaded.generation},
        "queues": [
            {
                "name": name,
                "values": queue_values(queue if show_values else queue.told),
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
    entry, place = loaded.places.entry(route.name), loaded.place_of(route.name)
    origins = loaded.origins(route.name)
    shown = route.profile if show_values else route.profile.told
    own = route_values(route, veiled=not show_values)
    told: dict[str, object] = {
        "name": route.name,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "queues": list(route.queues),
        "match": {
            part: None if pattern is None else pattern_json(pattern, veiled=not show_values)
            for part, pattern in (
                ("attributes", route.match.attributes),
                ("body", route.match.body),
                ("system", route.match.system),
            )
        },
        "schema": _schema(loaded, route, show_values=show_values),
        "on_invalid": own.get("on_invalid"),
        "overrides": {
            key.removeprefix("overrides."): value
            for key, value in own.items()
            if key.startswith("overrides.")
        },
        "profile": name if isinstance(name := entry.get("profile"), str) else None,
        "values": profile_values(shown),
    }
    if resolved:
        told["resolved"] = {
            key: {
                "value": _value(key, origin, show_values=show_values),
                "source": origin.source,
                "file": origin.place.file,
                "line": origin.place.line,
                "column": origin.place.column,
            }
            for key, origin in origins.items()
        }
    return told


def _schema(loaded: LoadedRoutes, route: Route, *, show_values: bool) -> object:
    if show_values:
        return loaded.places.entry(route.name).get("schema")
    return loaded.places.written(route.name, "schema")


def _queues(route: Route) -> str:
    names = ", ".join(f"`{name}`" for name in route.queues)
    return f"queue {names}" if len(route.queues) == 1 else f"queues {names}"


def _own_rows(
    loaded: LoadedRoutes, route: Route, *, show_values: bool
) -> Iterator[tuple[str, str, str]]:
    entry = loaded.places.entry(route.name)
    values: Values = dict(route_values(route, veiled=not show_values))
    if route.schema is not None:
        values["schema"] = _schema(loaded, route, show_values=show_values)
    for key, value in values.items():
        path = _path(entry, key)
        source = "default value" if path is None else f"{loaded.place_of(route.name, *path)}"
        yield key, _text(value), source


def _profile_rows(
    loaded: LoadedRoutes, route: Route, *, show_values: bool
) -> Iterator[tuple[str, str, str]]:
    for key, origin in loaded.origins(route.name).items():
        source = origin.source
        if source not in ("default value", "environment"):
            source = f"{origin.source}, {origin.place}"
        yield key, _text(_value(key, origin, show_values=show_values)), source


def _value(key: str, origin: Origin, *, show_values: bool) -> object:
    """The value, or what is written in its place, where that may be a secret."""
    return origin.value if show_values or not may_be_secret(key) else origin.written


def _path(entry: Mapping[str, object], key: str) -> tuple[str, ...] | None:
    """Where in a route's entry a key such as `match.body.object.size` stands; None: nowhere."""
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
