"""
From a document to queues and routes: read this first.

Shape comes first (draft.py, shape.py), then meaning, from what nothing depends on to what depends
on everything: queues, layers and profiles, routes, and at last what only shows over the whole file
(here). Every step notes problems in the draft and goes on, so that one run reports them all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lambdo_router.config.compile_profiles import Fallbacks, read_profiles
from lambdo_router.config.compile_queues import compile_queues
from lambdo_router.config.compile_routes import RouteCompiler
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.document import Document, Path
from lambdo_router.config.draft import Draft
from lambdo_router.routing import Queue, Route
from lambdo_router.schemas import EventSchema

_REFERENCES = frozenset({"queue", "profile", "extends", "reject_to"})
SchemaReader = Callable[[Draft, Path, str], EventSchema | None]
"""Compiles the schema file that the text at a path names; what is wrong is noted in the draft."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a routes file means. Only fit for a RoutingTable if no diagnostic is an error."""

    queues: Mapping[str, Queue]
    routes: tuple[Route, ...]
    profiles: int
    """How many the file defines."""
    diagnostics: tuple[Diagnostic, ...]
    """Every problem of shape and meaning, errors and warnings, by position."""


def compile_document(
    document: Document, written: Document, read_schema: SchemaReader, fallbacks: Fallbacks
) -> Compiled:
    """
    Check a routes file as a whole and put it into values.

    `written` is the document before its variables were filled in.
    """
    draft = Draft(document, written)
    queues = compile_queues(draft)
    layers = read_profiles(draft)
    routes = RouteCompiler(
        draft, queues, layers, fallbacks, lambda path, text: read_schema(draft, path, text)
    ).compile()
    _warn_of_reject_loops(draft, queues, routes)
    _warn_of_unreachable_routes(draft, routes)
    _warn_of_the_unused(draft, routes)
    return Compiled(queues, routes, len(draft.names("profiles")), draft.problems)


def _warn_of_reject_loops(
    draft: Draft, queues: Mapping[str, Queue], routes: tuple[Route, ...]
) -> None:
    readers: dict[str | None, int] = {}
    for index, route in enumerate(routes):
        for name in route.queues:
            readers.setdefault(name, index)
    for queue in queues.values():
        if queue.reject_to in readers:
            draft.warning(
                ("queues", queue.name, "reject_to"),
                "reject-queue-is-read",
                f"{draft.describe(('routes', readers[queue.reject_to]))} reads "
                f"`{queue.reject_to}`, where queue `{queue.name}` moves its rejected messages",
                hint="what is rejected there too may go round for ever",
            )


def _warn_of_unreachable_routes(draft: Draft, routes: tuple[Route, ...]) -> None:
    """A route that asks nothing takes every message of its queues: none is left for later ones."""
    catch_all: dict[str, int] = {}
    for index, route in enumerate(routes):
        first = [catch_all.get(queue) for queue in route.queues]
        if first and None not in first:
            earlier = max(position for position in first if position is not None)
            line = draft.line(("routes", earlier))
            draft.warning(
                ("routes", index, "name"),
                "unreachable-route",
                f"no message gets to {draft.describe(('routes', index))}: "
                f"{draft.describe(('routes', earlier))} in line {line} takes all of its queue",
                hint="move that route behind, or write its `match`",
            )
        if not draft.is_written(("routes", index, "match")):
            for queue in route.queues:
                catch_all.setdefault(queue, index)


def _warn_of_the_unused(draft: Draft, routes: tuple[Route, ...]) -> None:
    """Say what no route uses; not while a wrong or an open reference may be what uses it."""
    open_reference = any(_REFERENCES.intersection(path[-2:]) for path in draft.unresolved)
    if open_reference or any(problem.severity == "error" for problem in draft.problems):
        return
    used: set[object] = {name for route in routes for name in route.queues}
    for name in draft.names("queues"):
        used.add(draft.section("queues", name).value.get("reject_to"))
    for name in draft.names("queues"):
        if name not in used:
            what = f"no route reads queue `{name}`, and no queue rejects to it"
            _warn_of_entry(draft, ("queues", name), "unused-queue", what)
    extended = {draft.section("profiles", n).value.get("extends") for n in draft.names("profiles")}
    for section in draft.routes():
        profile = section.value.get("profile")
        extended.add(profile.get("extends") if isinstance(profile, dict) else profile)
    for name in draft.names("profiles"):
        if name not in extended:
            what = f"no route uses profile `{name}`"
            _warn_of_entry(draft, ("profiles", name), "unused-profile", what)


def _warn_of_entry(draft: Draft, path: Path, code: str, what: str) -> None:
    hint = "remove it, or name it in a route"
    draft.problem(path, code, what, on="key", severity="warning", hint=hint)
