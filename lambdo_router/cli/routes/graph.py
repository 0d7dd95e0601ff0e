"""The routes as a graph for Mermaid or Graphviz: from queues over routes to Machines."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from lambdo_router.config.diagnostics import escape
from lambdo_router.config.explain.match_text import match_text
from lambdo_router.core.routing import Route, RoutingTable

_LONGEST_MATCH = 80
_Shape = Literal["queue", "route", "profile"]


class _GraphNode(NamedTuple):
    name: str
    shape: _Shape
    label: tuple[str, ...]
    """One text per line."""


class _GraphEdge(NamedTuple):
    start: str
    end: str
    label: str = ""
    dotted: bool = False


def mermaid(table: RoutingTable, routes: Sequence[Route]) -> Iterator[str]:
    """Yield the lines of a Mermaid flow chart of these routes of the table."""
    brackets: dict[_Shape, tuple[str, str]]
    brackets = {"queue": ("[(", ")]"), "route": ("[", "]"), "profile": ("([", "])")}
    nodes, edges = _graph(table, routes)
    yield "flowchart LR"
    for node in nodes:
        left, right = brackets[node.shape]
        yield f'    {node.name}{left}"{"<br/>".join(map(_mermaid_text, node.label))}"{right}'
    for edge in edges:
        arrow = "-.->" if edge.dotted else "-->"
        label = f'|"{_mermaid_text(edge.label)}"|' if edge.label else ""
        yield f"    {edge.start} {arrow}{label} {edge.end}"


def dot(table: RoutingTable, routes: Sequence[Route]) -> Iterator[str]:
    """Yield the lines of a Graphviz graph of these routes of the table."""
    shapes: dict[_Shape, str] = {"queue": "cylinder", "route": "box", "profile": "oval"}
    nodes, edges = _graph(table, routes)
    yield "digraph routes {"
    yield "    rankdir=LR;"
    for node in nodes:
        label = "\\n".join(map(_dot_text, node.label))
        yield f'    {node.name} [shape={shapes[node.shape]}, label="{label}"];'
    for edge in edges:
        style = ", style=dotted" if edge.dotted else ""
        yield f'    {edge.start} -> {edge.end} [label="{_dot_text(edge.label)}"{style}];'
    yield "}"


GRAPHS: dict[str, Callable[[RoutingTable, Sequence[Route]], Iterator[str]]] = {
    "mermaid": mermaid,
    "dot": dot,
}


def _graph(
    table: RoutingTable, routes: Sequence[Route]
) -> tuple[list[_GraphNode], list[_GraphEdge]]:
    read = {name for route in routes for name in route.queues}
    shown = read | {table.queues[name].reject_to for name in read}
    queues = {name: f"queue{at}" for at, name in enumerate(n for n in table.queues if n in shown)}
    names = {route.name: f"route{at}" for at, route in enumerate(routes)}
    distinct = dict.fromkeys(route.profile for route in routes)
    profiles = {profile: f"profile{at}" for at, profile in enumerate(distinct)}
    nodes, edges = list[_GraphNode](), list[_GraphEdge]()
    for name, node in queues.items():
        queue, readers, label = table.queues[name], table.routes_of(name), [name]
        if readers and queue.on_unmatched != "reject":
            label.append(f"unmatched: {queue.on_unmatched}")
        nodes.append(_GraphNode(node, "queue", tuple(label)))
        for number, route in enumerate(readers, 1):
            if route.name in names:
                edges.append(_GraphEdge(node, names[route.name], str(number)))
        if readers and queue.reject_to in queues:
            edges.append(_GraphEdge(node, queues[queue.reject_to], "rejected", dotted=True))
    for route in routes:
        asked = match_text(route.match)
        asked = asked if len(asked) <= _LONGEST_MATCH else f"{asked[:_LONGEST_MATCH]}..."
        nodes.append(_GraphNode(names[route.name], "route", (route.name, asked)))
        edges.append(_GraphEdge(names[route.name], profiles[route.profile]))
    for profile, node in profiles.items():
        image = profile.public.image or "image chosen by the sender"
        nodes.append(_GraphNode(node, "profile", (profile.name, image, profile.size)))
    return nodes, edges


def _mermaid_text(text: str) -> str:
    """Escape what Mermaid or HTML would interpret in a quoted label."""
    return "".join(f"#{ord(c)};" if c in '#&<>"`' else c for c in escape(text))


def _dot_text(text: str) -> str:
    return escape(text).replace("\\", "\\\\").replace('"', '\\"')
