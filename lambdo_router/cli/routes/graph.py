"""The routes as a graph: from queues over routes to what becomes a Machine; for Mermaid or dot."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lambdo_router.config.diagnostics import escape
from lambdo_router.config.explain.match_text import match_text
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Route, RoutingTable

_LONGEST_MATCH = 80
Shape = Literal["queue", "route", "profile"]


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    shape: Shape
    label: tuple[str, ...]
    """Its lines."""


@dataclass(frozen=True, slots=True)
class _Edge:
    start: str
    end: str
    label: str = ""
    dotted: bool = False


def mermaid(table: RoutingTable, routes: Sequence[Route]) -> Iterator[str]:
    """A Mermaid flow chart of these routes of the table, line by line."""
    yield "flowchart LR"
    for node in _nodes(table, routes):
        label = "<br/>".join(map(_mermaid_text, node.label))
        left, right = {"queue": ("[(", ")]"), "route": ("[", "]"), "profile": ("([", "])")}[
            node.shape
        ]
        yield f'    {node.name}{left}"{label}"{right}'
    for edge in _edges(table, routes):
        arrow = "-.->" if edge.dotted else "-->"
        label = f'|"{_mermaid_text(edge.label)}"|' if edge.label else ""
        yield f"    {edge.start} {arrow}{label} {edge.end}"


def dot(table: RoutingTable, routes: Sequence[Route]) -> Iterator[str]:
    """A Graphviz graph of these routes of the table, line by line."""
    yield "digraph routes {"
    yield "    rankdir=LR;"
    for node in _nodes(table, routes):
        shape = {"queue": "cylinder", "route": "box", "profile": "oval"}[node.shape]
        label = "\\n".join(map(_dot_text, node.label))
        yield f'    {node.name} [shape={shape}, label="{label}"];'
    for edge in _edges(table, routes):
        style = ", style=dotted" if edge.dotted else ""
        yield f'    {edge.start} -> {edge.end} [label="{_dot_text(edge.label)}"{style}];'
    yield "}"


GRAPHS: dict[str, Callable[[RoutingTable, Sequence[Route]], Iterator[str]]] = {
    "mermaid": mermaid,
    "dot": dot,
}


def _nodes(table: RoutingTable, routes: Sequence[Route]) -> Iterator[_Node]:
    for at, name in enumerate(_queues(table, routes)):
        queue = table.queues[name]
        lines = [name]
        if table.routes_of(name) and queue.on_unmatched != "reject":
            lines.append(f"unmatched: {queue.on_unmatched}")
        yield _Node(f"queue{at}", "queue", tuple(lines))
    for at, route in enumerate(routes):
        asked = match_text(route.match)
        if len(asked) > _LONGEST_MATCH:
            asked = f"{asked[:_LONGEST_MATCH]}..."
        yield _Node(f"route{at}", "route", (route.name, asked))
    for at, profile in enumerate(_profiles(routes)):
        image = profile.told.image or "image chosen by the sender"
        yield _Node(f"profile{at}", "profile", (profile.name, image, profile.size))


def _edges(table: RoutingTable, routes: Sequence[Route]) -> Iterator[_Edge]:
    queues = {name: f"queue{at}" for at, name in enumerate(_queues(table, routes))}
    names = {route.name: f"route{at}" for at, route in enumerate(routes)}
    profiles = {profile: f"profile{at}" for at, profile in enumerate(_profiles(routes))}
    for name, node in queues.items():
        readers = table.routes_of(name)
        for number, route in enumerate(readers, 1):
            if route.name in names:
                yield _Edge(node, names[route.name], str(number))
        reject_to = table.queues[name].reject_to
        if readers and reject_to in queues:
            yield _Edge(node, queues[reject_to], "rejected", dotted=True)
    for route in routes:
        yield _Edge(names[route.name], profiles[route.profile])


def _queues(table: RoutingTable, routes: Sequence[Route]) -> list[str]:
    """The queues that the routes read, and those that these reject to, in the file's order."""
    read = {name for route in routes for name in route.queues}
    used = read | {table.queues[name].reject_to for name in read}
    return [name for name in table.queues if name in used]


def _profiles(routes: Sequence[Route]) -> list[Profile]:
    return list(dict.fromkeys(route.profile for route in routes))


def _mermaid_text(text: str) -> str:
    """The text inside a quoted label; what means something to Mermaid or HTML is written out."""
    return "".join(
        f"#{ord(character)};" if character in '#&<>"`' else character for character in escape(text)
    )


def _dot_text(text: str) -> str:
    return escape(text).replace("\\", "\\\\").replace('"', '\\"')
